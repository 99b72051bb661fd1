"""The second half of every start: asks what became of open orders and whether the books agree.

Belongs here: what must be known of the venue before the first decision. What a report means belongs
to execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import LookUpOrder, OrderReported, Outcome, Reconciled, ReportSource
from daemon.reconcile import compare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.app import Core
    from daemon.core.events import Input, RunOpened
    from daemon.core.ports import Venue, VenueFill

WHEN_ASKED_AT_START = "asked at start"


async def settle(
    core: Core,
    venue: Venue,
    opened: RunOpened,
    take: Callable[[Input], Awaitable[None]],
    ts_ns: int,
) -> Reconciled:
    """Resolve every open order, book every fill we missed, compare books and venue, say the result.

    Nothing is ever sent here: an intent that never reached the venue is found absent and closed.
    """
    for order in list(core.blotter.all_open()):
        report = await venue.look_up(
            LookUpOrder(
                ts_ns=ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                intended_ns=order.intended_ns,
                reason=WHEN_ASKED_AT_START,
            )
        )
        await take(report)
    instruments = tuple(core.book.instruments)
    account = await venue.account(instruments, opened.ts_ns)
    comparison = compare(opened, core.blotter, account)
    for missed in comparison.missed:
        await take(_report(missed, ts_ns))
    if comparison.missed:
        comparison = compare(opened, core.blotter, account)
    reconciled = Reconciled(
        ts_ns=ts_ns, is_clean=comparison.is_equal, differences=comparison.differences
    )
    await take(reconciled)
    return reconciled


def _report(missed: VenueFill, ts_ns: int) -> OrderReported:
    assert missed.client_order_id is not None
    return OrderReported(
        ts_ns=ts_ns,
        client_order_id=missed.client_order_id,
        outcome=Outcome.ACKNOWLEDGED,
        source=ReportSource.LOOKUP,
        venue_order_id=missed.venue_order_id,
        fills=(missed.fill,),
        reason="found by reconciliation",
    )
