"""One instrument's place on the grid: says from raw candles and clock readings what is due next.

Belongs here: state and judgement of one instrument's stream, without waiting for anything. The
waiting and asking belong to `feed`.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING

from daemon.core.timeframes import NS_PER_S
from daemon.layers.ingestion.feed_config import FeedCounts, Transport
from daemon.layers.ingestion.gate import open_time_ns, slot_of, tells, volume_of
from daemon.layers.ingestion.suspicion import Past

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from daemon.core.bars import Bar, BarRejectReason, RawBar
    from daemon.core.instruments import InstrumentId
    from daemon.layers.ingestion.feed_config import FeedConfig

RECONNECT_MIN_S = 0.05
REFUSALS_TOLD_MAX = 20  # per published bar; more of them are only counted
REFUSALS_KEPT_MAX = 100
SPOILED_KEPT_MAX = 10_000
REREADS_MAX = 1_000
REREAD_TRIES = 8
REREAD_AGAIN_S = 5.0
DISAGREEMENTS_MAX = 3  # in a row: from then on bars made of trades are asked of REST
WITNESSES_MIN = 2  # replies that must agree before a slot counts as empty
LOCKSTEP_CONFIRM_S = 0.05


class Track:
    """What is known of one instrument; times in `_s` are wire monotonic, in `_ns` market UTC."""

    def __init__(
        self,
        instrument: InstrumentId,
        timeframe_ns: int,
        last: Bar | None,
        config: FeedConfig,
        rng: Random,
        *,
        recent: Iterable[Bar] = (),
    ) -> None:
        self.past = Past(timeframe_ns, spike_scale=config.spike_scale)
        for bar in recent:
            self.past.take(bar)
        self.instrument = instrument
        self.last = last
        self.next_open_ns = None if last is None else last.close_ns
        self.counts = FeedCounts()
        self.is_ready = False  # the stream has said something
        self.is_caught_up = False  # REST was asked for what came after `last`
        self.is_stale = False
        self.was_blind = False  # since the last published bar
        self.heard_s = 0.0  # last news of the stream
        self.behind_since_s: float | None = None
        self.behind_why = ""
        self.looked_s = 0.0  # when a silent stream was last compared with REST
        self.poll_at_s: float | None = None
        self.reconnect_at_s = math.inf
        self.seen_ns = 0  # market time that the candles themselves have shown
        self._timeframe_ns = timeframe_ns
        self._config = config
        self._rng = rng
        self._grace_s = config.grace_for_s(timeframe_ns)
        self.settle_ns = round(self._grace_s * config.market_rate * NS_PER_S / 2)
        self._asks = 0  # fruitless, in a row
        self._glimpsed: tuple[int | None, float] | None = None
        self._disagreements = 0  # bars of the stream that REST told otherwise, in a row
        self.is_distrusted = False  # bars of the stream are left to REST from now on
        self._witnesses = 0  # replies that had a later slot, but not the one we wait for
        self._reconnects = 0  # in a row
        self._partial: RawBar | None = None
        self._newest: RawBar | None = None
        self._rereads: deque[tuple[float, Bar, int]] = deque()
        self._refused: deque[tuple[BarRejectReason, str]] = deque(maxlen=REFUSALS_KEPT_MAX)
        self._told = 0  # refusals since the last published bar
        self.spoiled: set[int] = set()  # open times of slots to come that were told as nonsense

    # --- the stream -----------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """The stream is being opened: REST is asked once it speaks, or has not for too long."""
        self.heard_s = self.looked_s = now_s
        wait_s = self._config.ready_after_s if self._config.has_stream else 0.0
        if self._config.is_lockstep and self._config.transport is Transport.TRADES:
            wait_s = LOCKSTEP_CONFIRM_S  # nobody trades while the market waits for us
        self.poll_at_s = now_s + wait_s

    def note_stream(self, raw: RawBar, now_s: float, now_ns: int) -> bool:
        """Take notice of any message; True when it tells the newest slot known, or a later one.

        The same message again and again is no news, neither is an old slot, more about a bar that
        has closed, or a slot that cannot have opened by market time `now_ns`.
        """
        open_ns = open_time_ns(raw)
        if open_ns is None or raw == self._newest:
            return False
        if not self._config.is_lockstep and open_ns >= now_ns + self._timeframe_ns:
            return False
        newest_ns = None if self._newest is None else open_time_ns(self._newest)
        if newest_ns is not None and open_ns < newest_ns:
            return False
        self._newest = raw
        shown_ns = open_ns + self._timeframe_ns if raw.is_closed else open_ns
        self.seen_ns = max(self.seen_ns, shown_ns)
        if self.last is not None and shown_ns < self.last.close_ns:
            return False
        self.heard_s = now_s
        self.behind_since_s = None
        self.reconnect_at_s = math.inf
        self._reconnects = 0
        return True

    def closed_by(self, raw: RawBar) -> RawBar | None:
        """The candle that this message closes: itself by its flag, or the one before it.

        Only a venue that never flags lets a later candle close the last one seen: where flags are
        sent, a flag that did not come means that the last candle seen may not be its final state.
        """
        if raw.is_closed:
            self._partial = None
            return raw
        before, self._partial = self._partial, raw
        if raw.is_closed is None and before is not None and before.is_closed is None:
            before_ns, open_ns = open_time_ns(before), open_time_ns(raw)
            # A wider step means that messages are missing, the last ones of `before` perhaps too.
            if before_ns is not None and open_ns == before_ns + self._timeframe_ns:
                return before
        return None

    def is_past_due(self, raw: RawBar) -> bool:
        """True when a candle shows that the slot we wait for is over."""
        open_ns = open_time_ns(raw)
        if open_ns is None or self.next_open_ns is None:
            return False
        return open_ns >= self.next_open_ns + self._timeframe_ns

    @property
    def stale_at_s(self) -> float:
        if self.behind_since_s is None or self.is_stale:
            return math.inf
        return self.behind_since_s + self._config.patience_s

    def fall_behind(self, now_s: float, why: str) -> None:
        """REST has shown a bar that the stream has not, or neither of them says anything."""
        self.behind_why = why
        if self.behind_since_s is None:
            self.behind_since_s = now_s

    @property
    def look_at_s(self) -> float:
        """When a stream that is silent inside a bar is to be compared with REST."""
        is_open = self._config.has_stream and not self.is_stale and self._newest is not None
        if not is_open or self._config.is_lockstep or self.behind_since_s is not None:
            return math.inf
        return max(self.heard_s, self.looked_s) + self._config.patience_s

    def is_overtaken_by(self, rows: Sequence[RawBar]) -> bool:
        """True when REST tells of more trade in the unfinished bar than the stream ever did."""
        if self._newest is None:
            return False
        open_ns = open_time_ns(self._newest)
        there = max(
            (volume_of(raw) or 0.0 for raw in rows if open_time_ns(raw) == open_ns), default=0.0
        )
        told = volume_of(self._newest)
        if told is None:  # a slot that was not seen whole: only what is new in it counts
            before, self._glimpsed = self._glimpsed, (open_ns, there)
            told = before[1] if before is not None and before[0] == open_ns else there
        return there > told

    def has_told(self, bar: Bar) -> bool:
        """True when a stream of trades is not behind a bar that REST has told.

        Nothing in it says that a slot is over, so it is measured by the trades: it has told the
        same ones, or there were none, or it was not there for all of them.
        """
        newest = self._newest
        open_ns = None if newest is None else open_time_ns(newest)
        if newest is None or open_ns is None or self._config.transport is not Transport.TRADES:
            return False
        if open_ns != bar.open_ns:
            return open_ns > bar.open_ns or bar.volume == 0
        return tells(newest, bar) or volume_of(newest) is None

    def is_made_too_late(self, raw: RawBar) -> bool:
        """True when REST had told a bar before its trades had made it; then they are compared."""
        open_ns = open_time_ns(raw)
        is_trades = self._config.transport is Transport.TRADES
        if not is_trades or open_ns is None or open_ns >= (self.next_open_ns or 0):
            return False
        if self.last is not None and self.last.open_ns == open_ns:
            self.note_compared(is_same=tells(raw, self.last))
        self.counts.duplicates += 1
        return True

    def note_compared(self, *, is_same: bool) -> None:
        """A bar of the stream was compared with what REST tells of it."""
        self._disagreements = 0 if is_same else self._disagreements + 1
        if self._config.transport is Transport.TRADES:
            self.is_distrusted = self.is_distrusted or self._disagreements >= DISAGREEMENTS_MAX

    def note_broken(self) -> None:
        """The stream ended: what it said last is not the last there was to say."""
        self._partial = self._newest = None

    def note_reconnect(self, now_s: float) -> None:
        """The stream is being opened anew; when it does not speak for long, it will be again."""
        self.note_broken()
        self.reconnect_at_s = now_s + self._config.patience_s + self.next_backoff_s()

    def next_backoff_s(self) -> float:
        """How long to wait before the stream is opened again; longer each time, until it speaks."""
        self._reconnects += 1
        self.counts.reconnects += 1
        first_s, most_s = 2 * RECONNECT_MIN_S, self._config.reconnect_max_s
        return backoff_s(self._reconnects - 1, first_s, most_s, self._rng)

    # --- asking by REST -------------------------------------------------------------------------

    def poll_due_s(self, now_s: float, market_ns: int) -> float:
        """When REST is to be asked for the next bar."""
        if self.poll_at_s is not None:
            return self.poll_at_s
        if self._config.is_lockstep:
            # Market time stands still while we think, so only silence can tell that a bar was lost.
            return self.heard_s + self._lockstep_wait_s()
        assert self.next_open_ns is not None, "a market that runs has a next slot"
        wait_ns = self.next_open_ns + self._timeframe_ns - market_ns
        return now_s + wait_ns / NS_PER_S / self._config.market_rate + self._grace_s

    def ask_later(self, now_s: float, market_ns: int) -> None:
        """REST had no new bar: ask when one is due, or in a while when it is due already."""
        self.poll_at_s = None
        if self._config.is_lockstep:
            self.poll_at_s = now_s + self._lockstep_wait_s()
        elif self.poll_due_s(now_s, market_ns) <= now_s:
            self.poll_at_s = now_s + self.next_ask_s()

    def is_overdue(self, market_ns: int) -> bool:
        """True when the bar we wait for should have been there.

        Where quiet slots have no bars, a slot without one is the rule, up to a limit.
        """
        return self.next_open_ns is not None and self._is_late(self.next_open_ns, market_ns)

    def note_reply(self, closed: Sequence[RawBar], now_s: float, market_ns: int) -> bool:
        """Where there is no stream, replies are the signs of life: True for one that leaves no bar
        overdue.
        """
        if self._config.has_stream:
            return False
        told = (slot_of(raw, self._timeframe_ns) or 0 for raw in closed)
        next_ns = max((open_ns + self._timeframe_ns for open_ns in told), default=0)
        if self._is_late(max(next_ns, self.next_open_ns or 0), market_ns):
            return False
        self.heard_s = now_s
        self.behind_since_s = None
        return True

    def _is_late(self, open_ns: int, market_ns: int) -> bool:
        """Whether a slot without a bar is so long over that its bar should have been there."""
        if self._config.is_lockstep:
            return False
        rate, config = self._config.market_rate, self._config
        late_s = (market_ns - open_ns - self._timeframe_ns) / NS_PER_S / rate
        return late_s > (self._grace_s if config.venue_sends_empty_bars else config.quiet_max_s)

    def confirm_later(self, now_s: float) -> None:
        """A reply passed over a slot: one more is to be heard before that is believed."""
        self.poll_at_s = now_s + self.confirm_s

    @property
    def confirm_s(self) -> float:
        return LOCKSTEP_CONFIRM_S if self._config.is_lockstep else self._config.poll_min_s

    def next_ask_s(self) -> float:
        """How long to wait before the same is asked again; longer each time."""
        self._asks += 1
        first_s, most_s = self._config.poll_min_s, self._config.poll_max_s
        return backoff_s(self._asks - 1, first_s, most_s, self._rng)

    def _lockstep_wait_s(self) -> float:
        if self._config.transport is Transport.TRADES:
            return LOCKSTEP_CONFIRM_S  # no trade says that a slot is over before the next one
        is_streaming = self._config.has_stream and not self.is_stale
        return self._config.lockstep_silence_s if is_streaming else self._config.poll_min_s

    # --- what went out --------------------------------------------------------------------------

    def advance(self, bar: Bar) -> None:
        """The bar was published; the next slot is due."""
        self.last = bar
        self.past.take(bar)
        self.skip_to(bar.close_ns)
        self.was_blind = False
        self.counts.published += 1

    def witness(self) -> bool:
        """One more reply has a later slot and not the next one; True when enough have."""
        self._witnesses += 1
        return self._witnesses >= WITNESSES_MIN

    @property
    def is_in_doubt(self) -> bool:
        return self._witnesses > 0

    def skip_to(self, open_ns: int) -> None:
        """Wait for the slot that opens at `open_ns` from now on."""
        self.next_open_ns = open_ns
        self.poll_at_s = None
        self._asks = self._witnesses = 0
        self._told = 0
        self.spoiled = {each for each in self.spoiled if each >= open_ns}

    def spoil(self, open_ns: int | None) -> None:
        """What was told of a slot is not believed: should no bar come, it was not quiet there."""
        is_to_come = open_ns is not None and open_ns >= (self.next_open_ns or 0)
        if open_ns is not None and is_to_come and len(self.spoiled) < SPOILED_KEPT_MAX:
            self.spoiled.add(open_ns)

    def revise(self, bar: Bar) -> None:
        """The venue changed a published bar."""
        self.counts.revised += 1
        if self.last is not None and self.last.open_ns == bar.open_ns:
            self.last = bar

    def is_news(self, reason: BarRejectReason, candle: str) -> bool:
        """True when this refusal shall be told; repeats and floods are only counted."""
        self.counts.refused += 1
        key = (reason, candle)
        if key in self._refused or self._told >= REFUSALS_TOLD_MAX:
            return False
        self._refused.append(key)
        self._told += 1
        return True

    def remember_reread(self, bar: Bar, now_s: float, tries: int = 0) -> None:
        """Have this bar compared with REST later, if the configuration wants so."""
        wait_s = self._config.revision_check_s
        if wait_s is not None and tries < REREAD_TRIES:
            due_s = now_s + (min(wait_s, REREAD_AGAIN_S) if tries else wait_s)
            if len(self._rereads) >= REREADS_MAX:
                self._rereads.popleft()
            insort(self._rereads, (due_s, bar, tries), key=itemgetter(0))

    @property
    def reread_at_s(self) -> float:
        return self._rereads[0][0] if self._rereads else math.inf

    def due_rereads(self, now_s: float) -> dict[Bar, int]:
        """Bars whose time has come, and how often they were read again in vain."""
        due: dict[Bar, int] = {}
        while now_s >= self.reread_at_s:
            _, bar, tries = self._rereads.popleft()
            due[bar] = tries
        return due


def backoff_s(attempt: int, first_s: float, most_s: float, rng: Random) -> float:
    """Doubling from `first_s` up to `most_s`, times 0.5 to 1.5 at random; never under 50 ms."""
    wait_s: float = min(most_s, first_s * 2.0 ** min(attempt, 30))
    return max(RECONNECT_MIN_S, wait_s * rng.uniform(0.5, 1.5))
