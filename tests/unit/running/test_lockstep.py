import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.bars import Bar, MissCause
from daemon.core.errors import ExchangeUnreachable
from daemon.core.inbox import Inbox
from daemon.core.instruments import InstrumentId
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import NS_PER_MS
from daemon.running.health import HealthTask
from daemon.running.lockstep import Lockstep
from daemon.running.runner import Runner
from daemon.venues.embedded_link import EmbeddedLink, ExchangeClock
from tests.builders import BTC, CLOSE_NS, ETH, HOUR_NS, a_bar, a_feed_stale
from tests.unit.running.test_runner import MemoryJournal
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SOL = InstrumentId("binance", "SOL/USDT")
THERE = InstrumentId("okx", BTC.symbol)
IDS = (BTC, ETH, SOL)
Slot = frozenset[InstrumentId]


def a_slot_bar(instrument: InstrumentId, slot: int, late_ns: int = 0) -> Bar:
    """The bar of the slot that closes `slot` hours after the history."""
    open_ns = CLOSE_NS + (slot - 1) * HOUR_NS
    return a_bar(instrument=instrument, open_ns=open_ns, received_ns=open_ns + HOUR_NS + late_ns)


async def nothing() -> None:
    """No order rests."""


class FakeExchange(EmbeddedLink):
    """Advances one slot when every symbol that has a bar in it was acknowledged; else it stands."""

    def __init__(self, slots: list[Slot], ids: Sequence[InstrumentId] | None = None) -> None:
        self.slots = slots
        self.ids = tuple(ids or IDS)
        self.now = 0  # the slot that stands; 0 is the end of the history
        self.acks: list[tuple[str, int]] = []
        self.asked = 0
        self.away = 0  # so many questions more get no answer
        self._awaiting = {each.symbol for each in self.ids}
        self.on_slot: Callable[[int, Slot], None] = lambda _number, _slot: None

    async def clock(self) -> ExchangeClock:
        self.asked += 1
        self._is_there()
        return self._clock()

    async def ack(self, run: str, symbols: Sequence[str], close_ns: int) -> ExchangeClock:
        self._is_there()
        assert run == "run-1"
        assert close_ns == CLOSE_NS + self.now * HOUR_NS, "only the slot that stands is asked for"
        self.acks += [(symbol, self.now) for symbol in symbols]
        self._awaiting -= set(symbols)
        while not self._awaiting and self.now < len(self.slots):
            self.now += 1
            slot = self.slots[self.now - 1]
            self._awaiting = {each.symbol for each in slot}
            self.on_slot(self.now, slot)
        return self._clock()

    def _is_there(self) -> None:
        if self.away:
            self.away -= 1
            raise ExchangeUnreachable("it is started anew")

    def _clock(self) -> ExchangeClock:
        return ExchangeClock(
            market_ms=(CLOSE_NS + self.now * HOUR_NS) // NS_PER_MS,
            wall_ms=0,
            rate=0.0,
            mode="lockstep",
            slot_open_ms=0,
            from_ms=0,
            end_ms=None,
            ended=self.now == len(self.slots) and not self._awaiting,
            timeframe_ms=3_600_000,
            label="",
            fingerprint="",
            instance="",
            awaiting=tuple(sorted(self._awaiting)),
        )


