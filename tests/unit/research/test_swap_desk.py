"""Swaps in the simulated venue: fees, reduce-only, funding and liquidation."""

from decimal import Decimal
from typing import Any, Final

import pytest

from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.instruments import InstrumentId, MarketType
from daemon.core.orders import OrderState, OrderType, Side
from daemon.research.simulated_venue import FillModel, SimulatedVenue
from daemon.research.swap_desk import SwapTerms
from tests.builders import HOUR_NS, OPEN_NS, a_bar, a_submission, an_instrument

D = Decimal
SWAP: Final = InstrumentId("embedded", "BTC/USDT:USDT")
FREE: Final = FillModel(
    fee_bps=D(10),
    spread_bps=D(0),
    slippage_bps=D(0),
    depth_ratio=D(1),
    participation_max_ratio=D(1),
    latency_ns=0,
)
MIDNIGHT_NS: Final = OPEN_NS - OPEN_NS % (24 * HOUR_NS)


def a_swap_bar(hour: int, **prices: float) -> Bar:
    told = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1e6} | prices
    return a_bar(instrument=SWAP, open_ns=MIDNIGHT_NS + hour * HOUR_NS, **told)


class Desk:
    """A venue with a day of quiet bars, on which one order an hour is sent."""

    def __init__(self, cash_quote: str = "1000000", **terms: Any) -> None:
        listed = an_instrument(id=SWAP, lot=D("0.001"), market_type=MarketType.SWAP)
        bars = {(SWAP, bar.open_ns): bar for bar in map(a_swap_bar, range(30))}
        terms = {"leverage": D(5), "maintenance_ratio": D("0.01")} | terms
        cash = {(SWAP.exchange, "USDT"): D(cash_quote)}
        self.venue = SimulatedVenue(
            {SWAP: listed}, bars, HOUR_NS, FREE, cash=cash, terms=SwapTerms(**terms)
        )
        self.orders = 0

    def sends(self, side: Side, quantity: str, **changes: Any) -> e.OrderReported:
        self.orders += 1
        return self.venue.answer(
            a_submission(
                ts_ns=MIDNIGHT_NS,
                client_order_id=f"td{self.orders}",
                instrument=SWAP,
                side=side,
                quantity=D(quantity),
                **changes,
            )
        )

    def passes(self, bar: Bar) -> list[e.Input]:
        return list(self.venue.passing(e.BarsClosed(ts_ns=bar.close_ns, bars=(bar,))))


@pytest.mark.parametrize("side", list(Side))
def test_both_sides_pay_their_fee_in_quote(side: Side) -> None:
    (fill,) = Desk().sends(side, "2").fills

    assert (fill.fee, fill.fee_currency) == (D("0.2"), "USDT")


def test_an_exit_only_ever_makes_a_swap_smaller() -> None:
    desk = Desk()
    desk.sends(Side.BUY, "2")

    some = desk.sends(Side.SELL, "3", is_exit=True)
    none = desk.sends(Side.SELL, "1", is_exit=True)

    assert (some.state, some.filled_quantity) == (OrderState.EXPIRED, D(2))
    assert (none.state, none.reason) == (OrderState.EXPIRED, "there is nothing to reduce")


def test_funding_is_due_every_eight_hours_of_the_clock() -> None:
    desk = Desk(funding_ratio=D("0.0001"))
    desk.sends(Side.SELL, "2")

    told = [each for hour in range(24) for each in desk.passes(a_swap_bar(hour, close=101.0))]

    assert [each.ts_ns for each in told] == [MIDNIGHT_NS + hour * HOUR_NS for hour in (8, 16, 24)]
    assert {(each.rate, each.price) for each in told if isinstance(each, e.FundingCharged)} == {
        (D("0.0001"), D("101.0"))
    }


def test_rates_that_are_told_are_the_only_ones() -> None:
    at_ns = MIDNIGHT_NS + 3 * HOUR_NS - 1
    desk = Desk(funding_ratio=D("0.0001"), rates={SWAP.symbol: {at_ns: D("-0.002")}})
    desk.sends(Side.BUY, "2")

    (told,) = [each for hour in range(24) for each in desk.passes(a_swap_bar(hour))]

    assert isinstance(told, e.FundingCharged)
    assert (told.ts_ns, told.rate) == (MIDNIGHT_NS + 3 * HOUR_NS, D("-0.002"))


