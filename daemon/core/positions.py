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
PLACES = Decimal("1e-12")
# Wide enough for every sum of products of an account, and a digit that is lost all the same raises.
EXACT = Context(prec=100, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])


class Position(Struct, kw_only=True):
    """What the bot itself bought (positive) or sold short (negative) of one instrument.

    `dust` is what no order can move, kept apart: it is no position, and the next one takes it over.
    Of a swap nothing is paid when it is entered: `owed` is what would have been, so that it is
    worth its notional less that, to the last digit.
    """

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    trip_cash: Decimal = ZERO  # cash flow of this round trip, fees in quote included
    trip_entry_notional: Decimal = ZERO
    is_trip: bool = False  # it has been a lot or more since it was last flat
    closed_return: float | None = None  # of the round trip that the newest change ended
    dust: Decimal = ZERO
    dust_quote: Decimal = ZERO  # what it was worth when it was set aside
    owed: Decimal = ZERO  # of a swap: entries less exits at what they were entered for, signed

    @property
    def all_quantity(self) -> Decimal:
        """With the dust: what the bot owns of it."""
        return self.quantity + self.dust

    @property
    def cost_quote(self) -> Decimal:
        """What was paid for it, dust at its worth when it was set aside; nothing for a swap."""
        return ZERO if self.owed else self.quantity * self.average_price + self.dust_quote

    def realize(self, change: Decimal, price: Decimal) -> Decimal:
        """Owe a change of a swap's quantity, and say what it realizes: profit of what it closes.

        The part of what is owed that belongs to a part of the quantity is rounded to a share of a
        cent that no exchange knows; the rest stays owed, so that nothing is lost.
        """
        held, closes = self.quantity, ZERO
        with localcontext(EXACT):
            if held and (held > 0) is not (change > 0):
                closes = change if abs(change) <= abs(held) else -held
                part = self.owed if closes == -held else _rounded(self.owed * -closes, held)
                realized = -closes * price - part
                self.owed += (change - closes) * price - part
                return realized
            self.owed += change * price
        return ZERO

    def liquidation_price(self, leverage: Decimal, maintenance: Decimal) -> Decimal | None:
        """Where an exchange takes an isolated position away; None without one, or beyond 0.

        What is owed less its margin is all that the position may still be worth, and `maintenance`
        is the share of its notional that has to be left.
        """
        if not self.quantity or not self.owed:
            return None
        margin = abs(self.owed) / leverage
        if self.quantity > 0:
            price = (self.owed - margin) / (self.quantity * (1 - maintenance))
        else:
            price = (abs(self.owed) + margin) / (abs(self.quantity) * (1 + maintenance))
        return price if price > 0 else None

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

    def bankruptcy_price(self, leverage: Decimal) -> Decimal:
        """Where all of an isolated position's margin is gone."""
        return max(ZERO, (self.owed - abs(self.owed) / leverage) / self.quantity)

    def worth(self, mark: Decimal) -> Decimal:
        """What it adds to the equity at that price, in quote units."""
        return self.all_quantity * mark - self.owed

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


def _rounded(product: Decimal, divisor: Decimal) -> Decimal:
    """Their quotient to 12 places."""
    with localcontext() as context:
        context.traps[Inexact] = False
        return (product / divisor).quantize(PLACES)
