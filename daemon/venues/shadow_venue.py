"""A venue that sends nothing: it notes what would have left, and fills it on paper beside the real
account.

Belongs here: putting the paper's and the account's words together. The fills are `paper_venue`'s,
and the wall that keeps requests back is `read_only`'s: no client that could send is held here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from daemon.core.events import OrderReported, Outcome, ReportSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from daemon.core.events import CancelOrder, LookUpOrder, SubmitOrder
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Account
    from daemon.venues.ccxt_requests import Request
    from daemon.venues.paper_venue import PaperVenue

    Read = Callable[[Sequence[InstrumentId], int], Awaitable[Account]]
    Note = Callable[[Mapping[str, Any]], None]

ZERO = Decimal(0)
PLACE, CANCEL, REFUSED = "place", "cancel", "refused"


class ShadowVenue:
    """`read` asks the real account, `start` is what it held when the paper's books began with it;
    `request` puts an order in the exchange's words, and `note` keeps them.
    """

    def __init__(
        self,
        paper: PaperVenue,
        *,
        read: Read,
        close: Callable[[], Awaitable[None]],
        start: Mapping[str, Decimal],
        request: Callable[[SubmitOrder], Request],
        note: Note,
    ) -> None:
        self._paper = paper
        self._read = read
        self._close = close
        self._start = dict(start)
        self._request = request
        self._note = note

    async def submit(self, order: SubmitOrder) -> OrderReported:
        """Noted as it would have been sent, then filled on paper; what could not have been put to
        the exchange is not sent here either.
        """
        try:
            request = self._request(order)
        except (ValueError, LookupError) as error:
            self._note({**_who(order, REFUSED), "reason": str(error)})
            return OrderReported(
                ts_ns=order.ts_ns,
                client_order_id=order.client_order_id,
                outcome=Outcome.NOT_SENT,
                source=ReportSource.REPLY,
                reason=str(error),
            )
        self._note(
            {
                **_who(order, PLACE),
                "type": request.ccxt_type,
                "side": request.side,
                "quantity": request.quantity,
                "price": request.price,
                "params": request.params,
            }
        )
        return await self._paper.submit(order)

    async def cancel(self, order: CancelOrder) -> OrderReported:
        self._note(_who(order, CANCEL))
        return await self._paper.cancel(order)

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        return await self._paper.look_up(order)

    def reports(self) -> AsyncIterator[OrderReported]:
        return self._paper.reports()

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        """The paper's fills on top of the real balances of now: money that comes and goes there is
        seen, and so are the orders that somebody has there.
        """
        real = await self._read(instruments, since_ns)
        paper = await self._paper.account(instruments, since_ns)
        names = {*real.totals, *self._start, *paper.totals}
        totals = {
            name: paper.totals.get(name, ZERO)
            + real.totals.get(name, ZERO)
            - self._start.get(name, ZERO)
            for name in sorted(names)
        }
        return replace(
            paper,
            totals={name: total for name, total in totals.items() if total},
            open_client_order_ids=(*paper.open_client_order_ids, *real.open_client_order_ids),
            open_orders=real.open_orders,
        )

    async def close(self) -> None:
        await self._close()


def _who(order: SubmitOrder | CancelOrder, what: str) -> dict[str, Any]:
    return {
        "ts_ns": order.ts_ns,
        "what": what,
        "order": order.client_order_id,
        "symbol": order.instrument.symbol,
    }
