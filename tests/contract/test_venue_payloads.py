"""What ccxt makes of the exchanges' documented payloads is what the daemon takes it for.

The payloads are unrecorded: written by hand from public documentation. They go through ccxt's own
classes, below everything that is ours, so a changed parser or a changed reading of it fails here.
"""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import pytest

from daemon.core.bars import Bar, BarRejectReason, BarSource, RawTrade
from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS
from daemon.layers.ingestion import Refusal, Transport, accept, transport_of
from daemon.layers.ingestion.grid import closed_rows
from daemon.layers.ingestion.trades import TradeBars, TradeCounts
from daemon.venues.ccxt_candles import Candles
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.ccxt_outcomes import is_rate_limit, is_worth_repeating
from daemon.venues.ccxt_trades import Trades
from tests.contract.payloads import EXCHANGES, an_exchange, payload, receive

HOUR_NS = 3_600 * 10**9
OPEN_NS = 1_704_067_200 * 10**9
OPEN_MS = OPEN_NS // NS_PER_MS
BARS = [
    (42_000.1, 42_100.5, 41_900.2, 42_050.3, 12.5),
    (42_050.3, 42_200.7, 42_000.4, 42_150.6, 8.25),
]


@dataclass(frozen=True)
class Expected:
    """Steps and limits as the payload tells them, and how the exchange's bars come in."""

    symbol: str
    tick: str
    lot: str
    minimum_quantity: str
    minimum_notional: str
    page_limit: int
    transport: Transport = Transport.WEBSOCKET


EXPECTED = {
    "binance": Expected("BTC/USDT", "0.01", "0.00001", "0.00001", "5", 1_000),
    "bybit": Expected("BTC/USDT", "0.01", "0.000001", "0.000048", "1", 1_000),
    "coinbase": Expected("BTC/USD", "0.01", "0.00000001", "0.00000001", "1", 300, Transport.TRADES),
    "kraken": Expected("BTC/USD", "0.1", "0.00000001", "0.00005", "0.5", 720),
    "kucoin": Expected("BTC/USDT", "0.1", "0.00000001", "0.00001", "0.1", 1_500),
    "okx": Expected("BTC/USDT", "0.1", "0.00000001", "0.00001", "0", 300),
}
# Where ccxt has no class of its own for an unknown symbol: that is asked again, within bounds.
ASKED_AGAIN = {"coinbase", "kraken", "kucoin"}
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)


def id_of(exchange: str) -> InstrumentId:
    return InstrumentId(exchange, EXPECTED[exchange].symbol)


def test_every_payload_says_that_it_was_not_recorded_and_is_expected() -> None:
    assert set(EXPECTED) == set(EXCHANGES)
    for exchange in EXCHANGES:
        assert payload(exchange)["note"].startswith("unrecorded: written from public documentation")


@each_exchange
async def test_a_listed_market_becomes_an_instrument_with_exact_steps(exchange: str) -> None:
    expected = EXPECTED[exchange]
    async with an_exchange(exchange) as (client, _):
        market = CcxtMarket(client, exchange, "1h")

        (instrument,) = await market.instruments([expected.symbol])

        assert instrument.id == id_of(exchange)
        assert f"{instrument.base}/{instrument.quote}" == expected.symbol
        assert (instrument.tick, instrument.lot) == (Decimal(expected.tick), Decimal(expected.lot))
        assert instrument.minimum_quantity == Decimal(expected.minimum_quantity)
        assert instrument.minimum_notional == Decimal(expected.minimum_notional)


@each_exchange
async def test_a_symbol_it_does_not_list_is_refused_with_a_guess(exchange: str) -> None:
    async with an_exchange(exchange) as (client, _):
        market = CcxtMarket(client, exchange, "1h")

        with pytest.raises(ValueError, match=f"{exchange} does not list BTC/US; did you mean BTC/"):
            await market.instruments(["BTC/US"])


