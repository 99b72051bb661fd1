"""Gates on what the market is like right now: its volatility, and the book an order would meet.

Belongs here: yes or no to the market. Gates on the account and on ourselves belong to `gates`.
Before the book was asked for, its gates pass: the verdict is given again once it is there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import DenyReason
from daemon.core.orders import Side
from daemon.layers.risk.denials import Denial

if TYPE_CHECKING:
    from daemon.config import RiskSection
    from daemon.layers.risk.situations import Situation

BPS = Decimal(10_000)


def volatility_bearable(now: Situation, config: RiskSection) -> Denial | None:
    """Not in a storm, and not where nobody can tell whether it is one."""
    ceiling, target = config.volatility_max_ratio, config.volatility_target_ratio
    if not ceiling and not target:
        return None
    if now.volatility_ratio is None or (target and not now.volatility_ratio > 0.0):
        return Denial(DenyReason.VOLATILITY_UNKNOWN, str(now.volatility_ratio))
    if ceiling and not now.volatility_ratio <= ceiling:
        return Denial(DenyReason.VOLATILITY, f"{now.volatility_ratio:.4f}", f"{ceiling:g}")
    return None


def quoted(now: Situation, _config: RiskSection) -> Denial | None:
    """Nothing is opened into a book that could not be read."""
    if now.quote is None or now.quote.is_complete:
        return None
    return Denial(DenyReason.NO_QUOTE, now.quote.error or "one side of the book is empty")


def spread_narrow(now: Situation, config: RiskSection) -> Denial | None:
    """A wide book takes at once what the model hopes to earn; a crossed one is not believed."""
    if now.quote is None or not config.max_spread_bps:
        return None
    limit = f"{config.max_spread_bps:g}"
    bid, ask = now.quote.best(Side.SELL), now.quote.best(Side.BUY)
    if bid is None or ask is None or not (bid.is_finite() and ask.is_finite() and bid > 0):
        return Denial(DenyReason.SPREAD, "", limit)
    spread_bps = 2 * (ask - bid) / (ask + bid) * BPS
    if not 0 <= spread_bps <= Decimal(repr(config.max_spread_bps)):
        return Denial(DenyReason.SPREAD, f"{spread_bps:.1f}", limit)
    return None


def book_deep(now: Situation, config: RiskSection) -> Denial | None:
    """Its side of the book holds enough for the smallest order that could be made of it."""
    if now.quote is None or not config.max_depth_ratio:
        return None
    limit = f"{config.max_depth_ratio:g}"
    shown = now.shown_notional
    if shown is None or not (shown.is_finite() and shown > 0):
        return Denial(DenyReason.THIN_BOOK, "", limit)
    if shown * Decimal(repr(config.max_depth_ratio)) < now.instrument.minimum_notional:
        return Denial(DenyReason.THIN_BOOK, f"{shown:.2f}", limit)
    return None
