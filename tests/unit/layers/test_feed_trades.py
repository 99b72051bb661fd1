"""A feed that makes its bars of trades, in virtual time: REST is the authority over every one."""

import asyncio

import pytest

from daemon.core.bars import BarSource, MissCause, RawTrade
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import BarRevised, FeedStale
from daemon.core.timeframes import NS_PER_MS
from daemon.layers.ingestion import FeedConfig, Transport, transport_of
from tests.unit.layers.candles import BTC, a_bar, a_raw, open_of
from tests.unit.layers.test_feed import HOUR_S, Watch, watched

HOUR_MS = 3_600_000
TRADES = FeedConfig(transport=Transport.TRADES, venue_sends_empty_bars=False)


def a_trade(slot: int, at_s: float, price: float = 100.0, quantity: float = 1.0) -> RawTrade:
    """A trade so many seconds into the slot."""
    ts_ms = open_of(slot) // NS_PER_MS + round(at_s * 1_000)
    return RawTrade(None, ts_ms, price, quantity)


def says(watch: Watch, *trades: RawTrade) -> None:
    watch.market.trade(BTC, *trades)


async def until(watch: Watch, slot: int, at_s: float) -> None:
    """Let market time pass until so many seconds into the slot."""
    assert watch.market.clock is not None
    await asyncio.sleep((open_of(slot) - watch.market.clock.now_ns()) / 1e9 + at_s)


def of_trades(slot: int, price: float, volume: float) -> object:
    return a_raw(slot, price, open=price, high=price, low=price, volume=volume)


async def traded(watch: Watch, slots: range, price: float = 100.0) -> None:
    """A trade each quarter of an hour; REST has each bar a second after its close."""
    for slot in slots:
        for quarter in range(4):
            await until(watch, slot, quarter * 900.0 + 0.5)
            says(watch, a_trade(slot, quarter * 900.0 + 0.5, price))
        await until(watch, slot, HOUR_S)
        watch.market.rows.setdefault(BTC, []).append(of_trades(slot, price, 4.0))  # type: ignore[arg-type]


def test_a_bar_of_trades_leaves_with_the_first_trade_behind_it() -> None:
    async def scenario(watch: Watch) -> None:
        await traded(watch, range(3))
        await until(watch, 3, 0.5)
        says(watch, a_trade(3, 0.5))
        await until(watch, 3, 1.0)

    watch = watched(scenario, config=TRADES, last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 2]
    # The first slot was not seen from its beginning: REST has told it.
    assert [bar.source for bar in watch.whole_bars()] == [
        BarSource.POLL,
        BarSource.STREAM,
        BarSource.STREAM,
    ]
    assert [bar.volume for bar in watch.whole_bars()] == [4.0, 4.0, 4.0]
    assert watch.kinds() == ["BarsClosed"] * 3


def test_where_nobody_trades_rest_tells_the_bar_and_the_stream_is_not_stale() -> None:
    async def scenario(watch: Watch) -> None:
        await traded(watch, range(2))
        await until(watch, 2, 10.0)
        says(watch, a_trade(2, 10.0, quantity=4.0))
        await until(watch, 3, 0.0)
        watch.market.rows[BTC].append(of_trades(2, 100.0, 4.0))  # type: ignore[arg-type]
        await until(watch, 3, 3_000.0)

    watch = watched(scenario, config=TRADES, last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 2]
    assert watch.whole_bars()[-1].source is BarSource.POLL
    assert [each for each in watch.events if isinstance(each, FeedStale)] == []
    assert watch.market.watched[BTC] == 1


def test_a_stream_that_misses_trades_is_found_by_rest_and_opened_anew() -> None:
    async def scenario(watch: Watch) -> None:
        await traded(watch, range(2))
        await until(watch, 2, 0.5)
        says(watch, a_trade(2, 0.5))
        await until(watch, 3, 0.0)
        watch.market.rows[BTC].append(of_trades(2, 100.0, 400.0))  # type: ignore[arg-type]
        await until(watch, 3, 300.0)

    watch = watched(scenario, config=TRADES, last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 2]
    assert watch.whole_bars()[-1].volume == 400.0
    assert len([each for each in watch.events if isinstance(each, FeedStale)]) == 1
    assert watch.market.watched[BTC] > 1


