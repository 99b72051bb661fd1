"""Reads what a report says of an order, and makes reports: of what a venue told, or of no answer.

Belongs here: whether an answer is one, is new, or leaves the order open. What it means for a
position belongs to execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import OrderReported, Outcome, ReportSource
from daemon.core.orders import TERMINAL, OrderState

if TYPE_CHECKING:
    from daemon.core.events import SubmitOrder
    from daemon.venues.ccxt_binance import Told


def is_unclear(report: OrderReported) -> bool:
    """It says nothing of what became of the order."""
    return report.outcome is Outcome.UNKNOWN


def is_open(report: OrderReported) -> bool:
    """The venue has the order, and it is not over."""
    return report.outcome is Outcome.ACKNOWLEDGED and report.state not in TERMINAL


def is_news(known: OrderReported | None, report: OrderReported) -> bool:
    """It says something that `known`, the last report of this order, did not."""
    if is_unclear(report):
        return False
    if known is None:
        return True
    said = (report.outcome, report.state, report.filled_quantity, len(report.fills))
    return said != (known.outcome, known.state, known.filled_quantity, len(known.fills))


def reported(told: Told, ts_ns: int, source: ReportSource) -> OrderReported:
    """The report of an order as the venue tells it."""
    is_rejected = told.state is OrderState.REFUSED
    is_refused = is_rejected and not told.filled_quantity
    state = OrderState.EXPIRED if is_rejected else told.state  # what had filled before it was
    return OrderReported(
        ts_ns=ts_ns,
        client_order_id=told.client_order_id,
        outcome=Outcome.REFUSED if is_refused else Outcome.ACKNOWLEDGED,
        source=source,
        state=None if is_refused else state,
        venue_order_id=told.venue_order_id,
        filled_quantity=told.filled_quantity,
        fills=told.fills,
        reason=f"status {told.status}" if told.state is None or is_rejected else "",
    )


def not_sent(command: SubmitOrder, reason: str) -> OrderReported:
    """The order was kept back here, so the venue cannot have it."""
    return _report(command, Outcome.NOT_SENT, reason)


def unknown(command: SubmitOrder, reason: str) -> OrderReported:
    """The order may have reached the venue; only a look-up can tell."""
    return _report(command, Outcome.UNKNOWN, reason)


def _report(command: SubmitOrder, outcome: Outcome, reason: str) -> OrderReported:
    return OrderReported(
        ts_ns=command.ts_ns,
        client_order_id=command.client_order_id,
        outcome=outcome,
        source=ReportSource.REPLY,
        reason=reason,
    )
