"""What the daemon needs of the world, as protocols: market data, venues, the journal.

Belongs here: the seams at which backtest, replay, paper and live differ. Implementations live at
the edge.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from daemon.core.bars import RawBar, RawTrade
from daemon.core.events import CancelOrder, Event, LookUpOrder, OrderReported, SubmitOrder
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Fill, OrderType, Side


class MarketData(Protocol):
    """Candles and instruments of one exchange; all reads may be repeated."""

    exchange: str

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        """Steps and limits of the symbols; ExchangeUnreachable, or ValueError for an unknown
        symbol.
        """
        ...

    async def untraded(self, symbols: Sequence[str]) -> dict[str, str]:
        """Of these, what takes no orders now, asked anew, and why; ExchangeUnreachable."""
        ...

    def watch(self, instrument: InstrumentId) -> AsyncIterator[RawBar]:
        """Candles as the stream tells them, partial and closed; ends only by cancellation or an
        error.
        """
        ...

    def trades(self, instrument: InstrumentId) -> AsyncIterator[RawTrade]:
        """Public trades as the stream tells them, each once; ends only by cancellation or an
        error.
        """
        ...

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        """Candles by REST from `since_ns` on, oldest first, at most `limit`; the last may be
        unfinished.
        """
        ...

    async def book(self, instrument: InstrumentId, levels: int) -> "Book":
        """The order book now."""
        ...

    async def server_ns(self) -> int:
        """The exchange's wire clock, ns UTC; ExchangeUnreachable."""
        ...

    async def close(self) -> None: ...


class Book(Struct, frozen=True, gc=False):
    """Price levels (price, base quantity), best first."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class FundingRate(Struct, frozen=True, kw_only=True, gc=False):
    """What holders of a swap paid each other at one moment; longs pay for a positive rate."""

    ts_ns: int
    rate: Decimal
    price: Decimal | None  # the mark price it was reckoned with, where it is told


class VenueFill(Struct, frozen=True, kw_only=True, gc=False):
    """A fill as the venue's trade list tells it."""

    client_order_id: str | None
    venue_order_id: str
    instrument: InstrumentId
    side: Side
    fill: Fill


class OpenOrder(Struct, frozen=True, kw_only=True, gc=False):
    """An order that is open at the venue, as it tells of it."""

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Account(Struct, frozen=True, kw_only=True, gc=False):
    """What the venue says we have and have done since a moment."""

    totals: dict[str, Decimal]
    fills: tuple[VenueFill, ...]
    open_client_order_ids: tuple[str, ...]
    open_orders: tuple[OpenOrder, ...] = ()  # the same in full, where the venue can tell


class Venue(Protocol):
    """Anything orders can be sent to."""

    async def submit(self, order: SubmitOrder) -> OrderReported:
        """Send once and say what is known; never raises for what the exchange did, never sends
        twice.
        """
        ...

    async def cancel(self, order: CancelOrder) -> OrderReported:
        """Ask for the order's end and say what it is then: the venue's answer to the request alone
        proves nothing. It may still be open, and all of it may have filled. May be repeated.
        """
        ...

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        """Keep asking until the order is found or can no longer exist (ABSENT)."""
        ...

    def reports(self) -> AsyncIterator[OrderReported]:
        """Order news as the venue's stream tells them; hints only, look-ups are the authority."""
        ...

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        """Balances, own fills since `since_ns` and open orders; ExchangeUnreachable."""
        ...

    async def close(self) -> None: ...


class Journal(Protocol):
    """The durable list of all steps."""

    async def append(self, events: Sequence[Event], *, is_durable: bool) -> None:
        """Commit one step; when `is_durable` it is on the disk on return. JournalBroken if it
        cannot.
        """
        ...

    def read(self) -> Iterable[tuple[int, Event]]:
        """All (step number, event) in order."""
        ...