@each_exchange
async def test_candles_come_oldest_first_in_ms_and_the_unfinished_one_is_told_apart(
    exchange: str,
) -> None:
    async with an_exchange(exchange) as (client, _):
        market = CcxtMarket(client, exchange, "1h")

        rows = await market.fetch(id_of(exchange), OPEN_NS, 3)

    assert [raw.open_ms for raw in rows] == [OPEN_MS + n * HOUR_NS // NS_PER_MS for n in range(3)]
    now_ns = OPEN_NS + 2 * HOUR_NS + HOUR_NS // 2
    assert closed_rows(rows, HOUR_NS, now_ns) == rows[:2]
    judged = [
        accept(
            raw,
            None,
            instrument=id_of(exchange),
            timeframe_ns=HOUR_NS,
            now_ns=now_ns,
            source=BarSource.BACKFILL,
        )
        for raw in rows
    ]
    told = [
        (bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in judged
        if isinstance(bar, Bar)
    ]
    assert told == BARS
    assert isinstance(judged[2], Refusal)
    assert judged[2].reason is BarRejectReason.IN_FUTURE


@each_exchange
async def test_page_limit_and_transport_are_read_from_the_exchanges_own_metadata(
    exchange: str,
) -> None:
    async with an_exchange(exchange) as (client, _):
        market = CcxtMarket(client, exchange, "1h")

        assert market.page_limit == EXPECTED[exchange].page_limit
        assert EXPECTED[exchange].transport is transport_of(
            "auto", has_candles=market.has_candle_stream, has_trades=market.has_trade_stream
        )


@each_exchange
async def test_the_exchanges_clock_is_read_in_ns(exchange: str) -> None:
    async with an_exchange(exchange) as (client, _):
        assert await CcxtMarket(client, exchange, "1h").server_ns() == OPEN_NS


@each_exchange
async def test_the_book_is_exact_and_best_first(exchange: str) -> None:
    async with an_exchange(exchange) as (client, _):
        book = await CcxtMarket(client, exchange, "1h").book(id_of(exchange), 2)

    assert book.bids == (
        (Decimal("42155.0"), Decimal("1.5")),
        (Decimal("42154.5"), Decimal("2.0")),
    )
    assert book.asks == (
        (Decimal("42155.5"), Decimal("0.7")),
        (Decimal("42156.0"), Decimal("3.1")),
    )


@each_exchange
async def test_each_trade_of_the_stream_is_heard_once_as_a_copy_and_makes_a_bar(
    exchange: str,
) -> None:
    told = payload(exchange)
    heard: list[tuple[str, RawTrade]] = []
    async with an_exchange(exchange) as (client, _):
        await client.load_markets()
        Trades(client).tap(lambda *said: heard.append(said))
        for message in told["trades"]:
            receive(client, told["stream"], message)

    assert {symbol for symbol, _ in heard} == {EXPECTED[exchange].symbol}
    trades = [trade for _, trade in heard]
    assert sorted((str(t.trade_id), t.price, t.quantity) for t in trades) == [
        ("7001", 42_150.6, 0.5),
        ("7002", 42_160.0, 0.2),
        ("7003", 42_155.5, 0.05),
    ]
    bars = TradeBars(3_600_000, TradeCounts())
    hour_ms = OPEN_MS + 2 * 3_600_000
    bars.take(RawTrade("0", hour_ms - 1, 1.0, 1.0), hour_ms - 1)
    said = [raw for trade in trades for raw in bars.take(trade, hour_ms + 10_000)]
    raw = said[-1]
    assert (raw.open, raw.high, raw.low, raw.close, raw.volume) == (
        (42_150.6, 42_160.0, 42_150.6, 42_155.5, 0.75)
    )


async def test_candles_without_a_closed_flag_are_heard_from_ccxts_own_result() -> None:
    """kraken's candle messages say when the bar ends and never that it has."""
    told = payload("kraken")
    async with an_exchange("kraken") as (client, _):
        await client.load_markets()
        candles = Candles(client, "1h")
        assert not candles.tap(lambda *_: None)
        watching = asyncio.ensure_future(client.client(told["stream"]).future("ohlcv@BTC/USD"))
        await asyncio.sleep(0)
        receive(client, told["stream"], told["candles"][0])
        rows = await watching

        assert list(rows) == [
            [OPEN_MS + 2 * 3_600_000, 42_150.6, 42_160.0, 42_140.0, 42_155.5, 0.75]
        ]


@each_exchange
@pytest.mark.parametrize("kind", ["rate limit", "maintenance", "bad symbol"])
async def test_a_refused_reading_is_taken_for_what_it_is(exchange: str, kind: str) -> None:
    async with an_exchange(exchange) as (client, session):
        await client.load_markets()
        status, body = payload(exchange)["errors"][kind]
        session.instead = (status, body)
        error: Exception | None = None
        try:
            await client.fetch_ohlcv(EXPECTED[exchange].symbol, "1h", OPEN_MS, 3)
        except Exception as raised:  # noqa: BLE001  # which one it is, is the question
            error = raised

    assert error is not None
    assert is_rate_limit(error) == (kind == "rate limit")
    assert is_worth_repeating(error) == (kind != "bad symbol" or exchange in ASKED_AGAIN)


@each_exchange
async def test_an_exchange_under_maintenance_is_unreachable_in_words(exchange: str) -> None:
    async with an_exchange(exchange) as (client, session):
        session.instead = tuple(payload(exchange)["errors"]["maintenance"])
        market = CcxtMarket(client, exchange, "1h", within_s=0.3, first_contact_within_s=0.3)

        with pytest.raises(ExchangeUnreachable, match=f"{exchange} gives no instruments: "):
            await market.instruments([EXPECTED[exchange].symbol])
