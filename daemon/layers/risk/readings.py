"""What every gate looked at and what made the size, from the very rules that decide: for people.

Belongs here: the numbers of gates that said yes, and the arithmetic of a size step by step. The
rules themselves belong to `gates` and `sizing`; nothing that trades reads this.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from daemon.core.events import BoundBy, DenyReason, Direction, OrderApproved, OrderDenied, Payoff
from daemon.core.instruments import liquidation_distance, plain
from daemon.core.orders import Side
from daemon.core.timeframes import NS_PER_S
from daemon.layers.risk.denials import Denial
from daemon.layers.risk.gates import ENTRY_GATES, EXIT_GATES
from daemon.layers.risk.market_gates import BPS
from daemon.layers.risk.sizing import CAPS, UNBOUND, clamp, exact, quantity_for
from daemon.layers.risk.verdicts import enter, leave, shown, stake_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.config import RiskSection
    from daemon.core.costs import Costs
    from daemon.core.events import Quote, SignalEmitted
    from daemon.layers.risk.gates import Gate
    from daemon.layers.risk.handler import Risk
    from daemon.layers.risk.situations import Situation
    from daemon.layers.risk.sizing import Clamped

Numbers: TypeAlias = tuple[str, str]  # what was found, and the limit it was held against


class GateReading(Struct, frozen=True, kw_only=True):
    """One gate's answer; `reason` is the denial where it said no."""

    gate: str
    value: str
    limit: str
    reason: DenyReason | None = None


class Cap(Struct, frozen=True, kw_only=True):
    """The most that one rule allows, in the reporting currency; None where it is off."""

    rule: BoundBy
    notional_quote: Decimal | None


class SizeReading(Struct, frozen=True, kw_only=True):
    """How an entry's quantity came about; sums in the reporting currency."""

    win_probability: float
    payoff: Payoff
    fee_ratio: float
    slippage_ratio: float
    kelly_ratio: float  # of the full stake, by configuration
    full_ratio: float
    used_ratio: float
    equity_quote: Decimal
    wanted_quote: Decimal
    caps: tuple[Cap, ...]
    bound_by: BoundBy
    size_ratio: Decimal  # of what the tightest cap leaves: less on probation
    notional_quote: Decimal
    price: Decimal
    lot: Decimal
    quantity: Decimal


class Judgement(Struct, frozen=True, kw_only=True):
    """One verdict with everything it was made of; `gates` are all there are, in order."""

    direction: Direction
    is_quoted: bool  # with the book in hand, or before it was asked for
    gates: tuple[GateReading, ...]
    size: SizeReading | None  # of an entry that every gate let through
    held: Decimal
    verdict: OrderApproved | OrderDenied


def judgement(risk: Risk, signal: SignalEmitted, quote: Quote | None) -> Judgement:
    """What `risk` says to the signal as things stand, with all its numbers; changes nothing."""
    now, config = risk.situation(signal, quote), risk.config
    is_exit = signal.direction is Direction.FLAT
    readings = tuple(
        _reading(gate, now, config) for gate in (EXIT_GATES if is_exit else ENTRY_GATES)
    )
    size: SizeReading | None = None
    if is_exit:
        verdict = leave(now, config)
    else:
        costs = risk.costs(signal.instrument)
        payoff = risk.payoff(signal.direction, costs)
        verdict = enter(now, payoff, config, costs)
        if all(each.reason is None for each in readings):
            size = _size(now, payoff, config, costs)
    return Judgement(
        direction=signal.direction,
        is_quoted=quote is not None,
        gates=readings,
        size=size,
        held=now.quantity,
        verdict=verdict,
    )


def _reading(gate: Gate, now: Situation, config: RiskSection) -> GateReading:
    denial = gate(now, config)
    name = gate.__name__
    value, limit = READ[name](now, config)
    if denial is None:
        return GateReading(gate=name, value=value, limit=limit)
    # As it is told, without a word of ours where it says nothing.
    return GateReading(
        gate=name,
        value=denial.value or value,
        limit=denial.limit or limit,
        reason=denial.reason,
    )


