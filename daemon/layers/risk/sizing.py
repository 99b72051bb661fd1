"""How much: a Kelly stake from calibrated probabilities and payoffs, clamped by every cap there is.

Belongs here: ratios and quote amounts. Whether anything may be ordered at all belongs to `gates`.
Stake = kelly_ratio * (p*b - q)/b of the equity (J. L. Kelly, 1956), with p the calibrated, shrunk
probability of the traded direction, q = 1 - p, and b the payoff after costs. It is the stake of an
all-or-nothing bet used as a notional, on purpose far below the growth-optimal one.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import BoundBy, DenyReason, Payoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import RiskSection
    from daemon.core.costs import Costs
    from daemon.core.instruments import Instrument

PRIOR_TRADES = 50  # the model's out-of-sample payoffs weigh as much as this many closed trades


class Stake(Struct, frozen=True, kw_only=True):
    """A Kelly stake, full and as used, both fractions of the equity."""

    full_ratio: float
    used_ratio: float


NO_STAKE = Stake(full_ratio=0.0, used_ratio=0.0)


def kelly(
    win_probability: float, payoff: Payoff, cost_ratio: float, kelly_ratio: float
) -> Stake | None:
    """Fractional Kelly stake of one bet with gross payoffs and the cost of its round trip.

    None when costs leave nothing to win, or nothing to lose, or a number is not finite.
    """
    win = payoff.win_ratio - cost_ratio
    loss = payoff.loss_ratio + cost_ratio
    numbers = (win_probability, win, loss, kelly_ratio)
    if not all(math.isfinite(each) for each in numbers) or win <= 0.0 or loss <= 0.0:
        return None
    odds = win / loss
    full = (win_probability * odds - (1.0 - win_probability)) / odds
    return Stake(full_ratio=full, used_ratio=max(0.0, full) * kelly_ratio)


class Tally:
    """Closed trades of one direction: sums of net wins and losses, each a fraction of its stake."""

    def __init__(self) -> None:
        self.wins = self.losses = 0
        self.won = self.lost = 0.0

    def add(self, net_ratio: float) -> None:
        if net_ratio > 0:
            self.wins += 1
            self.won += net_ratio
        else:
            self.losses += 1
            self.lost -= net_ratio

    def shrunk(self, prior: Payoff, cost_ratio: float) -> Payoff:
        """The model's gross payoffs, moved toward the ledger's as trades close.

        The ledger is net, so the cost of a round trip is put back before the two are mixed.
        """
        win = (PRIOR_TRADES * prior.win_ratio + self.won + self.wins * cost_ratio) / (
            PRIOR_TRADES + self.wins
        )
        loss = (PRIOR_TRADES * prior.loss_ratio + self.lost - self.losses * cost_ratio) / (
            PRIOR_TRADES + self.losses
        )
        n = prior.n + self.wins + self.losses
        return Payoff(win_ratio=win, loss_ratio=max(loss, 0.0), n=n)


class Room(Struct, frozen=True, kw_only=True):
    """What caps are measured on, in the reporting currency; pending entries count as filled.

    `cash` and `pending_on_exchange` are of the order's exchange and quote currency, since no other
    pays for it; all else is of the whole capital. `rate` values one unit of the quote currency,
    `share_ratio` is what its symbol may have of the capital, wherever it is listed. `cash` is the
    notional that the money there could back, one unit of which ties up `margin_ratio`.
    """

    equity: Decimal
    cash: Decimal
    held_here: Decimal
    held_everywhere: Decimal
    pending_here: Decimal
    pending_everywhere: Decimal
    pending_on_exchange: Decimal
    net: Decimal = Decimal(0)  # of everything, in the direction of the order
    correlated: Decimal = Decimal(0)  # of what moves with the instrument, that one included
    volatility_ratio: float | None = None
    entries_today: Decimal = Decimal(0)
    size_ratio: Decimal = Decimal(1)  # of what the caps leave: less on probation, or as a canary
    cut_by: BoundBy = BoundBy.PROBATION
    shown: Decimal | None = None  # by the book; None before it was asked for
    rate: Decimal = Decimal(1)
    margin_ratio: Decimal = Decimal(1)
    share_ratio: Decimal | None = None
    held_in_symbol: Decimal = Decimal(0)  # pending entries included

    def in_quote(self, amount: Decimal) -> Decimal:
        return amount if self.rate == 1 else amount / self.rate

    def valued(self, amount_quote: Decimal) -> Decimal:
        return amount_quote if self.rate == 1 else amount_quote * self.rate


UNBOUND = Decimal("Infinity")


def by_position(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    most = exact(config.max_position_ratio) * room.equity
    return most - room.held_here - room.pending_here


def by_gross_exposure(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    most = exact(config.max_gross_exposure_ratio) * room.equity
    return most - room.held_everywhere - room.pending_everywhere


def by_net_exposure(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    limit = config.max_net_exposure_ratio
    return exact(limit) * room.equity - room.net if limit else UNBOUND


def by_correlated_exposure(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    limit = config.max_correlated_exposure_ratio
    return exact(limit) * room.equity - room.correlated if limit else UNBOUND


def by_volatility_target(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    """The position whose deviation over a year is the target's share of the equity."""
    target, volatility = config.volatility_target_ratio, room.volatility_ratio
    if not target:
        return UNBOUND
    if volatility is None or not (math.isfinite(volatility) and volatility > 0.0):
        return Decimal(0)
    most = exact(target) / exact(volatility) * room.equity
    return most - room.held_here - room.pending_here


