"""Lock-step with embedded exchanges: whole slots go in together, and are acknowledged when all is
answered.

Belongs here: the agreement on when a slot is complete and when it is done. A market that does not
wait for us never meets this module.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import BarsClosed, BarsMissed, Event, Input

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.venues.embedded_link import EmbeddedLink, ExchangeClock

REST_EVERY_SLOTS = 500  # counted, as the same market must give the same run
ASK_AFTER_S = 0.05
ASK_AGAIN_S = 1.0
ASK_AGAIN_MAX = 60  # an exchange that is started anew is back well before


class Lockstep:
    """Stands between the feeds and the queue, and between finished steps and the exchanges' clocks.

    A slot is complete when every exchange has given its bars of it. So the same markets give the
    same run, and when one exchange is away the others wait.
    """

    def __init__(
        self,
        links: Mapping[str, EmbeddedLink],
        run: str,
        instruments: Sequence[InstrumentId],
        put: Callable[[Input], Awaitable[None]],
        *,
        may_go_on: Callable[[], bool],
        on_clock: Callable[[str, ExchangeClock], None],
        before_slot: Callable[[], Awaitable[None]],
        at_rest: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._at_rest = at_rest
        self._slots_since_rest = 0
        self._links = links
        self._run = run
        self._instruments = tuple(sorted(instruments))
        self._put = put
        self._may_go_on = may_go_on
        self._on_clock = on_clock
        self._before_slot = before_slot
        self._slots: dict[int, dict[InstrumentId, Bar]] = {}
        self._missed: list[BarsMissed] = []
        self._newest: dict[InstrumentId, int] = {}
        self._owed: dict[InstrumentId, int] = {}
        self._poked = asyncio.Event()
        self._arrived = asyncio.Event()

    async def publish(self, event: Input) -> None:
        """What the feed says; bars are held until their slot is complete, all else passes."""
        if isinstance(event, BarsMissed):
            self._missed.append(event)
        elif isinstance(event, BarsClosed):
            for bar in event.bars:
                self._slots.setdefault(bar.close_ns, {})[bar.instrument] = bar
                newest = self._newest.get(bar.instrument, 0)
                self._newest[bar.instrument] = max(newest, bar.close_ns)
            self._arrived.set()
        else:
            await self._put(event)

    def note(self, _events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        self._poked.set()

    def start(self, closes: Mapping[InstrumentId, int]) -> None:
        """Owe the first acknowledgements: everything up to these closes is known here.

        They wait like all others for what is in flight: a training or a sample that an earlier
        process left open ends in the slot it was asked for in. A bar may have come already: of a
        slot that was acknowledged by a process that was killed before it had its bar.
        """
        for instrument, close_ns in closes.items():
            self._owed[instrument] = max(self._owed.get(instrument, 0), close_ns)
        self._poked.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._gather())
            tasks.create_task(self._acknowledge())

    async def _gather(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._slots:
                close_ns = min(self._slots)
                if not await self._is_complete(close_ns):
                    break
                await self._flush(close_ns)

    async def _is_complete(self, close_ns: int) -> bool:
        """Every instrument has its bar of the slot, or a later one, or its exchange does not wait
        for it.
        """
        absent = self._absent(close_ns)
        if not absent:
            return True
        try:
            async with asyncio.timeout(ASK_AFTER_S):
                await self._arrived.wait()
        except TimeoutError:
            for exchange in sorted({each.exchange for each in absent}):
                awaiting = set((await self._answer(self._links[exchange].clock)).awaiting)
                still = [each for each in self._absent(close_ns) if each.exchange == exchange]
                if any(each.symbol in awaiting for each in still):
                    self._arrived.set()  # look again
                    return False
            return True
        return not self._absent(close_ns)

    def _absent(self, close_ns: int) -> list[InstrumentId]:
        return [each for each in self._instruments if self._newest.get(each, 0) < close_ns]

    async def _flush(self, close_ns: int) -> None:
        due = [each for each in self._missed if each.first_open_ns < close_ns]
        self._missed = [each for each in self._missed if each.first_open_ns >= close_ns]
        for missed in sorted(due, key=lambda each: (each.instrument, each.first_open_ns)):
            await self._put(missed)
        await self._before_slot()  # what the slot did to orders that rest is known before its bars
        bars = self._slots.pop(close_ns)
        self._slots_since_rest += 1
        ordered = tuple(bars[each] for each in sorted(bars))
        await self._put(BarsClosed(ts_ns=max(bar.received_ns for bar in ordered), bars=ordered))
        # Owed only once the bars are in the queue, or a step before them would acknowledge them.
        for bar in ordered:
            self._owed[bar.instrument] = bar.close_ns
        self._poked.set()

    async def _acknowledge(self) -> None:
        while True:
            with suppress(TimeoutError):  # a cancel that is not answered ends without a step
                async with asyncio.timeout(ASK_AGAIN_S):
                    await self._poked.wait()
            self._poked.clear()
            if not self._owed or not self._may_go_on():
                continue
            if self._at_rest is not None and self._slots_since_rest >= REST_EVERY_SLOTS:
                self._slots_since_rest = 0
                await self._at_rest()
                self._poked.set()
                continue
            owed, self._owed = self._owed, {}
            for exchange, symbols, close_ns in _by_slot(owed):
                ask = partial(self._links[exchange].ack, self._run, symbols, close_ns)
                self._on_clock(exchange, await self._answer(ask))

    @staticmethod
    async def _answer(ask: Callable[[], Awaitable[ExchangeClock]]) -> ExchangeClock:
        """What the exchange says; while it is away, what it says when it is back."""
        for _ in range(ASK_AGAIN_MAX):
            with suppress(ExchangeUnreachable):
                return await ask()
            await asyncio.sleep(ASK_AGAIN_S)
        return await ask()


def _by_slot(closes: Mapping[InstrumentId, int]) -> list[tuple[str, list[str], int]]:
    """(exchange, symbols, close) in the order of instruments: one acknowledgement each."""
    slots: dict[tuple[str, int], list[str]] = {}
    for instrument in sorted(closes):
        slots.setdefault((instrument.exchange, closes[instrument]), []).append(instrument.symbol)
    return [(exchange, symbols, close_ns) for (exchange, close_ns), symbols in slots.items()]
