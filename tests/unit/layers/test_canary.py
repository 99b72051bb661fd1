"""After an arming the size grows only while orders do as on paper, and falls back by itself."""

from decimal import Decimal

import pytest

from daemon.core import events as e
from daemon.core.orders import Leg
from daemon.layers.risk.canary import fill_limit_ratio, slippage_limit_bps
from tests.builders import (
    BTC,
    CLOSE_NS,
    HOUR_NS,
    a_canary_begun,
    a_halt_requested,
    a_parent_ended,
    a_resume_requested,
    an_acceptance,
    an_order_completed,
    an_order_filled,
)
from tests.unit.layers.test_risk import Desk, approved

D = Decimal
DAY_HOURS = 24
STEP_HOURS = 5 * DAY_HOURS  # fifteen days in three steps


def armed(**terms: object) -> Desk:
    desk = Desk(max_losses_in_a_row=0)
    desk.takes(a_canary_begun(ts_ns=CLOSE_NS, **terms))
    return desk


def orders(desk: Desk, count: int, *, slippage_bps: float = 2.0, filled: str = "1") -> None:
    """Each approved for one unit, and filled in two parts."""
    for number in range(count):
        ours = f"td{len(desk.blotter.orders)}"
        desk.intends(ours, BTC, quantity=D(1), ts_ns=CLOSE_NS - HOUR_NS)
        desk.takes(an_acceptance(client_order_id=ours))
        for part in ("a", "b"):
            desk.takes(
                an_order_filled(
                    ts_ns=CLOSE_NS,
                    client_order_id=ours,
                    trade_id=f"{ours}{part}",
                    quantity=D("0.0001"),
                    slippage_bps=slippage_bps + (1.0 if part == "a" else -1.0) + 0.1 * number,
                )
            )
        desk.takes(an_order_completed(ts_ns=CLOSE_NS, client_order_id=ours))
        desk.takes(a_parent_ended(wanted_quantity=D(1), filled_quantity=D(filled)))


def later(desk: Desk, hour: int) -> e.OrderApproved:
    """A signal on the bar that closed so many hours after the first."""
    close_ns = CLOSE_NS + hour * HOUR_NS
    return approved(desk.asked(ts_ns=close_ns, close_ns=close_ns))


def steps(events: list[e.Event]) -> list[e.CanaryStepped]:
    return [each for each in events if isinstance(each, e.CanaryStepped)]


def test_the_first_entries_are_small_and_say_why() -> None:
    usual = approved(Desk().asked())
    small = approved(armed().asked())

    assert small.bound_by is e.BoundBy.CANARY
    assert small.wanted_ratio == usual.wanted_ratio
    assert abs(small.notional_quote - usual.notional_quote / 4) < D("0.2")
    assert armed(ratio=0.001).denied() == "canary"


def test_it_grows_in_steps_to_the_full_size_while_orders_are_as_on_paper() -> None:
    desk = armed()
    grown = []
    for number in range(1, 4):
        orders(desk, 6)
        assert steps(desk.closes(100.0, hour=number * STEP_HOURS - 1)) == []  # not over yet
        grown += steps(desk.closes(100.0, hour=number * STEP_HOURS))

    assert [(each.step, each.was_ratio, each.ratio) for each in grown] == [
        (1, 0.25, 0.5),
        (2, 0.5, 0.75),
        (3, 0.75, 1.0),
    ]
    assert {each.reason for each in grown} == {e.CanaryReason.AS_ON_PAPER}
    first = grown[0]
    assert (first.orders, first.slippage_bps, first.fill_ratio) == (6, 2.25, 1.0)
    assert desk.risk.canary.ratio == 1
    assert desk.risk.canary.status() == {}
    assert later(desk, 3 * STEP_HOURS).bound_by is e.BoundBy.KELLY
    orders(desk, 6, slippage_bps=90.0)
    assert steps(desk.closes(100.0, hour=4 * STEP_HOURS)) == []  # it is over


def test_without_orders_enough_nothing_is_known_and_it_does_not_grow() -> None:
    desk = armed()
    orders(desk, 4)

    assert steps(desk.closes(100.0, hour=10 * STEP_HOURS)) == []

    orders(desk, 1)
    assert [each.step for each in steps(desk.closes(100.0, hour=10 * STEP_HOURS + 1))] == [1]