def test_after_a_broken_connection_the_slot_it_broke_in_is_told_by_rest() -> None:
    async def scenario(watch: Watch) -> None:
        await traded(watch, range(2))
        await until(watch, 2, 0.5)
        says(watch, a_trade(2, 0.5))
        watch.market.break_trades(BTC, ExchangeUnreachable("gone"))
        await until(watch, 2, 1_800.0)
        says(watch, a_trade(2, 1_800.0))
        await until(watch, 3, 0.0)
        watch.market.rows[BTC].append(of_trades(2, 100.0, 9.0))  # type: ignore[arg-type]
        await traded(watch, range(3, 4))
        await until(watch, 4, 0.5)
        says(watch, a_trade(4, 0.5))
        await until(watch, 4, 1.0)

    watch = watched(scenario, config=TRADES, last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 2, 3]
    assert [bar.volume for bar in watch.whole_bars()] == [4.0, 4.0, 9.0, 4.0]
    assert [bar.source for bar in watch.whole_bars()[2:]] == [BarSource.POLL, BarSource.STREAM]


def test_slots_without_trades_are_asked_for_and_told_as_that() -> None:
    async def scenario(watch: Watch) -> None:
        await traded(watch, range(2))
        await until(watch, 4, 0.5)
        says(watch, a_trade(4, 0.5))
        await traded(watch, range(4, 5))
        await until(watch, 5, 60.0)

    watch = watched(scenario, config=TRADES, last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 4]
    assert watch.missed() == [(2, 2, MissCause.NO_TRADES)]


def test_a_bar_that_rest_tells_otherwise_is_revised() -> None:
    config = FeedConfig(
        transport=Transport.TRADES, venue_sends_empty_bars=False, revision_check_s=5.0
    )

    async def scenario(watch: Watch) -> None:
        await traded(watch, range(2))
        watch.market.rows[BTC][-1] = of_trades(1, 100.0, 5.0)  # type: ignore[call-overload]
        await until(watch, 2, 0.5)
        says(watch, a_trade(2, 0.5))
        await until(watch, 2, 30.0)

    watch = watched(scenario, config=config, last={BTC: a_bar(-1)})

    (revised,) = [each for each in watch.events if isinstance(each, BarRevised)]
    assert (revised.was.volume, revised.bar.volume) == (4.0, 5.0)


def test_bars_that_rest_contradicts_again_and_again_are_left_to_rest() -> None:
    config = FeedConfig(
        transport=Transport.TRADES, venue_sends_empty_bars=False, revision_check_s=5.0
    )

    async def scenario(watch: Watch) -> None:
        for slot in range(7):
            await traded(watch, range(slot, slot + 1))
            watch.market.rows[BTC][-1] = of_trades(slot, 100.0, 5.0)  # type: ignore[call-overload]
        await until(watch, 7, 30.0)

    watch = watched(scenario, config=config, last={BTC: a_bar(-1)})

    assert watch.bars() == list(range(7))
    assert [bar.volume for bar in watch.whole_bars()] == [5.0, 4.0, 4.0, 4.0, 5.0, 5.0, 5.0]


def test_an_explicit_transport_that_is_not_there_is_refused_and_auto_takes_the_best() -> None:
    assert transport_of("auto", has_candles=True, has_trades=True) is Transport.WEBSOCKET
    assert transport_of("auto", has_candles=False, has_trades=True) is Transport.TRADES
    assert transport_of("auto", has_candles=False, has_trades=False) is Transport.REST
    assert transport_of("rest", has_candles=True, has_trades=True) is Transport.REST
    assert transport_of("trades", has_candles=True, has_trades=True) is Transport.TRADES
    with pytest.raises(ValueError, match=r'streams no candles: set data\.transport = "auto"'):
        transport_of("websocket", has_candles=False, has_trades=True)