def _size(
    now: Situation, payoff: Payoff | None, config: RiskSection, costs: Costs
) -> SizeReading | None:
    stake = stake_of(now, payoff, config, costs)
    probability, price = now.signal.win_probability, now.mark
    if payoff is None or price is None or probability is None or isinstance(stake, Denial):
        return None
    room = replace(now.room, shown=shown(now))
    wanted = exact(stake.used_ratio) * room.equity
    clamped: Clamped = clamp(wanted, room, config, costs)
    notional = room.in_quote(max(clamped.notional, Decimal(0)))
    caps = [(rule, cap(room, config, costs)) for rule, cap, _ in CAPS]
    return SizeReading(
        win_probability=probability,
        payoff=payoff,
        fee_ratio=costs.fee_ratio,
        slippage_ratio=costs.slippage_ratio,
        kelly_ratio=config.kelly_ratio,
        full_ratio=stake.full_ratio,
        used_ratio=stake.used_ratio,
        equity_quote=room.equity,
        wanted_quote=wanted,
        caps=tuple(
            Cap(rule=rule, notional_quote=None if most == UNBOUND else most) for rule, most in caps
        ),
        bound_by=clamped.bound_by,
        size_ratio=room.size_ratio,
        notional_quote=clamped.notional,
        price=price,
        lot=now.instrument.lot,
        quantity=quantity_for(notional, price, now.instrument, costs),
    )


# --- what each gate looks at --------------------------------------------------------------------


def _open_orders(now: Situation, _config: RiskSection) -> Numbers:
    return str(len(now.open_orders) + (now.parent is not None)), "0"


def _distrusted(now: Situation, _config: RiskSection) -> Numbers:
    return ("trusted" if now.distrust is None else str(now.distrust.count)), ""


def _price_age(now: Situation, _config: RiskSection) -> Numbers:
    return ("the feed is stale" if now.is_stale else "price of the bar decided on"), ""


def _health(now: Situation, config: RiskSection) -> Numbers:
    allowed = {"paper": "unknown on paper only", "always": "unknown, too", "never": "known"}
    return now.health.value, f"not critical; {allowed[config.trade_unknown_model]}"


def _rates(now: Situation, _config: RiskSection) -> Numbers:
    ages = [
        f"{each.currency} {each.age_ns / NS_PER_S:.0f} s of {each.age_max_ns / NS_PER_S:.0f} s"
        for each in now.valuations
        if each.age_ns is not None
    ]
    return ", ".join(ages) or "one currency", ""


def _moved(now: Situation, config: RiskSection) -> Numbers:
    limit = f"{config.price_collar_bps:g} bps"
    if now.mark is None or not now.previous_mark:
        return "not known", limit
    return f"{abs(float(now.mark / now.previous_mark) - 1.0) * 10_000:.1f} bps", limit


def _volatility(now: Situation, config: RiskSection) -> Numbers:
    if not config.volatility_max_ratio and not config.volatility_target_ratio:
        return "not measured", "off"
    known = now.volatility_ratio
    limit = f"{config.volatility_max_ratio:g}" if config.volatility_max_ratio else "known"
    return ("unknown" if known is None else f"{known:.4f}"), limit


def _lost_today(now: Situation, config: RiskSection) -> Numbers:
    if not config.max_daily_loss_ratio:
        return "not measured", "off"
    if now.day_start_equity <= 0:
        return "no start of the day", f"{config.max_daily_loss_ratio:.4f}"
    lost = float(1 - now.room.equity / now.day_start_equity)
    return f"{lost:.4f}", f"{config.max_daily_loss_ratio:.4f}"


def _losses(now: Situation, config: RiskSection) -> Numbers:
    return ("no pause" if now.loss_pause is None else "pause"), (
        f"{config.max_losses_in_a_row} in a row" if config.max_losses_in_a_row else "off"
    )