class Desk:
    """Exchange, lock-step, queue and loop, with a feed that delivers after `delays_s`.

    `there` are the slots of a second exchange, which lists one symbol that the first one has too.
    """

    def __init__(
        self,
        slots: list[Slot],
        delays_s: list[float] | None = None,
        sample_every_bars: int = 500,
        there: list[Slot] | None = None,
    ) -> None:
        self.exchange = FakeExchange(slots)
        self.exchanges = {BTC.exchange: self.exchange}
        if there is not None:
            self.exchanges[THERE.exchange] = FakeExchange(there, [THERE])
        for each in self.exchanges.values():
            each.on_slot = partial(self._deliver, each.ids)
        self.ids = [one for each in self.exchanges.values() for one in each.ids]
        self.journal = MemoryJournal()
        self.inbox = Inbox()
        self.runner = Runner(Pipeline([]), self.journal, self.inbox, act=lambda _command: None)
        self.health = HealthTask(self.inbox.put, every_bars=sample_every_bars, timeframe_ns=HOUR_NS)
        self.clocks: list[ExchangeClock] = []
        self.in_flight = 0
        self.lockstep = Lockstep(
            self.exchanges,
            "run-1",
            self.ids,
            self.inbox.put,
            may_go_on=self._is_quiet,
            on_clock=self._on_clock,
            before_slot=nothing,
        )
        self.runner.observers += [self.health.note, self._check, self.lockstep.note]
        self.over = asyncio.Event()
        self._ended: set[str] = set()
        self._delays_s = delays_s or [0.0]
        self._missing: dict[InstrumentId, int] = {}
        self._deliveries: set[asyncio.Task[None]] = set()

    async def runs(self) -> None:
        """From the history to the end of the market."""
        work: list[Coroutine[Any, Any, None]] = [
            self.runner.run(), self.health.run(), self.lockstep.run(),
        ]  # fmt: skip
        running = [asyncio.create_task(each) for each in work]
        async with asyncio.timeout(3_600):
            self.lockstep.start(dict.fromkeys(self.ids, CLOSE_NS))
            await self.over.wait()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def sections(self) -> list[dict[InstrumentId, int]]:
        """Each committed cross-section: instrument to slot."""
        return [
            {bar.instrument: (bar.close_ns - CLOSE_NS) // HOUR_NS for bar in events[0].bars}
            for events, _ in self.journal.steps
            if isinstance(events[0], e.BarsClosed)
        ]

    def _is_quiet(self) -> bool:
        return self.runner.is_idle and not len(self.inbox) and not self.health.is_due

    def _on_clock(self, name: str, clock: ExchangeClock) -> None:
        self.clocks.append(clock)
        if clock.ended:
            self._ended.add(name)
        if self._ended == self.exchanges.keys():
            self.over.set()

    def _check(self, events: tuple[e.Event, ...]) -> None:
        if isinstance(events[0], e.BarsClosed):
            for bar in events[0].bars:
                now = self.exchanges[bar.instrument.exchange].now
                slot = (bar.close_ns - CLOSE_NS) // HOUR_NS
                assert slot == now, "the market has moved on without us"

    def _deliver(self, ids: Sequence[InstrumentId], number: int, slot: Slot) -> None:
        """Bars of a slot reach the feed one by one, each instrument after its own delay."""
        for place, instrument in enumerate(ids):
            if instrument not in slot:
                self._missing[instrument] = self._missing.get(instrument, 0) + 1
                continue
            count = self._missing.pop(instrument, 0)
            delay_s = self._delays_s[(number + place) % len(self._delays_s)]
            delivery = asyncio.create_task(self._publish(instrument, number, count, delay_s))
            self._deliveries.add(delivery)

    async def _publish(
        self, instrument: InstrumentId, number: int, missed: int, delay_s: float
    ) -> None:
        await asyncio.sleep(delay_s)
        bar = a_slot_bar(instrument, number)
        if missed:
            await self.lockstep.publish(
                e.BarsMissed(
                    ts_ns=bar.received_ns,
                    instrument=instrument,
                    first_open_ns=bar.open_ns - missed * HOUR_NS,
                    count=missed,
                    cause=MissCause.OUTAGE,
                )
            )
        await self.lockstep.publish(e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,)))


WHOLE = frozenset(IDS)


def ran(*args: Any, **changes: Any) -> Desk:
    async def scenario() -> Desk:
        desk = Desk(*args, **changes)
        await desk.runs()
        return desk

    return run_virtual(scenario())


