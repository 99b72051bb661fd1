"""The gates an order passes: each looks at one thing and gives nothing, or a denial with numbers.

Belongs here: yes or no. How much belongs to `sizing`. A gate that cannot know says no, and no entry
gate stands in the way of an exit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from daemon.core.events import DenyReason, HealthStatus
from daemon.core.instruments import Instrument, MarketType
from daemon.core.timeframes import NS_PER_S
from daemon.layers.risk.denials import Denial
from daemon.layers.risk.market_gates import (
    book_deep,
    quoted,
    spread_narrow,
    volatility_bearable,
)
from daemon.layers.risk.swaps import liquidation_far

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from daemon.config import RiskSection
    from daemon.layers.risk.situations import Situation


Gate: TypeAlias = "Callable[[Situation, RiskSection], Denial | None]"


def not_halted(now: Situation, _config: RiskSection) -> Denial | None:
    if now.halts:
        return Denial(DenyReason.HALTED, ",".join(now.halts))
    return None


def reconciled(now: Situation, _config: RiskSection) -> Denial | None:
    return None if now.is_reconciled else Denial(DenyReason.NOT_RECONCILED)


def held_for_sure(now: Situation, _config: RiskSection) -> Denial | None:
    """What the books hold may have been sold already, under our own name: nothing is sold twice."""
    return Denial(DenyReason.NOT_RECONCILED, "foreign orders") if now.has_foreign else None


def no_order_in_the_way(now: Situation, _config: RiskSection) -> Denial | None:
    """One order at a time: what an open one will do to the position is not known yet."""
    for order in now.open_orders:
        if order.is_unresolved:
            return Denial(DenyReason.UNRESOLVED_ORDER, order.client_order_id)
    if now.open_orders:
        return Denial(DenyReason.ORDER_OPEN, now.open_orders[0].client_order_id)
    if now.parent is not None:
        return Denial(DenyReason.ORDER_OPEN, now.parent.trace)
    return None


def fresh_data(now: Situation, _config: RiskSection) -> Denial | None:
    """The feed lives, and the price is of the very bar that was decided on."""
    if now.is_stale:
        return Denial(DenyReason.STALE_DATA)
    if now.mark is not None and now.marked_ns != now.signal.close_ns:
        return Denial(DenyReason.STALE_DATA, str(now.marked_ns), str(now.signal.close_ns))
    return None


def trusted_data(now: Situation, _config: RiskSection) -> Denial | None:
    """A feed of which so much was not believed today may be wrong about what was."""
    if now.distrust is None:
        return None
    return Denial(DenyReason.DATA_DISTRUSTED, str(now.distrust.count), str(now.distrust.limit))


def clock_agrees(now: Situation, _config: RiskSection) -> Denial | None:
    """Without the exchange's time nobody knows how old a price is, or whether an order is late."""
    if now.clock is None:
        return None
    off = "not measured"
    if now.clock.offset_ms is not None:
        off = f"{now.clock.offset_ms:.1f} ms, error {now.clock.error_ms or 0:.1f} ms"
    return Denial(DenyReason.CLOCK_OFF, off, f"{now.clock.limit_ms:g} ms")


def disk_has_room(now: Situation, _config: RiskSection) -> Denial | None:
    """A position whose exit might not be written is not opened."""
    if now.disk is None:
        return None
    free, limit = now.disk.free_megabytes, now.disk.limit_megabytes
    return Denial(DenyReason.DISK_LOW, f"{free} MB free", f"{limit} MB")


def not_given_up(now: Situation, _config: RiskSection) -> Denial | None:
    """What the policy closes is not opened again while the trouble is on."""
    return None if now.given_up is None else Denial(DenyReason.POLICY, now.given_up)


def traded_there(now: Situation, _config: RiskSection) -> Denial | None:
    if now.not_tradable is None:
        return None
    return Denial(DenyReason.NOT_TRADABLE, now.not_tradable)


def exchange_reached(now: Situation, _config: RiskSection) -> Denial | None:
    """What does not answer may take an order and not tell."""
    if now.exchange_lost is None:
        return None
    return Denial(DenyReason.EXCHANGE_LOST, now.exchange_lost)


def exchange_takes_orders(now: Situation, config: RiskSection) -> Denial | None:
    """It refused one order after the other: the reason is not in the single order."""
    if now.refusal_pause is None:
        return None
    limit = str(config.max_refusals_in_a_row)
    return Denial(DenyReason.EXCHANGE_REFUSES, str(now.refusal_pause.count), limit)


def few_unknown_orders(now: Situation, config: RiskSection) -> Denial | None:
    """One order of unknown fate stops its own symbol, several stop the whole exchange."""
    limit = config.max_unresolved_orders
    if not limit or now.unknown_on_exchange < limit:
        return None
    return Denial(DenyReason.UNRESOLVED_ORDERS, str(now.unknown_on_exchange), str(limit))


def model_healthy_enough(now: Situation, config: RiskSection) -> Denial | None:
    """A critical model opens nothing anywhere, one whose skill is lost in a symbol nothing there,
    and an unknown one only where it is allowed to.
    """
    if now.health is HealthStatus.CRITICAL:
        return Denial(DenyReason.MODEL_CRITICAL)
    if now.is_skill_lost:
        return Denial(DenyReason.MODEL_CRITICAL, "in this symbol")
    allowed = config.trade_unknown_model
    if now.health is HealthStatus.UNKNOWN and not may_open_unknown(allowed, is_live=now.is_live):
        return Denial(DenyReason.MODEL_UNKNOWN, "live" if now.is_live else "paper", allowed)
    return None


def may_open_unknown(allowed: str, *, is_live: bool) -> bool:
    """Whether `risk.trade_unknown_model` lets a model open positions of which nothing is known."""
    return allowed == "always" or (allowed == "paper" and not is_live)


