"""The second half of every start: asks what became of open orders and whether the books agree.

Belongs here: what must be known of the venue before the first decision. What a report means belongs
to execution, what a difference means to `books.watch`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import (
    FundingCharged,
    LookUpOrder,
    OrderFilled,
    PositionLiquidated,
    RunClosed,
    Started,
    StopRequested,
)
from daemon.core.orders import Fill
from daemon.core.ports import VenueFill
from daemon.running.books.watch import Hands, Restless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from daemon.core.blotter import Blotter
    from daemon.core.events import Input, OrderReported
    from daemon.core.orders import Order
    from daemon.core.ports import Venue
    from daemon.running.books.watch import BookWatch
    from daemon.store.journal import SqliteJournal

WHEN_ASKED_AT_START = "asked at start"
PROBE_EVERY_S = 20.0


def was_cut_off(journal: SqliteJournal) -> bool:
    """The last process on this journal ended without having been asked to."""
    kinds = [type(event) for _, event in journal.read_kinds(Started, StopRequested, RunClosed)]
    return bool(kinds) and kinds[-1] is Started


async def settle(
    blotter: Blotter,
    venues: Mapping[str, Venue],
    watches: Mapping[str, BookWatch],
    take: Callable[[Input], Awaitable[None]],
    ts_ns: int,
    *,
    on_away: Callable[[str, ExchangeUnreachable], Awaitable[None]],
    is_adopting: bool = False,
) -> list[str]:
    """Resolve every open order, book every fill we missed, compare the books, say the result.

    There is one venue and one watch for each exchange, and each is asked about its own orders and
    account alone. Nothing is ever sent here: an intent that never reached the venue is found absent
    and closed. What is intended meanwhile, a stop behind a fill that we missed, leaves when all is
    settled, and is not looked for before. An exchange that gives no answer is asked again each time
    `on_away` returns.
    `is_adopting`: orders there that bear our mark and that the journal lacks are taken over.
    Gives the exchanges on which there was no quiet moment to compare in. Their books are compared
    later, and until then nothing is opened there: their positions need the daemon meanwhile.
    """
    unsettled = []
    left = list(blotter.all_open())
    for exchange, venue in venues.items():
        orders = [each for each in left if each.instrument.exchange == exchange]
        while True:
            try:
                await _settle_one(orders, venue, watches[exchange], take, ts_ns, is_adopting)
                break
            except Restless:
                unsettled.append(exchange)
                break
            except ExchangeUnreachable as error:
                await on_away(exchange, error)
    return unsettled


async def _settle_one(  # noqa: PLR0917  # one exchange, as settle knows it
    orders: Iterable[Order],
    venue: Venue,
    watch: BookWatch,
    take: Callable[[Input], Awaitable[None]],
    ts_ns: int,
    is_adopting: bool,
) -> None:
    async def look_up(command: LookUpOrder) -> None:
        await take(await _answer(venue, command))

    for order in [each for each in orders if each.is_open]:
        await look_up(LookUpOrder.of(order, ts_ns, WHEN_ASKED_AT_START))
    hands = Hands(enter=take, look_up=look_up, rest=_at_once, now_ns=lambda: ts_ns)
    await watch.check(hands, is_adopting=is_adopting)


async def _answer(venue: Venue, command: LookUpOrder) -> OrderReported:
    """A venue asks for as long as it gets no answer; whether there is anybody is asked besides."""
    while True:
        try:
            async with asyncio.timeout(PROBE_EVERY_S):
                return await venue.look_up(command)
        except TimeoutError:
            await venue.account((), command.intended_ns)


async def _at_once() -> None:
    """Nothing is on its way at a start."""


def booked(
    blotter: Blotter, journal: SqliteJournal, exchange: str
) -> tuple[list[Order], list[VenueFill], list[PositionLiquidated], list[FundingCharged]]:
    """What a paper venue forgets with its process: orders, fills, swaps taken away, and funding."""
    fills = [
        VenueFill(
            client_order_id=event.client_order_id,
            venue_order_id=event.client_order_id,
            instrument=event.instrument,
            side=event.side,
            fill=Fill(
                trade_id=event.trade_id,
                price=event.price,
                quantity=event.quantity,
                fee=event.fee,
                fee_currency=event.fee_currency,
                ts_ns=event.ts_ns,
                is_maker=event.is_maker,
            ),
        )
        for _, event in journal.read_kinds(OrderFilled)
        if event.instrument.exchange == exchange
    ]
    orders = [each for each in blotter.orders.values() if each.instrument.exchange == exchange]
    gone = [
        event
        for _, event in journal.read_kinds(PositionLiquidated)
        if event.instrument.exchange == exchange
    ]
    funded = [
        event
        for _, event in journal.read_kinds(FundingCharged)
        if event.instrument.exchange == exchange
    ]
    return orders, fills, gone, funded