def test_whole_slots_go_in_together_one_after_the_other() -> None:
    desk = ran([WHOLE] * 5, delays_s=[0.0, 0.3, 0.01])

    assert desk.sections() == [dict.fromkeys(IDS, slot) for slot in range(1, 6)]


def test_a_slot_of_two_exchanges_is_whole_when_both_have_it() -> None:
    slots = [WHOLE] * 4
    desk = ran(slots, delays_s=[0.0, 0.3, 0.01], there=[frozenset({THERE})] * 4)

    assert desk.sections() == [dict.fromkeys((*IDS, THERE), slot) for slot in range(1, 5)]
    assert desk.exchanges["okx"].acks == [(THERE.symbol, slot) for slot in range(5)]


def test_an_exchange_without_a_bar_in_a_slot_holds_up_no_other() -> None:
    desk = ran([WHOLE] * 3, there=[frozenset(), frozenset({THERE})])

    first, second, third = desk.sections()
    assert first == dict.fromkeys(IDS, 1)
    assert second == dict.fromkeys((*IDS, THERE), 2)
    assert third == dict.fromkeys(IDS, 3), "the other market has ended"


def test_when_one_exchange_is_away_the_other_waits_and_no_slot_is_lost() -> None:
    async def scenario() -> Desk:
        desk = Desk([WHOLE] * 3, there=[frozenset({THERE})] * 3)

        def die(events: tuple[e.Event, ...]) -> None:
            if isinstance(events[0], e.BarsClosed) and desk.exchange.now == 1:
                desk.exchanges["okx"].away = 9

        desk.runner.observers.insert(0, die)
        await desk.runs()
        return desk

    desk = run_virtual(scenario())

    assert desk.sections() == [dict.fromkeys((*IDS, THERE), slot) for slot in (1, 2, 3)]


def test_a_bar_that_came_before_the_start_is_acknowledged_too() -> None:
    """A daemon that was killed between an acknowledgement and the next bar is behind its market."""

    async def scenario() -> FakeExchange:
        exchange, is_quiet, entered = FakeExchange([WHOLE]), asyncio.Event(), Inbox()
        exchange.now = 1  # acknowledged by the process that was killed
        lockstep = Lockstep(
            {BTC.exchange: exchange},
            "run-1",
            IDS,
            entered.put,
            may_go_on=is_quiet.is_set,
            on_clock=lambda _exchange, _clock: None,
            before_slot=nothing,
        )
        running = asyncio.create_task(lockstep.run())
        for instrument in IDS:
            bar = a_slot_bar(instrument, 1)
            await lockstep.publish(e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,)))
        await entered.get()
        lockstep.start(dict.fromkeys(IDS, CLOSE_NS))
        is_quiet.set()
        await asyncio.sleep(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return exchange

    assert run_virtual(scenario()).acks == [(each.symbol, 1) for each in IDS]


def test_the_history_is_acknowledged_first_then_each_slot_symbol_by_symbol() -> None:
    desk = ran([WHOLE] * 2)

    assert desk.exchange.acks == [(each.symbol, slot) for slot in range(3) for each in sorted(IDS)]
    assert len(desk.clocks) == 3


def test_a_section_is_stamped_with_its_last_arrival() -> None:
    async def scenario() -> e.Input:
        desk = Desk([WHOLE])
        lockstep = asyncio.create_task(desk.lockstep.run())
        for instrument, late_ns in ((SOL, 7), (BTC, 9), (ETH, 8)):
            bar = a_slot_bar(instrument, 1, late_ns)
            await desk.lockstep.publish(e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,)))
        section = await desk.inbox.get()
        lockstep.cancel()
        return section

    section = run_virtual(scenario())

    assert isinstance(section, e.BarsClosed)
    assert section.ts_ns == CLOSE_NS + HOUR_NS + 9
    assert [bar.instrument for bar in section.bars] == sorted(IDS)


