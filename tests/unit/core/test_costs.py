"""What fills have cost, and what the next one is expected to cost."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.blotter import Blotter
from daemon.core.costs import CostEstimate, Schedule, distribution
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg
from daemon.core.pipeline import Pipeline, apply, on
from tests.builders import BTC, a_run_opened, an_intent, an_order_filled

D = Decimal
ETH = InstrumentId(BTC.exchange, "ETH/USDT")


class Desk:
    """The estimate on its routes; every fill is the whole of an order of its own."""

    def __init__(self, **schedule: Any) -> None:
        known = {"taker_bps": 10.0, "maker_bps": 2.0, "slippage_bps": 5.0}
        self.blotter = Blotter()
        self.costs = CostEstimate(Schedule(**(known | schedule)), self.blotter)
        self.pipeline = Pipeline(
            (
                apply(e.RunOpened, self.costs.apply_run_opened),
                apply(e.OrderIntended, self.blotter.apply_order_intended),
                apply(e.OrderFilled, self.blotter.apply_order_filled),
                apply(e.OrderFilled, self.costs.apply_order_filled),
                on(e.OrderFilled, self.costs.on_order_filled, e.FeesDrifted),
                apply(e.FeesDrifted, self.costs.apply_fees_drifted),
            )
        )
        self.journal: list[e.Event] = []
        self.take(a_run_opened())

    def take(self, event: e.Event) -> list[e.Event]:
        events = self.pipeline.step(event).events
        self.journal += events
        return [each for each in events if isinstance(each, e.FeesDrifted)]

    def fills(
        self, count: int = 1, *, slip_bps: float = 0.0, fee_bps: float = 10.0, **changes: Any
    ) -> list[e.Event]:
        told: list[e.Event] = []
        for _ in range(count):
            ours = f"td{len(self.blotter.orders)}"
            leg = changes.get("leg", Leg.ENTRY)
            self.take(an_intent(client_order_id=ours, quantity=D(1), leg=leg))
            told += self.take(
                an_order_filled(
                    client_order_id=ours,
                    trade_id=ours,
                    price=D(100),
                    quantity=changes.get("quantity", D(1)),
                    fee=D(repr(fee_bps)) / 100,
                    fee_currency=changes.get("fee_currency", "USDT"),
                    is_maker=changes.get("is_maker", False),
                    slippage_bps=slip_bps,
                    arrival_slippage_bps=slip_bps / 2,
                )
            )
        return told


def test_without_fills_the_schedule_is_the_estimate_to_the_last_bit() -> None:
    costs = Desk(taker_on={"okx": 8.0}).costs

    assert costs.of(BTC).round_trip_ratio == 2.0 * (10.0 / 10_000 + 5.0 / 10_000)
    assert costs.of(InstrumentId("okx", "BTC/USDT")).fee_ratio == 8.0 / 10_000


def test_real_slippage_takes_over_as_fills_come_and_of_its_own_instrument_only() -> None:
    desk = Desk(slippage_prior_fills=50)
    desk.fills(50, slip_bps=15.0)

    assert desk.costs.of(BTC).slippage_ratio == pytest.approx(10.0 / 10_000)
    assert desk.costs.of(ETH).slippage_ratio == 5.0 / 10_000


def test_luck_is_not_expected_to_go_on_below_zero() -> None:
    desk = Desk(slippage_prior_fills=1)
    desk.fills(50, slip_bps=-40.0)

    assert desk.costs.of(BTC).slippage_ratio == 0.0


def test_one_fill_in_a_market_that_ran_away_counts_no_more_than_a_percent() -> None:
    desk = Desk(slippage_prior_fills=99)
    desk.fills(1, slip_bps=9_000.0)

    assert desk.costs.of(BTC).slippage_ratio == pytest.approx((99 * 5 + 100) / 100 / 10_000)


def test_a_fill_of_half_an_order_weighs_half() -> None:
    desk = Desk(slippage_prior_fills=1)
    desk.fills(2, slip_bps=25.0, quantity=D("0.5"), fee_bps=5.0)

    assert desk.costs.of(BTC).slippage_ratio == pytest.approx(15.0 / 10_000)


def test_a_stop_that_protected_says_nothing_of_the_next_entry() -> None:
    desk = Desk()
    desk.fills(30, slip_bps=80.0, leg=Leg.STOP)

    assert desk.costs.of(BTC).slippage_ratio == 5.0 / 10_000
    assert desk.costs.slippage() == {}


def test_fees_beyond_the_schedule_are_told_once_and_expected_from_then_on() -> None:
    desk = Desk()
    told = desk.fills(30, fee_bps=11.0)

    assert [(each.exchange, each.expected_bps, each.charged_bps) for each in told] == [  # type: ignore[attr-defined]
        (BTC.exchange, 10.0, pytest.approx(11.0, abs=0.001))
    ]
    assert desk.costs.of(BTC).fee_ratio == pytest.approx(10.75 / 10_000, rel=1e-3)


@pytest.mark.parametrize(
    "fills",
    [
        {"fee_bps": 10.0},
        {"fee_bps": 2.0, "is_maker": True},
        {"fee_bps": 4.0},
        {"fee_bps": 90.0, "fee_currency": "BNB"},
    ],
)
def test_fees_as_agreed_or_lower_or_in_a_third_asset_are_no_drift(fills: dict[str, Any]) -> None:
    assert Desk().fills(30, **fills) == []


def test_the_last_grain_of_a_tiny_fee_is_no_drift() -> None:
    desk = Desk()
    tiny: dict[str, Any] = {"quantity": D("0.000001"), "fee_bps": 0.000011}
    assert desk.fills(30, **tiny) == []


def test_recovery_knows_what_the_first_process_knew() -> None:
    desk = Desk()
    desk.fills(12, slip_bps=7.3, fee_bps=11.0)
    again = Desk()
    again.pipeline.recover(e.decode(e.encode(each)) for each in desk.journal[1:])

    assert again.costs.of(BTC) == desk.costs.of(BTC)
    assert again.costs.slippage() == desk.costs.slippage()
    assert again.fills(1, fee_bps=11.0) == []


def test_a_distribution_tells_its_mean_and_a_value_near_its_end() -> None:
    known = distribution([float(each) for each in range(1, 101)])

    assert known is not None
    assert (known.n, known.mean_bps, known.p95_bps) == (100, 50.5, 95.0)
    assert distribution([]) is None
