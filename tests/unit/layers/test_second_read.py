"""What is suspicious in the live feed is asked for once more before it is decided about."""

import asyncio
import json

import msgspec

from daemon.core.bars import Bar, BarRejectReason, BarSource, MissCause, RawBar, Suspicion
from daemon.core.events import BarRejected, BarRevised, BarsClosed
from daemon.layers.ingestion import FeedConfig, load_history
from daemon.layers.ingestion.gate import raw_of
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, HOUR_NS, a_bar, a_raw, open_of
from tests.unit.layers.test_feed import LOCKSTEP, Watch, watched
from tests.unit.layers.test_suspicion import a_market, between


def closed(raw: RawBar) -> RawBar:
    return msgspec.structs.replace(raw, is_closed=True)


def a_tick(slot: int, close: float = 1_005.0) -> RawBar:
    """A candle whose close is ten times the price."""
    return a_raw(slot, close, high=close, is_closed=True)


def rejections(watch: Watch) -> list[BarRejected]:
    return [event for event in watch.events if isinstance(event, BarRejected)]


def told(*raws: RawBar, rest: list[RawBar], is_away: bool = False) -> Watch:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = rest
        watch.market.is_away = is_away
        watch.market.say(BTC, *raws)
        await asyncio.sleep(1.0)

    return watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=9)


def test_a_spike_that_rest_tells_too_is_genuine_and_goes_through_marked() -> None:
    watch = told(a_tick(0), rest=[a_tick(0, 1_004.0)])

    (bar,) = watch.whole_bars()
    assert (bar.close, bar.suspicion, bar.source) == (1_004.0, Suspicion.SPIKE, BarSource.POLL)
    assert rejections(watch) == []


def test_of_a_spike_that_rest_does_not_know_the_rest_bar_is_believed() -> None:
    watch = told(a_tick(0), rest=[a_raw(0, 100.7)])

    (bar,) = watch.whole_bars()
    assert (bar.close, bar.suspicion, bar.source) == (100.7, None, BarSource.POLL)
    (rejection,) = rejections(watch)
    assert (rejection.reason, rejection.open_ns) == (BarRejectReason.SPIKE, open_of(0))
    assert (rejection.source, json.loads(rejection.raw)[4]) == (BarSource.STREAM, 1_005.0)


def test_a_spike_that_nobody_confirms_leaves_a_quarantined_slot_and_the_feed_goes_on() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.is_away = True
        watch.market.say(BTC, a_tick(0))
        await asyncio.sleep(1.0)
        assert watch.events == []
        await asyncio.sleep(2.0)
        watch.market.is_away = False
        watch.market.say(BTC, a_raw(1, is_closed=True))
        await asyncio.sleep(0.5)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=9)

    assert [each.reason for each in rejections(watch)] == [BarRejectReason.SPIKE]
    assert watch.missed() == [(0, 1, MissCause.QUARANTINED)]
    assert watch.bars() == [1]


def test_a_price_that_stays_where_it_fell_to_is_believed_with_its_next_bar() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.is_away = True
        crashed = a_raw(0, 10.0, low=10.0, is_closed=True)
        following = a_raw(1, 10.5, open=10.1, high=10.6, low=9.9, is_closed=True)
        watch.market.say(BTC, crashed)
        await asyncio.sleep(4.0)
        watch.market.say(BTC, following)
        await asyncio.sleep(4.0)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=9)

    assert watch.missed() == [(0, 1, MissCause.QUARANTINED)]
    assert watch.bars() == [1]


def test_a_line_does_not_become_true_by_being_told_twice() -> None:
    bars = a_market(30)
    line = [between(bars[20], bars[24], step / 4, bars[20 + step]) for step in (1, 2, 3)]
    raws = [closed(raw_of(bar)) for bar in line]

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = raws
        watch.market.say(BTC, *raws)
        await asyncio.sleep(1.0)

    watch = watched(
        scenario, config=LOCKSTEP, last={BTC: bars[20]}, recent={BTC: bars[:21]}, start=40
    )

    assert watch.bars() == [21]
    assert {each.reason for each in rejections(watch)} == {BarRejectReason.IMPUTED}
    assert {cause for _, _, cause in watch.missed()} == {MissCause.QUARANTINED}


def test_what_is_usual_is_learnt_from_the_bars_before_the_feed_began() -> None:
    bars = a_market(41)
    wild = closed(raw_of(bars[40]))
    wild = msgspec.structs.replace(wild, close=bars[40].close * 1.4, high=bars[40].high * 1.5)

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [wild]
        watch.market.say(BTC, wild)
        await asyncio.sleep(1.0)

    def believed(*recent: Bar) -> list[Bar]:
        watch = watched(
            scenario, config=LOCKSTEP, last={BTC: bars[39]}, recent={BTC: recent}, start=60
        )
        return watch.whole_bars()

    assert [bar.suspicion for bar in believed(*bars[:40])] == [Suspicion.SPIKE]
    assert [bar.suspicion for bar in believed(bars[39])] == [None]


def test_a_revision_no_venue_makes_is_refused() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=True))
        watch.market.rows[BTC] = [a_raw(0, 60.0, low=59.0)]
        await asyncio.sleep(20.0)

    config = FeedConfig(revision_check_s=5.0)
    watch = watched(scenario, config=config, last={BTC: a_bar(-1)}, start=1)

    assert watch.bars() == [0]
    assert not any(isinstance(event, BarRevised) for event in watch.events)
    assert [each.reason for each in rejections(watch)] == [BarRejectReason.CONFLICTING]


def test_history_asks_twice_for_a_spike_and_marks_what_is_told_alike() -> None:
    market, bars = FakeMarketData(), a_market(60)
    bars[50] = msgspec.structs.replace(bars[50], low=0.0001)
    market.rows[BTC] = [raw_of(bar) for bar in bars]

    history = asyncio.run(
        load_history(
            market,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=open_of(0),
            until_ns=open_of(60),
            page_limit=100,
        )
    )

    assert [bar.suspicion for bar in history.bars[49:52]] == [None, Suspicion.SPIKE, None]
    assert (history.missed, history.rejected) == ((), ())
    assert (BTC, open_of(50), 2) in market.fetched


def test_history_keeps_invented_bars_out_and_tells_their_slots_as_quarantined() -> None:
    market, bars = FakeMarketData(), a_market(60)
    for step in (1, 2, 3):
        bars[20 + step] = between(bars[20], bars[24], step / 4, bars[20 + step])
    market.rows[BTC] = [raw_of(bar) for bar in bars if bar is not bars[25]]

    history = asyncio.run(
        load_history(
            market,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=open_of(0),
            until_ns=open_of(60),
            page_limit=100,
        )
    )

    assert len(history.bars) == 56
    assert [(each.first_open_ns, each.count, each.cause) for each in history.missed] == [
        (open_of(21), 3, MissCause.QUARANTINED),
        (open_of(25), 1, MissCause.OUTAGE),
    ]
    assert {each.reason for each in history.rejected} == {BarRejectReason.IMPUTED}


def test_a_published_bar_says_all_that_is_known_of_it() -> None:
    watch = told(a_tick(0), rest=[a_tick(0)])

    (event,) = [each for each in watch.events if isinstance(each, BarsClosed)]
    assert event.bars[0].is_final
    assert event.ts_ns == event.bars[0].received_ns