def test_a_slot_without_a_bar_of_one_instrument_goes_in_without_it() -> None:
    desk = ran([WHOLE, frozenset({BTC, SOL}), WHOLE])

    assert desk.sections() == [
        dict.fromkeys(IDS, 1), {BTC: 2, SOL: 2}, dict.fromkeys(IDS, 3),
    ]  # fmt: skip
    assert desk.exchange.asked > 0


def test_the_hole_is_told_before_the_bar_that_follows_it() -> None:
    desk = ran([WHOLE, frozenset({BTC, SOL}), frozenset({BTC}), WHOLE])

    inputs = [events[0] for events, _ in desk.journal.steps]
    holes = [
        (each.instrument, each.count, type(after).__name__)
        for each, after in pairwise(inputs)
        if isinstance(each, e.BarsMissed)
    ]
    assert holes == [(ETH, 2, "BarsMissed"), (SOL, 1, "BarsClosed")]


def test_a_bar_that_is_slow_is_waited_for_as_long_as_the_exchange_has_it() -> None:
    desk = ran([WHOLE] * 3, delays_s=[0.0, 0.0, 4.0])

    assert desk.sections() == [dict.fromkeys(IDS, slot) for slot in (1, 2, 3)]


def test_nothing_is_acknowledged_while_something_is_in_flight() -> None:
    async def scenario() -> tuple[list[tuple[str, int]], ...]:
        desk = Desk([WHOLE, WHOLE])
        quiet = False
        lockstep = Lockstep(
            {BTC.exchange: desk.exchange}, "run-1", IDS, desk.inbox.put,
            may_go_on=lambda: quiet, on_clock=lambda _name, _clock: None, before_slot=nothing,
        )  # fmt: skip
        running = asyncio.create_task(lockstep.run())
        lockstep.start(dict.fromkeys(IDS, CLOSE_NS))
        await asyncio.sleep(10)
        at_first = list(desk.exchange.acks)
        quiet = True
        lockstep.note(())
        await asyncio.sleep(0.1)
        quiet = False
        for instrument in IDS:
            bar = a_slot_bar(instrument, 1)
            await lockstep.publish(e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,)))
        section = await desk.inbox.get()
        lockstep.note((section,))
        await asyncio.sleep(10)
        busy = list(desk.exchange.acks[3:])
        quiet = True
        lockstep.note((section,))
        await asyncio.sleep(0.1)
        running.cancel()
        return at_first, busy, desk.exchange.acks

    at_first, busy, then = run_virtual(scenario())

    assert (at_first, busy) == ([], [])
    assert then == [(each.symbol, slot) for slot in (0, 1) for each in sorted(IDS)]


def test_a_slow_commit_holds_the_acknowledgement_back() -> None:
    async def scenario() -> tuple[int, int]:
        desk = Desk([WHOLE])
        desk.journal.go_on.clear()
        running = asyncio.create_task(desk.runs())
        await desk.journal.is_waited_for.wait()
        await asyncio.sleep(30)
        before = len(desk.exchange.acks)
        desk.journal.go_on.set()
        await running
        return before, len(desk.exchange.acks)

    assert run_virtual(scenario()) == (3, 6)


def test_a_sample_that_is_due_is_taken_before_the_market_moves_on() -> None:
    desk = ran([WHOLE] * 4, sample_every_bars=1)

    kinds = [type(events[0]).__name__ for events, _ in desk.journal.steps]
    assert kinds == ["BarsClosed", *["BarsClosed", "HealthTick"] * 3]


def dying(slots: list[Slot], away: int) -> Desk:
    """The exchange dies when the first slot is out, for so many questions."""

    async def scenario() -> Desk:
        desk = Desk(slots)

        def die(events: tuple[e.Event, ...]) -> None:
            if isinstance(events[0], e.BarsClosed) and desk.exchange.now == 1:
                desk.exchange.away = away

        desk.runner.observers.insert(0, die)
        await desk.runs()
        return desk

    return run_virtual(scenario())


