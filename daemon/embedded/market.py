"""What a market is to the embedded exchange: symbols, bars, the path inside a bar and a book.

Belongs here: the types and the port. Where the numbers come from belongs in synthetic and recorded;
orders, balances and the wire belong to the rest of the embedded exchange.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

BOOK_LEVELS = 50


@dataclass(frozen=True, slots=True)
class MarketSymbol:
    """An instrument as the exchange lists it: "BTC/USDT", with the venue's own id "BTCUSDT"."""

    symbol: str
    id: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    minimum_quantity: Decimal
    minimum_notional: Decimal


@dataclass(frozen=True, slots=True)
class MarketBar:
    """A closed bar; prices in quote per base and on tick, volume in base units."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class Book:
    """Both sides of an order book, best first, each level a (price, base quantity) pair."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class Market(Protocol):
    """A market that exists in full before anyone looks: no query changes what another returns.

    Times are the UTC epoch in milliseconds; bars are named by their open. Slots from
    `first_open_ms` up to, not including, `from_ms` are history; from `from_ms` on they stream.
    """

    @property
    def label(self) -> str:
        """What stands wherever this market's numbers appear: "SYNTHETIC ..." or "REPLAY ..."."""
        ...

    @property
    def fingerprint(self) -> str:
        """16 hex digits that two markets share exactly when their content is the same."""
        ...

    @property
    def timeframe_ms(self) -> int: ...

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        """The listed instruments by id ("BTCUSDT")."""
        ...

    @property
    def first_open_ms(self) -> int: ...

    @property
    def from_ms(self) -> int: ...

    @property
    def end_ms(self) -> int | None:
        """Close of the last slot, or None when the market never ends."""
        ...

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        """The bar of that slot, or None: an outage, a stamp off the grid, or outside the data."""
        ...

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        """The first `limit` bars with start <= open <= end, ascending; holes are absent."""
        ...

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        """Prices inside the bar in time order, evenly spaced, from open to close.

        Touches high and low; empty for a hole. Same slot, same path, always.
        """
        ...

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        """A book around `price`, the same for the same symbol, price and slot."""
        ...
