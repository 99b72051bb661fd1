"""The exchange's clock: decides when the next slot is due, by acknowledgement or by wall time.

Belongs here: lock-step and pace. What happens in a slot belongs in tape and exchange.
"""

from dataclasses import dataclass, field

from daemon.core.clock import WireClock
from daemon.core.timeframes import NS_PER_MS
from daemon.embedded.refusals import RequestError
from daemon.embedded.tape import Tape

LOCK_STEP = "lock-step"
PACED = "paced"


@dataclass(slots=True)
class SlotClock:
    """Market time over one tape.

    `bars_per_s` is the pace in slots per second of wall time, or None for lock-step: there a slot
    is due when every symbol that has a bar in the current one was acknowledged; at the very start
    every symbol must acknowledge the end of history.
    """

    tape: Tape
    bars_per_s: float | None
    wire: WireClock = field(default_factory=WireClock)
    acked: set[str] = field(default_factory=set)
    is_started: bool = False
    _slot_started_s: float = 0.0

    @property
    def mode(self) -> str:
        return LOCK_STEP if self.bars_per_s is None else PACED

    def awaiting(self) -> list[str]:
        """Ids of the symbols whose acknowledgement the market waits for."""
        if self.bars_per_s is not None:
            return []
        return [each for each in self.tape.market.symbols if self._is_awaited(each)]

    def _is_awaited(self, symbol_id: str) -> bool:
        if self.bars_per_s is not None or symbol_id in self.acked:
            return False
        is_at_start = self.tape.closed_ms <= self.tape.market.from_ms
        return is_at_start or self.tape.is_trading(symbol_id)

    def acknowledge(self, symbol_id: str, close_ms: int) -> bool:
        """Note that the bar which closed at `close_ms` was handled; True when this is news.

        Bars of the past and of an outage are ignored; a bar that has not closed raises
        RequestError.
        """
        if close_ms > self.tape.closed_ms:
            raise RequestError(-1130, f"Bar {close_ms} has not closed yet.")
        if close_ms < self._wanted_close_ms(symbol_id) or not self._is_awaited(symbol_id):
            return False
        self.acked.add(symbol_id)
        return True

    def next_open_ms(self) -> int | None:
        """Open of the slot that comes next, or None when the market has ended.

        In lock-step slots in which no symbol has a bar are passed over.
        """
        market, open_ms = self.tape.market, self.tape.closed_ms
        if self.tape.is_open:
            open_ms += market.timeframe_ms
        while market.end_ms is None or open_ms < market.end_ms:
            is_quiet = all(self.tape.bar(each, open_ms) is None for each in market.symbols)
            if self.bars_per_s is not None or not is_quiet:
                return open_ms
            open_ms += market.timeframe_ms
        return None

    def is_due(self) -> bool:
        """Whether lock-step may play the next slot now."""
        is_free = self.bars_per_s is None and not self.awaiting()
        return is_free and self.next_open_ms() is not None

    def start_slot(self, elapsed_ratio: float = 0.0) -> None:
        """Pace: the slot starts when the one before it is over, or `elapsed_ratio` of it ago.

        After a delay of more than a slot the pace starts anew: lost time is not caught up.
        """
        assert self.bars_per_s is not None, "lock-step has no pace"
        now_s, length_s = self.wire.monotonic_s(), 1 / self.bars_per_s
        begun_s = now_s - elapsed_ratio * length_s
        if self.is_started and elapsed_ratio == 0.0:
            begun_s = max(self._slot_started_s + length_s, now_s - length_s)
        self.is_started = True
        self._slot_started_s = begun_s

    def wait_s(self, ts_ms: int) -> float:
        """Pace: wall seconds from now until market time `ts_ms` of the open slot."""
        assert self.bars_per_s is not None, "lock-step has no pace"
        ratio = (ts_ms - self.tape.slot_open_ms) / self.tape.market.timeframe_ms
        return self._slot_started_s + ratio / self.bars_per_s - self.wire.monotonic_s()

    def market_ms(self) -> int:
        """Market time now; it never passes the close of the slot that is played."""
        if not self.tape.is_open:
            return self.tape.closed_ms
        if self.bars_per_s is None:
            return self.tape.closed_ms + self.tape.market.timeframe_ms
        elapsed_s = self.wire.monotonic_s() - self._slot_started_s
        elapsed_ratio = min(max(elapsed_s * self.bars_per_s, 0.0), 1.0)
        return self.tape.closed_ms + round(elapsed_ratio * self.tape.market.timeframe_ms)

    def wire_ms(self) -> int:
        return self.wire.now_ns() // NS_PER_MS

    def _wanted_close_ms(self, symbol_id: str) -> int:
        """At the very start an outage may hide the end of history: then its newest bar will do."""
        if self.tape.closed_ms > self.tape.market.from_ms:
            return self.tape.closed_ms
        last = self.tape.last_bar(symbol_id)
        return 0 if last is None else last.open_ms + self.tape.market.timeframe_ms

    def rate(self) -> float:
        """Market milliseconds per wall millisecond at this moment; 0 while the market stands."""
        if self.bars_per_s is None or not self.is_started or not self.tape.is_open:
            return 0.0
        return self.bars_per_s * self.tape.market.timeframe_ms / 1_000
