"""Market data of swaps through the unmodified ccxt class, and paper orders on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.config import load
from daemon.core.clock import ManualClock
from daemon.core.events import FundingCharged
from daemon.core.instruments import Instrument, InstrumentId, MarketType
from daemon.core.orders import Fill, OrderState, Side
from daemon.core.ports import VenueFill
from daemon.running.world.real import real_site
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket, instrument_of
from daemon.venues.paper_terms import PaperTerms
from daemon.venues.paper_venue import PaperVenue
from tests.exchange.fake_market import FROM_MS, HOUR_MS
from tests.exchange.loopback import Loopback, next_within, swap_loopback
from tests.unit.venues.orders import an_order

SWAP = InstrumentId("binanceusdm", "BTC/USDT:USDT")
D = Decimal


@asynccontextmanager
async def a_market(folder: Path) -> AsyncIterator[tuple[Loopback, CcxtMarket]]:
    async with swap_loopback(folder) as lab:
        rest = lab.endpoints.rest
        sockets = rest.replace("http", "ws", 1)
        urls = {"rest": rest, "stream": f"{sockets}/stream", "ws_api": f"{sockets}/ws-api/v3"}
        data = CcxtMarket(make_client("binanceusdm", urls=urls), "binanceusdm", "1h")
        try:
            yield lab, data
        finally:
            await data.close()


async def test_a_linear_swap_is_an_instrument_in_base_units(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        (listed,) = await data.instruments([SWAP.symbol])
        book = await data.book(SWAP, 5)
        rows = await data.fetch(SWAP, (FROM_MS - 2 * HOUR_MS) * 1_000_000, 5)

    assert (listed.id, listed.base, listed.quote) == (SWAP, "BTC", "USDT")
    assert (listed.market_type, listed.contract_size) == (MarketType.SWAP, D(1))
    assert (listed.tick, listed.minimum_notional) == (D("0.01"), D(5))
    assert (book.bids[0], book.asks[0]) == ((D("49999.99"), D("0.5")), (D("50000.01"), D("0.5")))
    assert len(rows) >= 2


async def test_spot_is_not_listed_where_there_are_swaps_alone(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        with pytest.raises(ValueError, match="does not list BTC/USDT; did you mean BTC/USDT:USDT"):
            await data.instruments(["BTC/USDT"])


async def test_a_short_on_paper_is_opened_and_closed_on_the_books_of_swaps(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        (listed,) = await data.instruments([SWAP.symbol])
        venue = a_paper_venue(data, listed)
        entry = await venue.submit(an_order("tdin", "0.1", side=Side.SELL, instrument=SWAP))
        await lab.play(2)
        order = an_order("tdout", "0.1", side=Side.BUY, instrument=SWAP)
        leaving = await venue.submit(replace(order, is_exit=True))
        account = await venue.account([SWAP], 0)

    assert (entry.state, leaving.state) == (OrderState.FILLED, OrderState.FILLED)
    sold, bought = entry.fills[0], leaving.fills[0]
    assert (sold.price, sold.fee_currency) == (D("49999.99"), "USDT")
    gained = (sold.price - bought.price) * D("0.1") - sold.fee - bought.fee
    assert account.totals == {"USDT": D(10_000) + gained}


async def test_funding_is_told_exactly_and_only_what_was_charged_since(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        await lab.play(9)
        told = await lab.client.fetch_funding_rate_history(SWAP.symbol, FROM_MS + 1)
        rates = await data.funding(SWAP, (FROM_MS + 1) * 1_000_000)

    assert data.tells_funding
    assert [each.ts_ns // 1_000_000 for each in rates] == [each["timestamp"] for each in told]
    assert [float(each.rate) for each in rates] == [float(each["fundingRate"]) for each in told]
    assert rates
    assert all(each.price is None for each in rates)


async def test_a_paper_run_on_an_exchange_of_swaps_pays_the_funding_that_it_charged(
    tmp_path: Path,
) -> None:
    settings = load(None, {"data.exchange": "binanceusdm", "data.symbols": (SWAP.symbol,)}, {})
    fill = Fill(
        trade_id="1", price=D(50_000), quantity=D(2), fee=D(0), fee_currency="USDT",
        ts_ns=FROM_MS * 1_000_000,
    )  # fmt: skip
    bought = VenueFill(
        client_order_id="td1", venue_order_id="v", instrument=SWAP, side=Side.BUY, fill=fill
    )
    async with swap_loopback(tmp_path) as lab:
        await lab.play(9)
        rest = lab.endpoints.rest
        sockets = rest.replace("http", "ws", 1)
        site = await real_site(
            settings,
            exchange="binanceusdm",
            symbols=settings.data.symbols,
            mode="paper",
            urls={"rest": rest, "stream": f"{sockets}/stream", "ws_api": f"{sockets}/ws-api/v3"},
        )
        told: asyncio.Queue[Any] = asyncio.Queue()
        assert site.paper is not None
        site.paper.restore([], [bought])
        watching = asyncio.create_task(site.paper.watch(told.put))
        try:
            charged = await next_within(told.get())
        finally:
            watching.cancel()
            await site.close()

    assert isinstance(charged, FundingCharged)
    assert charged.amount == (-2 * charged.price * charged.rate).quantize(D("0.00000001"))
    assert charged.amount != 0


def a_paper_venue(data: CcxtMarket, listed: Instrument) -> PaperVenue:
    return PaperVenue(
        data,
        [listed],
        ManualClock(FROM_MS * 1_000_000),
        start={"USDT": D(10_000)},
        timeframe_ns=HOUR_MS * 1_000_000,
        terms=PaperTerms(latency_ms=0),
    )


CONTRACTS: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "base": "BTC",
    "quote": "USDT",
    "settle": "USDT",
    "swap": True,
    "linear": True,
    "contractSize": 0.01,
    "precision": {"price": 0.1, "amount": 1.0},
    "limits": {"amount": {"min": 1.0, "max": 5_000.0}},
}


def test_contracts_are_turned_into_base_units_before_any_cap_sees_them() -> None:
    import ccxt

    listed = instrument_of("okx", CONTRACTS, ccxt.TICK_SIZE)

    assert (listed.contract_size, listed.lot) == (D("0.01"), D("0.010"))
    assert (listed.minimum_quantity, listed.maximum_quantity) == (D("0.010"), D("50.000"))
    assert listed.contracts(D("0.37")) == 37
