"""What a configuration may do at most, in money: the sentences that a person reads before arming.

Belongs here: those sentences. The limits themselves are kept by the risk layer.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.instruments import plain
from daemon.layers.monitoring.measured import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import Settings


def limits_of(settings: Settings) -> tuple[str, ...]:
    return tuple(_limits(settings))


def at_first(settings: Settings, promised_auc: float) -> str:
    """How long nothing is opened, as a live run knows nothing of its model yet."""
    if settings.risk.trade_unknown_model == "always":
        return (
            "health: the model trades before its skill is shown "
            '(risk.trade_unknown_model = "always")'
        )
    said = "health: nothing is opened until live bars have shown the model's skill"
    health, symbols = settings.health, len(settings.data.symbols)
    row = nearest(health.policy, settings.model.horizon_bars, promised_auc, symbols)
    if row is None or row.shown is None or row.shown.median_bars is None:
        return f"{said}: {health.min_resolved} outcomes at least"
    late = "more" if row.shown.late_bars is None else str(row.shown.late_bars)
    return (
        f"{said}: of simulated models with an AUC of {row.auc:.2f} half took "
        f"{row.shown.median_bars} bars or fewer, and nine of ten {late}"
    )


def _limits(settings: Settings) -> Iterator[str]:
    risk, currency = settings.risk, settings.reporting_currency
    yield f"capital: {_share(settings, 1.0)}, whatever else the account holds"
    yield f"one order: {_order(settings)} at most"
    yield f"one position: {_share(settings, risk.max_position_ratio)} at most"
    yield f"all positions together: {_share(settings, risk.max_gross_exposure_ratio)} at most"
    if risk.max_day_notional_quote:
        amount = plain(risk.max_day_notional_quote)
        yield f"all entries of a day: {amount} {currency} at most"
    yield (
        f"orders: {risk.max_orders_per_hour} an hour, {risk.max_orders_per_day or 'any number'} "
        "a day at most"
    )
    if risk.max_daily_loss_ratio:
        loss = _share(settings, risk.max_daily_loss_ratio)
        yield f"daily loss: nothing is opened any more that day after {loss}"
    else:
        yield "daily loss: no limit"
    yield (
        f"drawdown: halts {_share(settings, risk.max_drawdown_ratio)} under the highest equity, "
        "until a person resumes"
    )
    stop = settings.execution.stop_loss_ratio
    if stop:
        most = _share(settings, risk.max_position_ratio * stop)
        yield f"stop: {stop:g} away, so that one position loses about {most}, more in a fast market"
    else:
        yield "stop: none rests behind a position"
    yield from _canary(settings)


def _canary(settings: Settings) -> Iterator[str]:
    golive = settings.golive
    if not golive.canary_days or golive.canary_ratio == 1:
        yield "at first: full size at once"
        return
    ratio = settings.risk.max_position_ratio * golive.canary_ratio
    yield (
        f"at first: {golive.canary_ratio:g} of every size, so {_share(settings, ratio)} for one "
        f"position; to full size in {golive.canary_steps} steps over {golive.canary_days:g} days, "
        "while slippage and fills are as on paper"
    )


def _order(settings: Settings) -> str:
    """The cap of one order, or that of a position where it is tighter and in the same currency."""
    risk, currency = settings.risk, settings.reporting_currency
    most = risk.max_order_notional_quote
    if set(settings.allotted) == {currency}:
        most = min(most, settings.allotted[currency] * Decimal(repr(risk.max_position_ratio)))
    return f"{plain(most)} {currency}"


def _share(settings: Settings, ratio: float) -> str:
    """Of the capital, by the amounts it is allotted in."""
    exact = Decimal(repr(ratio))
    return " + ".join(
        f"{plain((amount * exact).quantize(Decimal('0.00000001')))} {currency}"
        for currency, amount in settings.allotted.items()
    )
