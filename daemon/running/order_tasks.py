"""What keeps orders going beside bars: time that passes, and orders that an earlier process left.

Belongs here: what a running daemon and a simulated one do alike for orders at work. Sending and
asking belong to the outbox, what a tick changes to execution.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.events import LookUpOrder, OrdersTicked
from daemon.core.orders import Leg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.core.blotter import Blotter
    from daemon.core.events import Input
    from daemon.venues.outbox import Outbox

TICK_EVERY_S = 1.0


def follow_open(blotter: Blotter, outboxes: Mapping[str, Outbox]) -> None:
    """Hear again of orders that an earlier process left open."""
    for order in blotter.all_open():
        if not order.is_unresolved:
            outboxes[order.instrument.exchange].watch(
                LookUpOrder.of(order, order.intended_ns, "it was open at the start")
            )


def is_left_alone(blotter: Blotter) -> bool:
    """Nothing rests but stops that nobody asked to end: a cancel that got no answer may have been
    heard, and is sent again until it is known what came of it.
    """
    return all(
        each.leg is Leg.STOP and each.cancel_requested_ns is None for each in blotter.all_open()
    )


async def tick_orders(
    is_due: Callable[[int], bool],
    put: Callable[[Input], Awaitable[None]],
    now_ns: Callable[[], int],
    is_idle: Callable[[], bool],
    *,
    every_s: float = TICK_EVERY_S,
) -> None:
    """Let time pass for orders that are being worked, where that changes anything."""
    while True:
        await asyncio.sleep(every_s)
        ts_ns = now_ns()
        if is_idle() and is_due(ts_ns):
            await put(OrdersTicked(ts_ns=ts_ns))
