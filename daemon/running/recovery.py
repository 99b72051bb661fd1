"""The second half of every start: asks what became of open orders and whether the books agree.

Belongs here: what must be known of the venue before the first decision. What a report means belongs
to execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import LookUpOrder, OrderReported, Outcome, Reconciled, ReportSource
from daemon.running.reconcile import compare, worth_asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.app import Core
    from daemon.core.events import Input, RunOpened
    from daemon.core.ports import Venue, VenueFill

WHEN_ASKED_AT_START = "asked at start"


async def settle(
    core: Core,
    venues: Mapping[str, Venue],
    opened: RunOpened,
    take: Callable[[Input], Awaitable[None]],
    ts_ns: int,
) -> Reconciled:
    """Resolve every open order, book every fill we missed, compare the books, say the result.

    `venues` are one for each exchange, and each is asked about its own orders and account alone.
    Nothing is ever sent here: an intent that never reached the venue is found absent and closed.
    """
    for order in list(core.blotter.all_open()):
        report = await venues[order.instrument.exchange].look_up(
            LookUpOrder(
                ts_ns=ts_ns,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                intended_ns=order.intended_ns,
                reason=WHEN_ASKED_AT_START,
                order_type=order.order_type,
            )
        )
        await take(report)

    async def book(missed: VenueFill) -> None:
        await take(_report(missed, ts_ns))

    differences: list[str] = []
    for exchange, venue in venues.items():
        found = await _compared(core, opened, exchange, venue, book)
        prefix = f"{exchange}: " if len(venues) > 1 else ""
        differences += [f"{prefix}{each}" for each in found]
    reconciled = Reconciled(ts_ns=ts_ns, is_clean=not differences, differences=tuple(differences))
    await take(reconciled)
    return reconciled


async def _compared(
    core: Core,
    opened: RunOpened,
    exchange: str,
    venue: Venue,
    book: Callable[[VenueFill], Awaitable[None]],
) -> tuple[str, ...]:
    """What still differs on one exchange when every fill we missed there is booked.

    Of many instruments only those are asked for that were traded: fills of others would show in
    the balances, and then all are asked.
    """
    ours = [each for each in core.book.instruments if each.exchange == exchange]
    first = worth_asking(ours, core.blotter)
    account = await venue.account(first, opened.ts_ns)
    comparison = compare(opened, core.blotter, account, exchange)
    if not comparison.is_equal and len(first) < len(ours):
        account = await venue.account(ours, opened.ts_ns)
        comparison = compare(opened, core.blotter, account, exchange)
    for missed in comparison.missed:
        await book(missed)
    if comparison.missed:
        comparison = compare(opened, core.blotter, account, exchange)
    if comparison.missed:
        trades = ", ".join(each.fill.trade_id for each in comparison.missed)
        return (*comparison.differences, f"fills that cannot be booked: {trades}")
    return comparison.differences


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