def _paced(now: Situation, config: RiskSection) -> Numbers:
    hour, day = now.paced.orders_last_hour, now.paced.orders_last_day
    daily = str(config.max_orders_per_day) if config.max_orders_per_day else "off"
    return f"{hour} in an hour, {day} in a day", f"{config.max_orders_per_hour}, {daily}"


def _liquidation(now: Situation, config: RiskSection) -> Numbers:
    if not now.instrument.is_swap:
        return "spot", ""
    distance = liquidation_distance(
        config.max_leverage, config.maintenance_margin_ratio, is_long=now.is_long
    )
    return f"{distance:.4f}", f"{config.min_liquidation_distance_ratio:.4f}"


def _spread(now: Situation, config: RiskSection) -> Numbers:
    limit = f"{config.max_spread_bps:g} bps" if config.max_spread_bps else "off"
    if now.quote is None:
        return "not asked for yet", limit
    bid, ask = now.quote.best(Side.SELL), now.quote.best(Side.BUY)
    if not bid or not ask:
        return "one side is empty", limit
    return f"{2 * (ask - bid) / (ask + bid) * BPS:.1f} bps", limit


def _depth(now: Situation, config: RiskSection) -> Numbers:
    if now.shown_notional is None:
        return "not asked for yet", ""
    most = f"x {config.max_depth_ratio:g} >= " if config.max_depth_ratio else "off; smallest order "
    return f"{now.shown_notional:.2f}", f"{most}{plain(now.instrument.minimum_notional)}"


def _unknown(now: Situation, config: RiskSection) -> Numbers:
    limit = config.max_unresolved_orders
    return str(now.unknown_on_exchange), f"fewer than {limit}" if limit else "off"


def _is_quoted(now: Situation, _config: RiskSection) -> Numbers:
    if now.quote is None:
        return "not asked for yet", ""
    return ("read" if now.quote.is_complete else now.quote.error or "one side is empty"), ""


def _or(found: object, otherwise: str) -> Numbers:
    return (otherwise if found is None else str(found)), ""


READ: Mapping[str, Callable[[Situation, RiskSection], Numbers]] = {
    "not_halted": lambda now, _: (", ".join(now.halts) or "no halt", ""),
    "reconciled": lambda now, _: (
        ("books agree" if now.is_reconciled else "books not compared, or different"), ""),
    "held_for_sure": lambda now, _: (
        ("foreign orders" if now.has_foreign else "no order of ours but the known ones"), ""),
    "no_order_in_the_way": _open_orders,
    "not_given_up": lambda now, _: _or(now.given_up, "no"),
    "traded_there": lambda now, _: _or(now.not_tradable, "traded"),
    "exchange_reached": lambda now, _: _or(now.exchange_lost, "reached"),
    "exchange_takes_orders": lambda now, config: (
        ("no pause" if now.refusal_pause is None else "pause"),
        (f"{config.max_refusals_in_a_row} refused in a row"
         if config.max_refusals_in_a_row else "off")),
    "few_unknown_orders": _unknown,
    "fresh_data": _price_age,
    "trusted_data": _distrusted,
    "clock_agrees": lambda now, _: ("agrees" if now.clock is None else "off", ""),
    "disk_has_room": lambda now, _: (("room" if now.disk is None else "nearly full"), ""),
    "model_healthy_enough": _health,
    "has_price": lambda now, _: _or(now.mark, "none"),
    "currencies_valued": _rates,
    "within_price_collar": _moved,
    "volatility_bearable": _volatility,
    "within_daily_loss": _lost_today,
    "no_loss_streak": _losses,
    "within_order_rate": _paced,
    "can_be_short": lambda now, _: (
        f"{now.signal.direction.value}, {now.instrument.market_type.value}", ""),
    "liquidation_far": _liquidation,
    "not_the_fee_asset": lambda now, config: (
        f"{plain(now.fees_in_base)} {now.instrument.base}",
        "any" if config.trade_fee_asset else "0"),
    "not_positioned": lambda now, _: (f"{plain(now.quantity)} held", ""),
    "quoted": _is_quoted,
    "spread_narrow": _spread,
    "book_deep": _depth,
}  # fmt: skip
