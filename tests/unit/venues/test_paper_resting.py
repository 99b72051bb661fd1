"""Orders that rest on paper: met by books and candles, locked for, cancelled, and taken over."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.bars import RawBar
from daemon.core.clock import ManualClock
from daemon.core.events import (
    CancelOrder,
    FundingCharged,
    OrderReported,
    Outcome,
    PositionLiquidated,
    SubmitOrder,
)
from daemon.core.orders import Order, OrderState, OrderType, Side
from daemon.core.ports import Book
from daemon.venues.paper_terms import FeeTier, PaperTerms
from daemon.venues.paper_venue import PaperVenue
from tests.fakes import FakeMarketData
from tests.unit.venues.orders import BTC, NOW_NS, a_look_up, an_instrument, an_order
from tests.virtual_time import run_virtual

HOUR_NS = 3_600 * 1_000_000_000
D = Decimal


class Bench:
    """A paper venue, its market and its clock, which the test moves."""

    def __init__(self, usdt: str = "10000", btc: str = "0", **terms: object) -> None:
        self.market = FakeMarketData()
        self.clock = ManualClock(NOW_NS + HOUR_NS // 2)
        self.start = {"USDT": D(usdt), "BTC": D(btc)}
        self.terms = PaperTerms(**{"latency_ms": 0, **terms})  # type: ignore[arg-type]
        self.venue = self.another()

    def another(self) -> PaperVenue:
        return PaperVenue(
            self.market,
            [an_instrument()],
            self.clock,
            start=self.start,
            timeframe_ns=HOUR_NS,
            terms=self.terms,
        )

    def book(self, bid: str, ask: str, quantity: str = "5") -> None:
        self.market.order_book = Book(bids=((D(bid), D(quantity)),), asks=((D(ask), D(quantity)),))

    def candle(self, low: float, high: float, *, hour: int = 0, volume: float = 10.0) -> None:
        """The newest candle so far; hour 0 is the one in which orders are placed."""
        rows = self.market.rows.setdefault(BTC, [])
        open_ms = (NOW_NS + hour * HOUR_NS) // 1_000_000
        rows[:] = [each for each in rows if each.open_ms != open_ms]
        rows.append(RawBar(open_ms, high, high, low, high, volume))

    def submit(self, *orders: SubmitOrder) -> list[OrderReported]:
        async def run() -> list[OrderReported]:
            return [await self.venue.submit(each) for each in orders]

        return run_virtual(run())

    def look(self, ours: str = "tdone") -> OrderReported:
        return run_virtual(self.venue.look_up(a_look_up(ours)))

    def cancel(self, ours: str = "tdone") -> OrderReported:
        return run_virtual(self.venue.cancel(a_cancel(ours)))

    def account(self) -> dict[str, Decimal]:
        return asyncio.run(self.venue.account([BTC], 0)).totals


def a_cancel(ours: str = "tdone") -> CancelOrder:
    return CancelOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=BTC,
        order_type=OrderType.LIMIT,
        venue_order_id=None,
        intended_ns=NOW_NS,
        reason="test",
    )


def a_limit(
    price: str, quantity: str = "1", ours: str = "tdone", side: Side = Side.BUY
) -> SubmitOrder:
    return SubmitOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=BTC,
        side=side,
        order_type=OrderType.LIMIT,
        quantity=D(quantity),
        decision_price=D(100),
        price=D(price),
    )


def a_stop(price: str, quantity: str = "1", side: Side = Side.SELL) -> SubmitOrder:
    return SubmitOrder(
        ts_ns=NOW_NS,
        client_order_id="tdone",
        instrument=BTC,
        side=side,
        order_type=OrderType.STOP,
        quantity=D(quantity),
        decision_price=D(100),
        stop_price=D(price),
        is_exit=True,
    )


def prices(report: OrderReported) -> list[tuple[Decimal, Decimal, bool]]:
    return [(each.price, each.quantity, each.is_maker) for each in report.fills]


def test_a_limit_rests_untouched_while_the_market_only_touches_its_price() -> None:
    bench = Bench()
    bench.candle(99.5, 100.5)
    (report,) = bench.submit(a_limit("99.0"))
    bench.look()
    bench.candle(99.0, 100.5, volume=50.0)

    assert report.state is OrderState.ACCEPTED
    assert bench.look().state is OrderState.ACCEPTED


def test_a_limit_is_filled_as_maker_at_its_price_by_what_traded_beyond_it() -> None:
    bench = Bench(maker_fee_bps=2.0)
    bench.candle(99.5, 100.5, volume=10.0)
    bench.submit(a_limit("99.0", "3"))
    bench.look()
    bench.candle(98.9, 100.5, volume=12.0)

    report = bench.look()

    assert report.state is OrderState.PARTLY_FILLED
    assert prices(report) == [(D("99.0"), D(2), True)]
    assert report.fills[0].fee == D("0.0004")
    bench.candle(98.8, 100.5, volume=20.0)
    assert prices(bench.look())[1:] == [(D("99.0"), D(1), True)]
    assert bench.look().state is OrderState.FILLED


def test_what_a_candle_showed_before_an_order_was_placed_in_it_fills_nothing() -> None:
    bench = Bench(btc="1")
    bench.candle(90.0, 110.0)
    bench.submit(a_limit("99.0"))
    assert bench.look().state is OrderState.ACCEPTED

    stop = Bench(btc="1")
    stop.candle(90.0, 110.0)
    stop.submit(a_stop("95"))
    assert stop.look().state is OrderState.ACCEPTED


def test_others_who_come_to_a_limit_pay_its_price_and_bring_no_more_than_they_show() -> None:
    bench = Bench()
    bench.submit(a_limit("99.0", "3"))
    bench.book("98.0", "98.5", "2")

    report = bench.look()

    assert prices(report) == [(D("99.0"), D(2), True)]
    assert prices(bench.look()) == [(D("99.0"), D(2), True)]  # the same levels, not new ones


def test_a_limit_that_crosses_the_book_takes_within_its_price_and_rests_with_what_is_left() -> None:
    bench = Bench()

    (report,) = bench.submit(a_limit("100.1", "7"))

    assert report.state is OrderState.PARTLY_FILLED
    assert prices(report) == [(D("100.1"), D(5), False)]
    assert bench.cancel().state is OrderState.CANCELED


def test_a_wick_that_no_look_saw_sets_off_a_stop_at_its_price_at_best() -> None:
    bench = Bench(btc="1")
    bench.candle(99.5, 100.5)
    bench.submit(a_stop("95"))
    bench.look()
    bench.candle(94.0, 100.5)

    report = bench.look()  # the book is back at 99.9

    assert (report.state, prices(report)) == (OrderState.FILLED, [(D(95), D(1), False)])


def test_a_stop_that_the_market_jumped_over_fills_where_it_opened() -> None:
    bench = Bench(btc="1")
    bench.submit(a_stop("95"))
    bench.candle(90.0, 92.0, hour=1)

    assert prices(bench.look()) == [(D("92.0"), D(1), False)]


def test_a_stop_is_set_off_by_the_book_and_takes_what_is_there() -> None:
    bench = Bench(btc="7")
    bench.submit(a_stop("95", "7"))
    bench.book("94.0", "94.5", "5")

    report = bench.look()

    assert report.state is OrderState.EXPIRED
    assert prices(report) == [(D("94.0"), D(5), False)]
    assert "no more" in report.reason


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (a_stop("99.9"), "would trigger immediately"),
        (a_stop("95.05"), "no multiple of 0.1"),
        (a_limit("100", "200"), "insufficient balance: 20000 USDT needed, 10000 held free"),
        (a_limit("0.1"), "notional is under 5"),
    ],
)
def test_a_resting_order_an_exchange_would_refuse_is_refused(
    order: SubmitOrder, reason: str
) -> None:
    bench = Bench(btc="1")

    (report,) = bench.submit(order)

    assert report.outcome is Outcome.REFUSED
    assert reason in report.reason


def test_what_a_resting_order_holds_cannot_be_spent_again_until_it_is_cancelled() -> None:
    bench = Bench(usdt="150", btc="1")
    _, second = bench.submit(a_limit("99"), a_limit("99", "1", "tdtwo"))
    sale = an_order("tdthree", "1", side=Side.SELL)

    assert "99 USDT needed, 51 held free" in second.reason
    assert bench.cancel().state is OrderState.CANCELED
    assert bench.submit(a_limit("99", "1", "tdfour"))[0].state is OrderState.ACCEPTED
    bench.submit(sale)
    assert bench.submit(an_order("tdfive", "1", side=Side.SELL))[0].outcome is Outcome.REFUSED


def test_a_cancel_says_what_filled_before_it_came() -> None:
    bench = Bench()
    bench.submit(a_limit("99.0", "3"))
    bench.book("98.0", "98.5", "2")

    report = bench.cancel()

    assert (report.state, report.filled_quantity) == (OrderState.CANCELED, D(2))
    assert bench.cancel().state is OrderState.CANCELED


def test_a_cancel_never_overtakes_the_order_it_ends() -> None:
    bench = Bench(latency_ms=300)

    async def run() -> OrderReported:
        sending = asyncio.create_task(bench.venue.submit(a_limit("99.0")))
        await asyncio.sleep(0)
        asked = asyncio.create_task(bench.venue.look_up(a_look_up()))
        report = await asked
        await sending
        return report

    assert run_virtual(run()).state is OrderState.ACCEPTED


async def nothing_is_taken_away(event: FundingCharged | PositionLiquidated) -> None:
    raise AssertionError(event)


def test_the_watcher_tells_of_a_met_stop_within_seconds() -> None:
    bench = Bench(btc="1")

    async def run() -> tuple[OrderReported, float]:
        watching = asyncio.create_task(bench.venue.watch(nothing_is_taken_away))
        await asyncio.sleep(60)
        await bench.venue.submit(a_stop("95"))
        await asyncio.sleep(30)
        bench.market.is_away = True
        await asyncio.sleep(5)
        bench.market.is_away = False
        bench.book("94.0", "94.5")
        since = asyncio.get_running_loop().time()
        report = await anext(bench.venue.reports())
        watching.cancel()
        return report, asyncio.get_running_loop().time() - since

    report, waited_s = run_virtual(run())

    assert (report.client_order_id, report.state) == ("tdone", OrderState.FILLED)
    assert waited_s <= 2.0


def test_what_was_taken_from_a_level_comes_back_by_half_each_half_life() -> None:
    bench = Bench(recovery_s=10.0)
    bench.book("99.9", "100.1", "4")
    bench.submit(an_order("tda", "4"))

    assert bench.submit(an_order("tdb", "4"))[0].filled_quantity == 0
    bench.clock.advance_to(bench.clock.now_ns() + 10 * 1_000_000_000)
    assert bench.submit(an_order("tdc", "4"))[0].filled_quantity == 2


def test_the_same_order_is_as_late_in_every_process_and_others_are_not() -> None:
    terms = PaperTerms(latency_ms=100, latency_jitter_ms=50, seed=7)
    waits = [terms.latency_s(f"td{each}") for each in range(2_000)]

    assert waits == [terms.latency_s(f"td{each}") for each in range(2_000)]
    assert min(waits) >= 0.1
    assert sum(waits) / len(waits) == pytest.approx(0.150, abs=0.005)
    assert max(waits) <= 0.1 + 0.05 * 10
    assert waits[0] != PaperTerms(latency_ms=100, latency_jitter_ms=50, seed=8).latency_s("td0")


def test_fees_fall_with_what_was_traded_until_then() -> None:
    bench = Bench(tiers=(FeeTier(100.0, 1.0, 2.0),))
    start_ns = bench.clock.now_ns()

    (first,) = bench.submit(an_order("tda", "1"))
    bench.venue.charge_by(lambda ts_ns: D(99) if ts_ns < start_ns + HOUR_NS else D(100))
    (second,) = bench.submit(an_order("tdb", "1"))
    bench.clock.advance_to(start_ns + HOUR_NS)
    (third,) = bench.submit(an_order("tdc", "1"))

    fees = [each.fills[0].fee for each in (first, second, third)]
    assert fees == [D("0.001"), D("0.001"), D("0.0002")]


def test_measured_slippage_makes_market_fills_worse_and_no_limit() -> None:
    bench = Bench(btc="5", extra_slippage_bps=20.0)

    buy, sale, limit = bench.submit(
        an_order("tda", "1"), an_order("tdb", "1", side=Side.SELL), a_limit("100.2", "1", "tdc")
    )

    assert buy.fills[0].price == D("100.4")
    assert sale.fills[0].price == D("99.7")
    assert limit.fills[0].price <= D("100.2")


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["market", "limit", "stop"]),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 40),  # tenths of a coin
        st.integers(-30, 30),  # from 100
        st.sampled_from(["look", "cancel", "leave", "restart"]),
        st.integers(-25, 25),  # where the market goes then
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ORDERS)
def test_under_any_orders_the_books_close_nothing_is_oversold_no_limit_broken_and_restarts_agree(
    plan: list[tuple[str, Side, int, int, str, int]],
) -> None:
    bench = Bench(usdt="500", btc="3", extra_slippage_bps=7.0)
    sent: dict[str, SubmitOrder] = {}
    for number, (kind, side, tenths, offset, then, drift) in enumerate(plan):
        order = _planned(f"td{number}", kind, side, D(tenths) / 10, D(100 + offset))
        sent[order.client_order_id] = order
        bench.submit(order)
        bench.clock.advance_to(bench.clock.now_ns() + HOUR_NS // 7)
        bench.book(str(100 + drift), str(100 + drift + 1), "2")
        bench.candle(90.0 + drift, 110.0 + drift, hour=number, volume=float(number))
        if then == "look":
            bench.look(order.client_order_id)
        elif then == "cancel":
            bench.cancel(order.client_order_id)
        elif then == "restart":
            _restart(bench, sent)
        _check(bench, sent)


def _planned(ours: str, kind: str, side: Side, quantity: Decimal, price: Decimal) -> SubmitOrder:
    order_type = OrderType(kind)
    return SubmitOrder(
        ts_ns=NOW_NS,
        client_order_id=ours,
        instrument=BTC,
        side=side,
        order_type=order_type,
        quantity=quantity,
        decision_price=D(100),
        price=price if order_type is OrderType.LIMIT else None,
        stop_price=price if order_type is OrderType.STOP else None,
    )


def _restart(bench: Bench, sent: dict[str, SubmitOrder]) -> None:
    """Another process that knows what a journal would; it must say what the first one said."""
    before = bench.venue
    told = {ours: before._matching.booked[ours] for ours in sent}
    account = asyncio.run(before.account([BTC], 0))
    locked = {each: before._matching.account.free(each) for each in ("USDT", "BTC")}
    orders = [_journaled(sent[ours], report) for ours, report in told.items()]
    bench.venue = bench.another()
    bench.venue.restore(orders, account.fills)
    after = asyncio.run(bench.venue.account([BTC], 0))
    assert after == account
    assert {each: bench.venue._matching.account.free(each) for each in locked} == locked
    for ours, report in told.items():
        again = bench.venue._matching.booked[ours]
        assert (again.outcome, again.state, again.fills) == (
            report.outcome,
            report.state,
            report.fills,
        )


def _journaled(order: SubmitOrder, report: OrderReported) -> Order:
    refused = OrderState.REFUSED if report.outcome is Outcome.REFUSED else None
    return Order(
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        side=order.side,
        quantity=order.quantity,
        decision_price=order.decision_price,
        trace="",
        intended_ns=order.ts_ns,
        order_type=order.order_type,
        price=order.price,
        stop_price=order.stop_price,
        state=refused or report.state or OrderState.ACCEPTED,
    )


def _check(bench: Bench, sent: dict[str, SubmitOrder]) -> None:
    account = asyncio.run(bench.venue.account([BTC], 0))
    expected = dict(bench.start)
    for told in account.fills:
        fill, sign = told.fill, 1 if told.side is Side.BUY else -1
        expected["BTC"] += sign * fill.quantity
        expected["USDT"] -= sign * fill.quantity * fill.price
        expected[fill.fee_currency] -= fill.fee
        limit = sent[told.client_order_id or ""].price
        if limit is not None:
            assert fill.price <= limit if told.side is Side.BUY else fill.price >= limit
    assert account.totals == {name: each for name, each in expected.items() if each}
    assert all(each >= 0 for each in account.totals.values())
    assert all(bench.venue._matching.account.free(each) >= 0 for each in expected)
    for ours, order in sent.items():
        report = bench.venue._matching.booked[ours]
        assert sum((each.quantity for each in report.fills), D(0)) <= order.quantity
        assert (ours in account.open_client_order_ids) is (
            report.outcome is Outcome.ACKNOWLEDGED
            and report.state in {OrderState.ACCEPTED, OrderState.PARTLY_FILLED}
        )