@pytest.mark.parametrize(
    "terms",
    [
        {"funding_ratio": D("0.0001")},
        {"rates": {SWAP.symbol: {MIDNIGHT_NS + 8 * HOUR_NS: D("0.0001")}}},
    ],
)
def test_funding_that_falls_into_a_hole_is_paid_at_the_bar_behind_it(terms: Any) -> None:
    desk = Desk(**terms)
    desk.sends(Side.SELL, "2")
    before = [each for hour in range(5) for each in desk.passes(a_swap_bar(hour))]

    (told,) = desk.passes(a_swap_bar(9, open=99.0))

    assert before == []
    assert isinstance(told, e.FundingCharged)
    assert (told.ts_ns, told.rate, told.price) == (MIDNIGHT_NS + 10 * HOUR_NS, D("0.0001"), D(99))
    assert desk.passes(a_swap_bar(10)) == [], "once"


def test_a_swap_that_is_taken_away_behind_a_hole_has_paid_for_it_first() -> None:
    desk = Desk(funding_ratio=D("0.0001"))
    desk.sends(Side.BUY, "2")
    desk.passes(a_swap_bar(5))

    told = desk.passes(a_swap_bar(9, open=70.0))

    assert [type(each) for each in told] == [e.FundingCharged, e.PositionLiquidated]


def test_who_enters_behind_a_hole_pays_nothing_for_it() -> None:
    desk = Desk(funding_ratio=D("0.0001"))
    desk.passes(a_swap_bar(5))
    desk.sends(Side.SELL, "2")

    assert desk.passes(a_swap_bar(9)) == []


def test_who_holds_nothing_pays_nothing() -> None:
    assert Desk(funding_ratio=D("0.0001")).passes(a_swap_bar(7)) == []


@pytest.mark.parametrize(
    ("side", "near", "beyond", "gone"),
    [
        (Side.BUY, {"low": 81.0}, {"low": 80.5}, D(80)),
        (Side.SELL, {"high": 118.0}, {"high": 119.0}, D(120)),
    ],
)
def test_a_bar_that_trades_beyond_the_margin_takes_the_position_away(
    side: Side, near: dict[str, float], beyond: dict[str, float], gone: Decimal
) -> None:
    desk = Desk()
    desk.sends(side, "2")

    assert desk.passes(a_swap_bar(1, **near)) == []
    (told,) = desk.passes(a_swap_bar(2, **beyond))

    assert isinstance(told, e.PositionLiquidated)
    assert told.price == gone, "all of the margin is lost with it"
    assert desk.passes(a_swap_bar(3, **beyond)) == []


def stop(desk: Desk) -> e.OrderReported:
    return desk.sends(
        Side.SELL, "2", is_exit=True, order_type=OrderType.STOP, stop_price=D(90),
        decision_price=D(90),
    )  # fmt: skip


def test_a_stop_is_quicker_than_a_liquidation() -> None:
    desk = Desk()
    desk.sends(Side.BUY, "2")
    stop(desk)

    (told,) = desk.passes(a_swap_bar(1, low=70.0))

    assert isinstance(told, e.OrderReported)
    assert told.state is OrderState.FILLED


def test_but_not_where_the_market_opens_beyond_both() -> None:
    desk = Desk()
    desk.sends(Side.BUY, "2")
    stop(desk)

    ended, gone = desk.passes(a_swap_bar(1, open=70.0, low=70.0))

    assert isinstance(ended, e.OrderReported)
    assert (ended.state, ended.reason) == (OrderState.EXPIRED, "the position was liquidated")
    assert isinstance(gone, e.PositionLiquidated)


def test_a_swap_is_opened_for_its_margin_and_fee_and_no_more_than_there_is() -> None:
    desk = Desk(cash_quote="201")

    # 1000 of notional at a fivefold: 200 of margin, and a fee of 1.
    assert "insufficient balance" in desk.sends(Side.BUY, "10.1").reason
    assert desk.sends(Side.BUY, "10").state is OrderState.FILLED
    assert "insufficient balance" in desk.sends(Side.BUY, "0.1").reason
    assert desk.sends(Side.SELL, "10", is_exit=True).state is OrderState.FILLED
    assert desk.sends(Side.SELL, "9.9").state is OrderState.FILLED