@pytest.mark.parametrize(
    ("slippage_bps", "filled", "reason"),
    [
        (9.0, "1", e.CanaryReason.SLIPPAGE),
        (2.0, "0.5", e.CanaryReason.FILLS),
    ],
)
def test_it_falls_back_to_the_first_step_at_once_when_orders_are_worse_than_on_paper(
    slippage_bps: float, filled: str, reason: e.CanaryReason
) -> None:
    desk = armed()
    orders(desk, 6)
    desk.closes(100.0, hour=STEP_HOURS)
    assert desk.risk.canary.ratio == D("0.5")
    orders(desk, 6, slippage_bps=slippage_bps, filled=filled)

    (fell,) = steps(desk.closes(100.0, hour=STEP_HOURS + 1))

    assert (fell.step, fell.was_ratio, fell.ratio, fell.reason) == (0, 0.5, 0.25, reason)
    worse = fell.slippage_bps or 0.0, fell.slippage_limit_bps or 0.0
    fewer = fell.fill_ratio or 0.0, fell.fill_limit_ratio or 0.0
    assert (worse[0] > worse[1]) is (reason is e.CanaryReason.SLIPPAGE)
    assert (fewer[0] < fewer[1]) is (reason is e.CanaryReason.FILLS)
    assert later(desk, STEP_HOURS + 1).bound_by is e.BoundBy.CANARY
    # What was measured is measured anew, and the step takes its whole time again.
    assert steps(desk.closes(100.0, hour=STEP_HOURS + 2)) == []
    assert desk.risk.canary.status()["orders"] == 0


def test_better_than_on_paper_is_no_reason_to_fall_back() -> None:
    desk = armed()
    orders(desk, 6, slippage_bps=-40.0)

    assert [each.step for each in steps(desk.closes(100.0, hour=STEP_HOURS))] == [1]


def test_where_paper_has_not_told_its_costs_it_stays_small() -> None:
    desk = armed(paper_slippage_mean_bps=None, paper_slippage_sd_bps=None)
    orders(desk, 6)

    assert steps(desk.closes(100.0, hour=9 * STEP_HOURS)) == []
    assert desk.risk.canary.ratio == D("0.25")


def test_stops_and_what_we_ended_ourselves_say_nothing_of_the_market() -> None:
    desk = armed()
    desk.intends("stop", BTC, leg=Leg.STOP, quantity=D(1))
    desk.takes(an_order_filled(client_order_id="stop", quantity=D("0.1"), slippage_bps=500.0))
    desk.takes(a_parent_ended(reason=e.ParentEnd.HALTED, filled_quantity=D(0)))

    told = desk.risk.canary.status()
    assert (told["orders"], told["fill_ratio"]) == (0, None)


def test_a_restart_goes_on_where_it_was_and_decides_alike() -> None:
    desk = armed()
    orders(desk, 6)
    desk.closes(100.0, hour=STEP_HOURS)
    orders(desk, 3)
    again = Desk(journal=desk.journal, max_losses_in_a_row=0)

    assert again.risk.canary.status() == desk.risk.canary.status()
    for each in (desk, again):
        orders(each, 3)
    late = 2 * STEP_HOURS
    assert steps(again.closes(100.0, hour=late)) == steps(desk.closes(100.0, hour=late)) != []


def test_a_new_arming_begins_anew() -> None:
    desk = armed()
    orders(desk, 6)
    desk.closes(100.0, hour=STEP_HOURS)
    desk.takes(a_canary_begun(ts_ns=CLOSE_NS + 1, armed_ns=CLOSE_NS + 1, ratio=0.1))

    assert desk.risk.canary.ratio == D("0.1")


def test_of_probation_and_canary_the_smaller_cuts() -> None:
    desk = armed()
    for event in (a_halt_requested(ts_ns=CLOSE_NS), a_resume_requested(ts_ns=CLOSE_NS)):
        desk.takes(event)
    assert approved(desk.asked()).bound_by is e.BoundBy.CANARY  # a quarter, and a half

    other = armed(ratio=0.9)
    for event in (a_halt_requested(ts_ns=CLOSE_NS), a_resume_requested(ts_ns=CLOSE_NS)):
        other.takes(event)
    assert approved(other.asked()).bound_by is e.BoundBy.PROBATION


def test_the_limits_are_those_of_the_difference_of_two_means() -> None:
    terms = a_canary_begun()

    # 2 + 2.576 * 3 * sqrt(1/100 + 1/25)
    assert slippage_limit_bps(terms, 25) == pytest.approx(3.728, abs=1e-3)
    assert slippage_limit_bps(terms, 0) is None
    # 101 of 102: 0.9902 - 2.576 * sqrt(0.9902 * 0.0098 * (1/100 + 1/25))
    assert fill_limit_ratio(terms, 25) == pytest.approx(0.9334, abs=1e-3)
    assert fill_limit_ratio(a_canary_begun(paper_fill_ratio=None), 25) is None
