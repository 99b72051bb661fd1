"""One position: turns fills into quantity, average price, round trips and what is left as dust.

Belongs here: arithmetic of a single instrument, in its quote currency. What all positions are worth
together belongs to `book`.
"""

from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

from msgspec import Struct

ZERO = Decimal(0)
# Wide enough for every sum of products of an account, and a digit that is lost all the same raises.
EXACT = Context(prec=100, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])


class Position(Struct, kw_only=True):
    """What the bot itself bought (positive) or sold short (negative) of one instrument.

    `dust` is what no order can move, kept apart: it is no position, and the next one takes it over.
    """

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    trip_cash: Decimal = ZERO  # cash flow of this round trip, fees in quote included
    trip_entry_notional: Decimal = ZERO
    is_trip: bool = False  # it has been a lot or more since it was last flat
    closed_return: float | None = None  # of the round trip that the newest change ended
    dust: Decimal = ZERO
    dust_quote: Decimal = ZERO  # what it was worth when it was set aside

    @property
    def all_quantity(self) -> Decimal:
        """With the dust: what the bot owns of it."""
        return self.quantity + self.dust

    @property
    def cost_quote(self) -> Decimal:
        """What it was taken in for, dust at its worth when it was set aside."""
        return self.quantity * self.average_price + self.dust_quote

    def fold(self, change: Decimal, cash: Decimal, value: Decimal, price: Decimal) -> None:
        """One fill: quantity after fees in base, cash after fees in quote, gross value."""
        if not self.quantity:
            self._take_over_dust()
        before = self.quantity
        with localcontext(EXACT):
            self.trip_cash += cash
            self.quantity += change
            if abs(self.quantity) > abs(before):
                self.trip_entry_notional += value
        self._average(before, price)

    def end_trip(self, lot: Decimal, mark: Decimal) -> None:
        """Under one lot a round trip is over, and what is left is dust."""
        self.closed_return = None
        if abs(self.quantity) >= lot:
            self.is_trip = True
        elif self.is_trip:
            self.set_aside(mark)

    def set_aside(self, price: Decimal) -> None:
        """What is left becomes dust at this price, and ends the round trip it is left of."""
        left = self.quantity * price
        self.closed_return = None
        if self.is_trip and self.trip_entry_notional:
            self.closed_return = float((self.trip_cash + left) / self.trip_entry_notional)
        with localcontext(EXACT):
            self.dust += self.quantity
        self.dust_quote += left
        self.quantity = self.average_price = ZERO
        self.trip_cash = self.trip_entry_notional = ZERO
        self.is_trip = False

    def _take_over_dust(self) -> None:
        """A new position begins with what the last one left, at the price that one was credited."""
        if self.dust:
            self.quantity, self.average_price = self.dust, self.dust_quote / self.dust
            self.trip_cash -= self.dust_quote
            self.dust = self.dust_quote = ZERO

    def _average(self, before: Decimal, price: Decimal) -> None:
        after = self.quantity
        if not after:
            self.average_price = ZERO
        elif before == 0 or (before > 0) != (after > 0):
            self.average_price = price  # new, or turned through zero
        elif abs(after) > abs(before):
            total = before * self.average_price + (after - before) * price
            self.average_price = total / after