def by_day(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    limit = config.max_day_notional_quote
    return limit - room.entries_today if limit else UNBOUND


def by_depth(room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    limit = config.max_depth_ratio
    return UNBOUND if not limit or room.shown is None else exact(limit) * room.shown


def by_allocation(room: Room, _config: RiskSection, _costs: Costs) -> Decimal:
    share = room.share_ratio
    return UNBOUND if share is None else share * room.equity - room.held_in_symbol


def by_order(_room: Room, config: RiskSection, _costs: Costs) -> Decimal:
    return config.max_order_notional_quote


def by_free_capital(room: Room, _config: RiskSection, costs: Costs) -> Decimal:
    """What the money pays for beside the fee, which is one of the notional, not of its margin."""
    fee = exact(costs.fee_ratio) / room.margin_ratio
    return (room.cash - room.pending_on_exchange) / (1 + fee)


CAPS: tuple[tuple[BoundBy, Callable[[Room, RiskSection, Costs], Decimal], DenyReason], ...] = (
    (BoundBy.MAX_POSITION_RATIO, by_position, DenyReason.POSITION_CAP),
    (BoundBy.MAX_GROSS_EXPOSURE_RATIO, by_gross_exposure, DenyReason.GROSS_EXPOSURE_CAP),
    (BoundBy.MAX_NET_EXPOSURE_RATIO, by_net_exposure, DenyReason.NET_EXPOSURE_CAP),
    (
        BoundBy.MAX_CORRELATED_EXPOSURE_RATIO,
        by_correlated_exposure,
        DenyReason.CORRELATED_EXPOSURE_CAP,
    ),
    (BoundBy.VOLATILITY_TARGET_RATIO, by_volatility_target, DenyReason.POSITION_CAP),
    (BoundBy.ALLOCATION, by_allocation, DenyReason.ALLOCATION),
    (BoundBy.MAX_ORDER_NOTIONAL, by_order, DenyReason.NO_CAPITAL),
    (BoundBy.MAX_DAY_NOTIONAL, by_day, DenyReason.DAY_NOTIONAL_CAP),
    (BoundBy.MAX_DEPTH_RATIO, by_depth, DenyReason.THIN_BOOK),
    (BoundBy.FREE_CAPITAL, by_free_capital, DenyReason.NO_CAPITAL),
)


class Clamped(Struct, frozen=True, kw_only=True):
    """The tightest cap: its name, what it leaves, and the denial when that is nothing.

    A cap that is no number leaves nothing.
    """

    bound_by: BoundBy
    notional: Decimal
    deny_reason: DenyReason


def clamp(wanted: Decimal, room: Room, config: RiskSection, costs: Costs) -> Clamped:
    """What is wanted, or the smallest cap on the resulting position; of equal caps the first."""
    bounds = [Clamped(bound_by=BoundBy.KELLY, notional=wanted, deny_reason=DenyReason.NO_CAPITAL)]
    for name, cap, reason in CAPS:
        most = cap(room, config, costs)
        notional = Decimal(0) if most.is_nan() else most
        bounds.append(Clamped(bound_by=name, notional=notional, deny_reason=reason))
    tightest = min(bounds, key=lambda each: each.notional)
    if room.size_ratio == 1 or tightest.notional <= 0:
        return tightest
    return Clamped(
        bound_by=room.cut_by,
        notional=tightest.notional * room.size_ratio,
        deny_reason=DenyReason(room.cut_by.value),
    )


def quantity_for(
    notional: Decimal, price: Decimal, instrument: Instrument, costs: Costs
) -> Decimal:
    """Whole lots that cost at most `notional` at the price they are expected to fill at.

    Not more than the exchange takes at once: one stop has to protect all of it.
    """
    expected = price * (1 + exact(costs.slippage_ratio))
    return instrument.at_most(notional / expected, price)


def share_of(allocation: str | dict[str, float], symbol: str, symbols: int) -> Decimal | None:
    """What one of so many symbols may have of the capital; None where they share all of it."""
    if isinstance(allocation, dict):
        return exact(allocation[symbol])
    return Decimal(1) / symbols if allocation == "equal" else None


def exact(ratio: float) -> Decimal:
    """The ratio as it was written: 0.1 is a tenth."""
    return Decimal(repr(ratio))
