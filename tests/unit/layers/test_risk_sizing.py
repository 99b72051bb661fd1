import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import RiskSection
from daemon.core import events as e
from daemon.core.costs import Costs
from daemon.layers.risk.sizing import (
    PRIOR_TRADES,
    Room,
    Tally,
    clamp,
    exact,
    kelly,
    quantity_for,
)
from tests.builders import a_payoff, an_instrument

COSTS = Costs(fee_ratio=0.001, slippage_ratio=0.0005)
FREE = Costs(fee_ratio=0.0, slippage_ratio=0.0)


# --- Kelly --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "win", "loss", "cost", "full"),
    [
        # b = 1: f = p - q
        (0.60, 0.01, 0.01, 0.0, 0.20),
        # b = 2: f = p - q/2
        (0.50, 0.02, 0.01, 0.0, 0.25),
        # Costs shrink the win and grow the loss: b = 0.007/0.013, f = 0.65 - 0.35 * 13/7 = 0
        (0.65, 0.01, 0.01, 0.003, 0.0),
        # b = 0.017/0.018, f = 0.70 - 0.30 * 18/17
        (0.70, 0.020, 0.015, 0.003, 0.70 - 0.30 * 18 / 17),
    ],
)
def test_the_full_stake_is_the_formula_by_hand(
    probability: float, win: float, loss: float, cost: float, full: float
) -> None:
    stake = kelly(probability, a_payoff(win_ratio=win, loss_ratio=loss), cost, 0.25)

    assert stake is not None
    assert stake.full_ratio == pytest.approx(full, abs=1e-12)
    assert stake.used_ratio == pytest.approx(max(0.0, full) * 0.25, abs=1e-12)


def test_a_bet_that_loses_on_average_has_a_negative_full_stake_and_uses_nothing() -> None:
    stake = kelly(0.4, a_payoff(win_ratio=0.01, loss_ratio=0.01), 0.0, 0.25)

    assert stake is not None
    assert stake.full_ratio == pytest.approx(-0.2)
    assert stake.used_ratio == 0.0


@pytest.mark.parametrize(
    ("win", "loss", "cost"),
    [(0.003, 0.01, 0.003), (0.001, 0.01, 0.003), (0.01, 0.0, 0.0), (0.01, -0.5, 0.0)],
)
def test_where_costs_leave_nothing_to_win_or_nothing_can_be_lost_there_is_no_stake(
    win: float, loss: float, cost: float
) -> None:
    assert kelly(0.9, a_payoff(win_ratio=win, loss_ratio=loss), cost, 0.25) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", range(5))
def test_a_number_that_is_none_gives_no_stake(bad: float, which: int) -> None:
    numbers = [0.6, 0.01, 0.01, 0.0, 0.25]
    numbers[which] = bad
    probability, win, loss, cost, share = numbers

    assert kelly(probability, a_payoff(win_ratio=win, loss_ratio=loss), cost, share) is None


@given(st.floats(0.0, 1.0), st.floats(0.0001, 1.0), st.floats(0.0001, 1.0), st.floats(0.0, 0.01))
def test_a_stake_is_never_more_than_everything_and_costs_never_make_it_larger(
    probability: float, win: float, loss: float, cost: float
) -> None:
    payoff = a_payoff(win_ratio=win, loss_ratio=loss)

    free, dear = kelly(probability, payoff, 0.0, 1.0), kelly(probability, payoff, cost, 1.0)

    assert free is not None
    assert 0.0 <= free.used_ratio <= 1.0
    assert dear is None or dear.used_ratio <= free.used_ratio


# --- payoffs from the ledger --------------------------------------------------------------------


def test_without_trades_the_payoffs_are_the_models() -> None:
    payoff = Tally().shrunk(a_payoff(win_ratio=0.0061, loss_ratio=0.0058, n=812), 0.003)

    assert payoff.win_ratio == pytest.approx(0.0061)
    assert payoff.loss_ratio == pytest.approx(0.0058)
    assert payoff.n == 812


def test_trades_move_the_payoffs_by_their_share_and_are_made_gross_again() -> None:
    tally = Tally()
    for net in [0.017] * PRIOR_TRADES + [-0.023] * PRIOR_TRADES:
        tally.add(net)

    payoff = tally.shrunk(a_payoff(win_ratio=0.01, loss_ratio=0.01, n=100), 0.003)

    # As many trades as the prior weighs: half way between 1 % and the gross 2 %.
    assert payoff.win_ratio == pytest.approx(0.015)
    assert payoff.loss_ratio == pytest.approx(0.015)
    assert payoff.n == 100 + 2 * PRIOR_TRADES


def test_trades_that_lost_less_than_their_costs_do_not_make_a_loss_negative() -> None:
    tally = Tally()
    for _ in range(10_000):
        tally.add(-0.0001)

    assert tally.shrunk(a_payoff(), 0.003).loss_ratio == 0.0


# --- caps ---------------------------------------------------------------------------------------