def test_an_exchange_that_dies_is_waited_for_and_no_slot_is_lost_or_told_twice() -> None:
    desk = dying([WHOLE, frozenset({BTC, SOL}), WHOLE], away=7)

    assert [set(each) for each in desk.sections()] == [set(IDS), {BTC, SOL}, set(IDS)]
    assert len(desk.exchange.acks) == len(set(desk.exchange.acks)) == 3 + 3 + 2 + 3


def test_an_exchange_that_stays_away_ends_the_run_with_its_error() -> None:
    async def scenario() -> None:
        desk = Desk([WHOLE])
        lockstep = asyncio.create_task(desk.lockstep.run())
        desk.lockstep.start(dict.fromkeys(IDS, CLOSE_NS))
        section = await desk.inbox.get()
        desk.exchange.away = 10_000
        desk.lockstep.note((section,))
        await lockstep

    with pytest.raises(ExceptionGroup) as raised:
        run_virtual(scenario())

    assert raised.group_contains(ExchangeUnreachable, match="started anew")


def test_what_is_no_bar_passes_at_once() -> None:
    async def scenario() -> e.Input:
        desk = Desk([WHOLE])
        await desk.lockstep.publish(a_feed_stale())
        return await desk.inbox.get()

    assert run_virtual(scenario()) == a_feed_stale()


@settings(max_examples=40)
@given(
    st.lists(st.frozensets(st.sampled_from(IDS), min_size=1), min_size=1, max_size=12),
    st.lists(st.sampled_from([0.0, 0.02, 0.2, 1.5]), min_size=1, max_size=5),
)
def test_any_market_with_any_delays_gives_each_slot_once_whole_and_in_order(
    slots: list[Slot], delays_s: list[float]
) -> None:
    desk = ran(slots, delays_s)

    assert desk.sections() == [dict.fromkeys(slot, number) for number, slot in enumerate(slots, 1)]
    acknowledged = [(each.symbol, 0) for each in sorted(IDS)] + [
        (each.symbol, number) for number, slot in enumerate(slots, 1) for each in sorted(slot)
    ]
    assert desk.exchange.acks == acknowledged


@settings(max_examples=15)
@given(st.lists(st.frozensets(st.sampled_from(IDS), min_size=1), min_size=1, max_size=10))
def test_how_fast_bars_travel_leaves_no_trace_in_the_journal(slots: list[Slot]) -> None:
    fast, slow = ran(slots, [0.0]), ran(slots, [0.7, 0.0, 0.1])

    assert fast.journal.steps == slow.journal.steps


def test_a_hole_is_told_behind_the_bars_that_come_before_it() -> None:
    """Told before them, it would make late repeats of bars that nobody has had yet."""
    told: list[e.Input] = []

    async def put(event: e.Input) -> None:
        told.append(event)

    async def scenario() -> None:
        ids = (BTC, ETH)
        lockstep = Lockstep(
            {BTC.exchange: FakeExchange([])}, "run-1", ids, put, may_go_on=bool, on_clock=print,
            before_slot=nothing,
        )  # fmt: skip
        running = asyncio.create_task(lockstep.run())
        hole = e.BarsMissed(
            ts_ns=1, instrument=BTC, first_open_ns=CLOSE_NS + HOUR_NS, count=1,
            cause=MissCause.OUTAGE,
        )  # fmt: skip
        closed = [(BTC, 1), (BTC, 3), (ETH, 1), (ETH, 2), (ETH, 3)]
        await lockstep.publish(hole)
        for bar in (a_slot_bar(*each) for each in closed):
            await lockstep.publish(e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,)))
        await asyncio.sleep(60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(scenario())

    kinds = [type(each).__name__ for each in told]
    assert kinds == ["BarsClosed", "BarsMissed", "BarsClosed", "BarsClosed"]
