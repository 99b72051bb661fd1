from decimal import Decimal
from typing import Any

from daemon.core.events import OrderReported, Outcome
from daemon.core.orders import OrderState, Side
from daemon.research.simulated_venue import FillModel, SimulatedVenue
from tests.builders import BTC, CLOSE_NS, HOUR_NS, a_bar, a_submission, an_instrument

D = Decimal
MODEL = FillModel(
    fee_bps=D(10),
    spread_bps=D(4),
    slippage_bps=D(5),
    depth_ratio=D("0.01"),
    participation_max_ratio=D("0.05"),
    latency_ns=250_000_000,
)


def answered(
    quantity: str = "1", *, volume: float = 1_000.0, open_: float = 1_000.0, **changes: Any
) -> OrderReported:
    """An order of `quantity` decided at CLOSE_NS, against the bar that opens then."""
    bar = a_bar(open_ns=CLOSE_NS, open=open_, high=9e9, low=1e-9, close=5.0, volume=volume)
    venue = SimulatedVenue(
        {BTC: an_instrument()}, {(BTC, CLOSE_NS): bar}, HOUR_NS, changes.pop("model", MODEL)
    )
    changes.setdefault("ts_ns", CLOSE_NS)
    return venue.answer(a_submission(quantity=D(quantity), **changes))


def test_a_buyer_pays_the_next_open_half_the_spread_and_the_slippage() -> None:
    report = answered("1")

    # 2 bps of spread, 5 of slippage, and a tenth of a depth more for a thousandth of the volume.
    (fill,) = report.fills
    assert fill.price == D("1000.75")
    assert (report.state, report.filled_quantity) == (OrderState.FILLED, D(1))
    assert (fill.fee, fill.fee_currency) == (D("0.001"), "BTC")
    assert fill.ts_ns == CLOSE_NS + 250_000_000


def test_a_seller_gets_as_much_less_and_pays_his_fee_in_quote() -> None:
    (fill,) = answered("1", side=Side.SELL).fills

    assert fill.price == D("999.25")
    assert (fill.fee, fill.fee_currency) == (D("0.99925"), "USDT")


def test_only_the_open_and_the_volume_of_the_bar_are_looked_at() -> None:
    # High, low and close of the bar are absurd in `answered`, and the price is not.
    assert answered("1").fills[0].price == D("1000.75")


def test_a_large_order_pays_for_the_depth_it_takes() -> None:
    (small,), (large,) = answered("1").fills, answered("40").fills

    assert small.price < large.price
    # A fortieth of... 4 % of the volume is four depths: 2 + 5 x (1 + 4) = 27 bps.
    assert large.price == D("1002.70")


def test_what_the_volume_does_not_give_expires() -> None:
    report = answered("80")

    assert report.state is OrderState.EXPIRED
    assert report.outcome is Outcome.ACKNOWLEDGED
    assert report.filled_quantity == D(50)
    assert [fill.quantity for fill in report.fills] == [D(50)]


def test_in_a_bar_without_trades_nothing_fills() -> None:
    report = answered("1", volume=0.0)

    assert (report.state, report.filled_quantity, report.fills) == (OrderState.EXPIRED, D(0), ())


def test_an_order_that_arrives_later_fills_at_a_later_bar() -> None:
    late = FillModel(
        fee_bps=D(0), spread_bps=D(0), slippage_bps=D(0), depth_ratio=D(1),
        participation_max_ratio=D(1), latency_ns=HOUR_NS + 1,
    )  # fmt: skip

    report = answered("1", ts_ns=CLOSE_NS - HOUR_NS, model=late)

    assert report.fills[0].price == D("1000.00")


def test_an_order_that_meets_a_hole_is_refused_as_on_a_closed_market() -> None:
    report = answered("1", ts_ns=CLOSE_NS + HOUR_NS)

    assert report.outcome is Outcome.REFUSED
    assert "no bar" in report.reason


def test_the_filters_of_the_exchange_hold() -> None:
    assert "under" in answered("0.000001").reason
    assert "multiple" in answered("0.123456789").reason
    assert "notional" in answered("0.001").reason
    assert answered("0.001").outcome is Outcome.REFUSED
