"""Paper orders against a book one can read, in virtual time."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.clock import ManualClock
from daemon.core.events import OrderReported, Outcome
from daemon.core.orders import Fill, Order, OrderState, Side
from daemon.core.ports import Book, VenueFill
from daemon.venues.paper_book import Depth
from daemon.venues.paper_terms import PaperTerms
from daemon.venues.paper_venue import PaperVenue
from tests.fakes import FakeMarketData
from tests.unit.venues.orders import BTC, NOW_NS, a_look_up, an_instrument, an_order
from tests.virtual_time import run_virtual

HOUR_NS = 3_600 * 1_000_000_000


def a_paper_venue(
    market: FakeMarketData | None = None, usdt: str = "10000", btc: str = "0"
) -> PaperVenue:
    return PaperVenue(
        market or FakeMarketData(),
        [an_instrument()],
        ManualClock(NOW_NS + 1),
        start={"USDT": Decimal(usdt), "BTC": Decimal(btc)},
        timeframe_ns=HOUR_NS,
        terms=PaperTerms(latency_ms=250),
    )


def submitted(venue: PaperVenue, *orders: object) -> list[OrderReported]:
    async def run() -> list[OrderReported]:
        return [await venue.submit(order) for order in orders]  # type: ignore[arg-type]

    return run_virtual(run())


def totals_of(venue: PaperVenue) -> dict[str, Decimal]:
    return asyncio.run(venue.account([BTC], 0)).totals


def test_a_market_order_walks_the_book_and_pays_the_fee_in_what_it_gets() -> None:
    venue = a_paper_venue()

    (report,) = submitted(venue, an_order(quantity="6"))

    assert report.state is OrderState.FILLED
    assert [(fill.price, fill.quantity) for fill in report.fills] == [
        (Decimal("100.1"), Decimal(5)),
        (Decimal("100.2"), Decimal(1)),
    ]
    assert [(fill.fee, fill.fee_currency) for fill in report.fills] == [
        (Decimal("0.005"), "BTC"),
        (Decimal("0.001"), "BTC"),
    ]
    assert [fill.trade_id for fill in report.fills] == ["tdone-1", "tdone-2"]
    assert totals_of(venue) == {"USDT": Decimal("9399.3"), "BTC": Decimal("5.994")}


def test_a_sale_hits_the_bids_and_pays_the_fee_in_quote() -> None:
    venue = a_paper_venue(btc="1")

    (report,) = submitted(venue, an_order(quantity="1", side=Side.SELL))

    assert report.fills[0].price == Decimal("99.9")
    assert totals_of(venue) == {"USDT": Decimal("10099.8001")}


def test_what_the_book_cannot_fill_expires() -> None:
    (report,) = submitted(a_paper_venue(), an_order(quantity="11"))

    assert report.outcome is Outcome.ACKNOWLEDGED
    assert report.state is OrderState.EXPIRED
    assert report.filled_quantity == Decimal(10)


def test_an_empty_book_fills_nothing() -> None:
    market = FakeMarketData()
    market.order_book = Book(bids=(), asks=())

    (report,) = submitted(a_paper_venue(market), an_order())

    assert (report.state, report.fills, report.filled_quantity) == (
        OrderState.EXPIRED,
        (),
        Decimal(0),
    )


def test_a_level_that_did_not_change_was_taken_already() -> None:
    venue = a_paper_venue()

    first, second = submitted(venue, an_order("tda", "5"), an_order("tdb", "5"))

    assert first.fills[0].price == Decimal("100.1")
    assert [fill.price for fill in second.fills] == [Decimal("100.2")]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (an_order(quantity="0.0005"), "under 0.001"),
        (an_order(quantity="0.0015"), "no multiple of 0.001"),
        (an_order(quantity="0.04"), "notional is under 5"),
        (an_order(quantity="0"), "under 0.001"),
        (an_order(quantity="1", side=Side.SELL), "insufficient balance: 1 BTC needed, 0 held free"),
    ],
)
def test_what_an_exchange_would_refuse_is_refused(order: object, reason: str) -> None:
    venue = a_paper_venue()

    (report,) = submitted(venue, order)

    assert report.outcome is Outcome.REFUSED
    assert reason in report.reason
    assert totals_of(venue) == {"USDT": Decimal(10_000)}


def test_more_than_the_account_holds_cannot_be_bought() -> None:
    (report,) = submitted(a_paper_venue(usdt="100"), an_order(quantity="2"))

    assert report.outcome is Outcome.REFUSED
    assert "insufficient balance: 200.2 USDT needed, 100 held free" in report.reason


def test_without_a_book_nothing_was_sent() -> None:
    market = FakeMarketData()
    market.is_away = True
    venue = a_paper_venue(market)

    (report,) = submitted(venue, an_order())

    assert report.outcome is Outcome.NOT_SENT
    assert run_virtual(venue.look_up(a_look_up())).outcome is Outcome.ABSENT


def test_an_order_waits_the_latency_before_it_sees_the_book() -> None:
    market = FakeMarketData()
    venue = a_paper_venue(market)

    async def run() -> OrderReported:
        sending = asyncio.create_task(venue.submit(an_order()))
        await asyncio.sleep(0.2)
        market.order_book = Book(bids=(), asks=((Decimal(111), Decimal(1)),))
        return await sending

    assert run_virtual(run()).fills[0].price == Decimal(111)


def test_an_order_cancelled_on_its_way_never_happened() -> None:
    venue = a_paper_venue()

    async def run() -> OrderReported:
        sending = asyncio.create_task(venue.submit(an_order()))
        await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return await venue.look_up(a_look_up())

    assert run_virtual(run()).outcome is Outcome.ABSENT
    assert totals_of(venue) == {"USDT": Decimal(10_000)}


def test_a_restart_takes_over_what_the_journal_knows() -> None:
    before = a_paper_venue()
    (report,) = submitted(before, an_order(quantity="6"))
    fills = asyncio.run(before.account([BTC], 0)).fills
    order = Order(
        client_order_id="tdone",
        instrument=BTC,
        side=Side.BUY,
        quantity=Decimal(6),
        decision_price=Decimal(100),
        trace="t",
        intended_ns=NOW_NS,
        state=OrderState.FILLED,
    )
    lost = Order(
        client_order_id="tdlost",
        instrument=BTC,
        side=Side.BUY,
        quantity=Decimal(6),
        decision_price=Decimal(100),
        trace="t",
        intended_ns=NOW_NS,
    )

    after = a_paper_venue()
    after.restore([order, lost], fills)

    found = run_virtual(after.look_up(a_look_up()))
    assert (found.state, found.fills) == (OrderState.FILLED, report.fills)
    assert run_virtual(after.look_up(a_look_up("tdlost"))).outcome is Outcome.ABSENT
    assert totals_of(after) == totals_of(before)
    assert submitted(after, an_order(quantity="6"))[0].fills == report.fills


def test_the_account_tells_fills_of_the_wanted_instruments_since_a_moment() -> None:
    venue = a_paper_venue()
    submitted(venue, an_order())

    assert len(asyncio.run(venue.account([BTC], NOW_NS + 1)).fills) == 1
    assert asyncio.run(venue.account([BTC], NOW_NS + 2)).fills == ()
    assert asyncio.run(venue.account([], 0)).fills == ()


LEVELS = st.lists(
    st.tuples(st.integers(1, 50).map(Decimal), st.integers(1, 9).map(Decimal)),
    unique_by=lambda level: level[0],
    max_size=8,
).map(tuple)


@given(LEVELS, st.lists(st.integers(1, 20).map(Decimal), max_size=6))
def test_an_unchanged_book_never_gives_more_than_it_shows(
    levels: tuple[tuple[Decimal, Decimal], ...], wanted: list[Decimal]
) -> None:
    depth = Depth(recovery_s=30.0, lot=Decimal(1))
    got: dict[Decimal, Decimal] = {}
    for quantity in wanted:
        takes = depth.walk(levels, quantity, NOW_NS)
        depth.take(takes, NOW_NS)
        assert sum(each for _, each in takes) <= quantity
        for price, each in takes:
            got[price] = got.get(price, Decimal(0)) + each

    shown = dict(levels)
    assert all(quantity <= shown[price] for price, quantity in got.items())
    assert sum(got.values()) == min(sum(wanted), sum(shown.values()))


def test_a_fill_of_another_process_is_told_with_its_client_id() -> None:
    fill = Fill(
        trade_id="tdx-1",
        price=Decimal(100),
        quantity=Decimal(1),
        fee=Decimal(0),
        fee_currency="BTC",
        ts_ns=NOW_NS,
    )
    told = VenueFill(
        client_order_id="tdx",
        venue_order_id="paper-tdx",
        instrument=BTC,
        side=Side.BUY,
        fill=fill,
    )
    venue = a_paper_venue()
    venue.restore([], [told])

    assert asyncio.run(venue.account([BTC], 0)).fills == (told,)
