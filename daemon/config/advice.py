"""Advice: turns valid settings into warnings about what they will not be able to do.

Belongs here: things that are allowed but disappoint. What must not start belongs to `sections`.
"""

from decimal import Decimal

from daemon.config.settings import Settings


def warnings_for(settings: Settings, minimum_notional: Decimal) -> list[str]:
    """One line per warning; `minimum_notional` is the smallest order, in quote currency."""
    risk, quote = settings.risk, settings.reporting_currency
    if set(settings.allotted) != {quote}:
        return _free_trading(settings)  # what the capital is worth is known once there are prices
    lines = []
    smallest = f"the smallest order of {minimum_notional.normalize():f} {quote}"
    largest = settings.allotted[quote] * Decimal(repr(risk.max_position_ratio))
    if largest < minimum_notional:
        lines.append(
            f"risk.allotted_quote x risk.max_position_ratio is {largest.normalize():f} {quote}, "
            f"under {smallest}: nothing can be traded"
        )
    elif largest < 2 * minimum_notional:
        lines.append(
            f"risk.allotted_quote x risk.max_position_ratio is {largest.normalize():f} {quote}, "
            f"less than twice {smallest}: most signals will be too small to trade"
        )
    if risk.max_order_notional_quote < minimum_notional:
        lines.append(
            f"risk.max_order_notional_quote is {risk.max_order_notional_quote.normalize():f} "
            f"{quote}, under {smallest}: nothing can be traded"
        )
    return lines + _free_trading(settings)


def _free_trading(settings: Settings) -> list[str]:
    if settings.execution.fee_bps and settings.execution.slippage_bps:
        return []
    return [
        "execution.fee_bps or execution.slippage_bps is 0: results will look better than they are"
    ]