def no_loss_streak(now: Situation, config: RiskSection) -> Denial | None:
    """After so many losses in a row it waits: the market may not be the one the model knows."""
    if now.loss_pause is None:
        return None
    limit = str(config.max_losses_in_a_row)
    return Denial(DenyReason.LOSS_STREAK, str(now.loss_pause.count), limit)


def has_price(now: Situation, _config: RiskSection) -> Denial | None:
    if now.mark is None or not (now.mark.is_finite() and now.mark > 0):
        return Denial(DenyReason.NO_PRICE)
    return None


def currencies_valued(now: Situation, _config: RiskSection) -> Denial | None:
    """Caps are parts of the equity: what cannot be valued now cannot be risked now."""
    for each in now.valuations:
        if each.age_ns is None:
            return Denial(DenyReason.NO_RATE, each.currency)
        if not (each.is_fed and each.age_ns <= each.age_max_ns):
            value, limit = f"{each.currency} {each.age_ns / NS_PER_S:.0f} s", each.age_max_ns
            return Denial(DenyReason.STALE_RATE, value, f"{limit / NS_PER_S:.0f} s")
    return None


def not_the_fee_asset(now: Situation, config: RiskSection) -> Denial | None:
    """Fees of other trades would eat what is bought here, and the books would no longer agree."""
    is_untouched = now.fees_in_base.is_finite() and now.fees_in_base <= 0
    if not is_untouched and not config.trade_fee_asset:
        return Denial(DenyReason.FEE_ASSET, f"{now.fees_in_base} {now.instrument.base}", "0")
    return None


def within_price_collar(now: Situation, config: RiskSection) -> Denial | None:
    """Nothing is opened right after a move too large to be believed, or that cannot be measured."""
    limit = str(config.price_collar_bps)
    if now.mark is None or not now.previous_mark:
        return Denial(DenyReason.PRICE_COLLAR, "", limit)
    moved_bps = abs(float(now.mark / now.previous_mark) - 1.0) * 10_000
    if not moved_bps <= config.price_collar_bps:
        return Denial(DenyReason.PRICE_COLLAR, f"{moved_bps:.1f}", limit)
    return None


def within_daily_loss(now: Situation, config: RiskSection) -> Denial | None:
    """A limit of 0 is off, by configuration; a day without a known start is not."""
    limit = config.max_daily_loss_ratio
    if limit == 0:
        return None
    if not (now.day_start_equity.is_finite() and now.day_start_equity > 0):
        return Denial(DenyReason.DAILY_LOSS, "", f"{limit:.4f}")
    lost = float(1 - now.room.equity / now.day_start_equity)
    if not lost < limit:
        return Denial(DenyReason.DAILY_LOSS, f"{lost:.4f}", f"{limit:.4f}")
    return None


def within_order_rate(now: Situation, config: RiskSection) -> Denial | None:
    paced, hourly, daily = now.paced, config.max_orders_per_hour, config.max_orders_per_day
    if paced.orders_last_hour >= hourly:
        return Denial(DenyReason.ORDER_RATE, str(paced.orders_last_hour), str(hourly))
    if daily and paced.orders_last_day >= daily:
        return Denial(DenyReason.ORDER_RATE_DAY, str(paced.orders_last_day), str(daily))
    return None


def can_be_short(now: Situation, _config: RiskSection) -> Denial | None:
    if not now.is_long and now.instrument.market_type is MarketType.SPOT:
        return Denial(DenyReason.SPOT_CANNOT_SHORT)
    return None


def not_positioned(now: Situation, _config: RiskSection) -> Denial | None:
    """One position at a time, whichever way; a rest too small to be sold does not count as one."""
    if now.mark is None or not now.quantity.is_finite():
        return Denial(DenyReason.ALREADY_POSITIONED, str(now.quantity))
    held = now.instrument.quantize_down(abs(now.quantity))
    is_moved = any(each.takes(now.mark) for each in now.holdings)
    if is_moved or now.instrument.takes(held, now.mark, is_exit=True):
        return Denial(DenyReason.ALREADY_POSITIONED, str(now.quantity))
    return None


# In this order; the first no is the one that is told.
ENTRY_GATES: tuple[Gate, ...] = (
    not_halted,
    reconciled,
    no_order_in_the_way,
    not_given_up,
    traded_there,
    exchange_reached,
    exchange_takes_orders,
    few_unknown_orders,
    fresh_data,
    trusted_data,
    clock_agrees,
    disk_has_room,
    model_healthy_enough,
    has_price,
    currencies_valued,
    within_price_collar,
    volatility_bearable,
    within_daily_loss,
    no_loss_streak,
    within_order_rate,
    can_be_short,
    liquidation_far,
    not_the_fee_asset,
    not_positioned,
    quoted,
    spread_narrow,
    book_deep,
)
EXIT_GATES: tuple[Gate, ...] = (no_order_in_the_way, held_for_sure)


def first_denial(gates: tuple[Gate, ...], now: Situation, config: RiskSection) -> Denial | None:
    for gate in gates:
        if denial := gate(now, config):
            return denial
    return None


def below_minimum(
    instrument: Instrument, quantity: Decimal, price: Decimal, *, is_exit: bool = False
) -> Denial | None:
    """What an exchange refuses: less than its smallest quantity or value."""
    if instrument.takes(quantity, price, is_exit=is_exit):
        return None
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        return Denial(DenyReason.BELOW_MINIMUM, str(quantity), str(instrument.minimum_quantity))
    notional = quantity * price
    if notional < instrument.minimum_notional:
        return Denial(DenyReason.BELOW_MINIMUM, f"{notional:.8f}", str(instrument.minimum_notional))
    return None
