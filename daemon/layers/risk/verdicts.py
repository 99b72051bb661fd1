"""From a situation to a verdict: the gates, then the size, then an approval with all its numbers.

Belongs here: the order in which a signal is judged. The rules belong to `gates` and `sizing`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import BoundBy, DenyReason, Direction, OrderApproved, OrderDenied
from daemon.core.orders import Side
from daemon.layers.risk.denials import Denial, told
from daemon.layers.risk.gates import ENTRY_GATES, EXIT_GATES, below_minimum, first_denial
from daemon.layers.risk.sizing import NO_STAKE, clamp, exact, kelly, quantity_for

if TYPE_CHECKING:
    from daemon.config import RiskSection
    from daemon.core.costs import Costs
    from daemon.core.events import Payoff
    from daemon.layers.risk.situations import Situation
    from daemon.layers.risk.sizing import Stake

ZERO = Decimal(0)


def leave(now: Situation, config: RiskSection) -> OrderApproved | OrderDenied:
    """Close what is there; no halt, stale feed or limit stands in the way of an exit."""
    if denial := first_denial(EXIT_GATES, now, config):
        return _no(now, denial)
    ratio = exact(now.signal.close_ratio)
    # Each exchange in its own lots: what is less than one of another's can be sold all the same.
    quantity = sum((each.lots(ratio) for each in now.holdings), ZERO)
    if quantity <= 0 or now.mark is None:
        return _no(now, Denial(DenyReason.NOTHING_TO_CLOSE, str(now.quantity)))
    denial = below_minimum(now.instrument, quantity, now.mark, is_exit=True)
    if denial and not any(each.takes(now.mark, ratio) for each in now.holdings):
        return _no(now, denial)
    return _approve(
        now,
        side=Side.SELL if now.quantity > 0 else Side.BUY,
        quantity=quantity,
        price=now.mark,
        bound_by=BoundBy.POSITION,
        stake=NO_STAKE,
        wanted=now.room.valued(quantity * now.mark),
    )


def enter(
    now: Situation, payoff: Payoff | None, config: RiskSection, costs: Costs
) -> OrderApproved | OrderDenied:
    """Open what Kelly wants and the caps allow, in whole lots."""
    if denial := first_denial(ENTRY_GATES, now, config):
        return _no(now, denial)
    stake = stake_of(now, payoff, config, costs)
    if isinstance(stake, Denial):
        return _no(now, stake)
    wanted = exact(stake.used_ratio) * now.room.equity
    clamped = clamp(wanted, replace(now.room, shown=shown(now)), config, costs)
    capped = Denial(clamped.deny_reason, f"{wanted:.2f}", f"{clamped.notional:.2f}")
    if not (clamped.notional.is_finite() and clamped.notional > 0):
        return _no(now, capped)
    assert now.mark is not None, "has_price is a gate"
    notional = now.room.in_quote(clamped.notional)
    quantity = quantity_for(notional, now.mark, now.instrument, costs)
    if denial := _too_small(now, quantity, now.mark, costs):
        return _no(now, denial if clamped.bound_by is BoundBy.KELLY else capped)
    return _approve(
        now,
        side=Side.BUY if now.is_long else Side.SELL,
        quantity=quantity,
        price=now.mark,
        bound_by=clamped.bound_by,
        stake=stake,
        wanted=wanted,
    )


def _too_small(now: Situation, quantity: Decimal, price: Decimal, costs: Costs) -> Denial | None:
    """Also what could not be left again at its stop, once a fee in base is taken off it: no
    exchange has to take a stop that is worth less than its smallest order.
    """
    if denial := below_minimum(now.instrument, quantity, price):
        return denial
    left = now.instrument.quantize_down(quantity * (1 - exact(costs.fee_ratio)))
    worst = price * (1 - exact(now.stop_loss_ratio))
    return below_minimum(now.instrument, left, worst, is_exit=True)


def shown(now: Situation) -> Decimal | None:
    """What the book's side is worth, as sums of the room are."""
    shown = now.shown_notional
    return None if shown is None else now.room.valued(shown)


def stake_of(
    now: Situation, payoff: Payoff | None, config: RiskSection, costs: Costs
) -> Stake | Denial:
    probability = now.signal.win_probability
    if probability is None or not 0.0 <= probability <= 1.0:
        return Denial(DenyReason.NOT_FINITE, str(probability))
    if payoff is None:
        return Denial(DenyReason.NO_PAYOFFS)
    stake = kelly(probability, payoff, costs.round_trip_ratio, config.kelly_ratio)
    if stake is None:
        numbers = f"{payoff.win_ratio:.6f}", f"{costs.round_trip_ratio:.6f}"
        return Denial(DenyReason.NO_PAYOFFS, *numbers)
    if not stake.used_ratio > 0.0:
        return Denial(DenyReason.NO_KELLY_STAKE, f"{stake.full_ratio:.4f}", "0")
    return stake


def _approve(
    now: Situation,
    *,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    bound_by: BoundBy,
    stake: Stake,
    wanted: Decimal,
) -> OrderApproved:
    notional, equity = now.room.valued(quantity * price), now.room.equity
    return OrderApproved(
        ts_ns=now.signal.ts_ns,
        instrument=now.signal.instrument,
        trace=now.signal.trace,
        close_ns=now.signal.close_ns,
        side=side,
        quantity=quantity,
        decision_price=price,
        is_exit=now.signal.direction is Direction.FLAT,
        bound_by=bound_by,
        kelly_full_ratio=stake.full_ratio,
        kelly_used_ratio=stake.used_ratio,
        wanted_ratio=float(wanted / equity) if equity > 0 else 0.0,
        allowed_ratio=float(notional / equity) if equity > 0 else 0.0,
        notional_quote=notional,
        equity_quote=equity,
        drawdown_ratio=now.drawdown_ratio,
        arrival_price=now.arrival_price,
    )


def _no(now: Situation, denial: Denial) -> OrderDenied:
    return told(denial, now.signal, now.signal.ts_ns)