def a_room(**changes: Any) -> Room:
    amounts: dict[str, Any] = {
        "equity": 10_000,
        "cash": 10_000,
        "held_here": 0,
        "held_everywhere": 0,
        "pending_here": 0,
        "pending_everywhere": 0,
        "pending_on_exchange": 0,
    }
    return Room(**{name: _exactly(value) for name, value in (amounts | changes).items()})


def _exactly(value: Any) -> Any:
    return Decimal(value) if isinstance(value, int) else value


def tightest(wanted: int, room: Room, **config: Any) -> tuple[str, Decimal]:
    clamped = clamp(Decimal(wanted), room, RiskSection(**config), COSTS)
    return clamped.bound_by.value, clamped.notional


def test_what_is_wanted_is_taken_where_every_cap_is_wider() -> None:
    assert tightest(500, a_room()) == ("kelly", Decimal(500))


def test_the_position_cap_counts_what_is_held_and_what_is_pending() -> None:
    assert tightest(5_000, a_room()) == ("max_position_ratio", Decimal(1_000))
    assert tightest(5_000, a_room(held_here=300)) == ("max_position_ratio", Decimal(700))
    assert tightest(5_000, a_room(pending_here=300)) == ("max_position_ratio", Decimal(700))


def test_the_gross_cap_counts_all_instruments_and_all_pending_entries() -> None:
    room = a_room(held_everywhere=2_000, pending_everywhere=600)

    assert tightest(5_000, room) == ("max_gross_exposure_ratio", Decimal(400))


def test_one_order_has_a_largest_notional_of_its_own() -> None:
    config = {"max_position_ratio": 0.9, "max_gross_exposure_ratio": 0.9}

    assert tightest(5_000, a_room(), **config) == ("max_order_notional", Decimal(2_500))


def test_only_free_cash_is_spent_and_the_fee_must_fit_too() -> None:
    bound_by, notional = tightest(
        5_000, a_room(cash=600, pending_everywhere=300, pending_on_exchange=100)
    )

    assert bound_by == "free_capital"
    assert float(notional * Decimal("1.001")) == pytest.approx(500)


def test_the_fee_of_a_swap_is_one_of_its_notional_and_not_of_its_margin() -> None:
    limits = {"max_position_ratio": 5.0, "max_gross_exposure_ratio": 5.0, "max_leverage": 5.0}
    room = a_room(equity=500, cash=2_500, margin_ratio=Decimal("0.2"))  # 500 are free

    bound_by, notional = tightest(10_000, room, **limits)

    assert bound_by == "free_capital"
    assert notional / 5 + notional * Decimal("0.001") == pytest.approx(Decimal(500))


def test_a_cap_that_is_used_up_leaves_nothing_and_names_the_denial() -> None:
    clamped = clamp(Decimal(500), a_room(held_here=1_200), RiskSection(), COSTS)
    gross = clamp(Decimal(500), a_room(held_everywhere=3_000), RiskSection(), COSTS)
    broke = clamp(Decimal(500), a_room(cash=-1), RiskSection(), COSTS)

    assert clamped.notional < 0
    assert clamped.deny_reason is e.DenyReason.POSITION_CAP
    assert gross.deny_reason is e.DenyReason.GROSS_EXPOSURE_CAP
    assert broke.deny_reason is e.DenyReason.NO_CAPITAL


@given(
    st.decimals("1", "1000000", places=2),
    st.decimals("0.00001", "100000", places=8),
    st.decimals("0.00000001", "10", places=8),
    st.floats(0.0, 0.1),
)
def test_the_quantity_is_whole_lots_and_stays_under_the_cap_at_the_price_it_may_fill_at(
    notional: Decimal, price: Decimal, lot: Decimal, slippage_ratio: float
) -> None:
    costs = Costs(fee_ratio=0.001, slippage_ratio=slippage_ratio)

    quantity = quantity_for(notional, price, an_instrument(lot=lot), costs)

    assert quantity % lot == 0
    assert quantity >= 0
    # Not a digit of headroom is asked for: the check itself rounds at the 28th.
    worst = quantity * price * (1 + exact(slippage_ratio))
    assert worst <= notional * (1 + Decimal("1e-26"))


def test_no_position_is_larger_than_what_one_stop_can_protect() -> None:
    pieces = an_instrument(lot=Decimal("0.1"), maximum_quantity=Decimal("2.05"))
    money = an_instrument(lot=Decimal("0.1"), maximum_notional=Decimal(300))

    assert quantity_for(Decimal(1_000), Decimal(100), pieces, FREE) == 2
    assert quantity_for(Decimal(1_000), Decimal(100), money, FREE) == Decimal("2.7")


def test_a_ratio_enters_money_as_it_was_written() -> None:
    assert exact(0.1) * 3 == Decimal("0.3")


def test_costs_of_a_round_trip_are_paid_going_in_and_coming_out() -> None:
    assert COSTS.round_trip_ratio == pytest.approx(0.003)
    assert FREE.round_trip_ratio == 0.0
