"""Money by exchange and currency: what was allotted, what is left of it, what others paid; exact.

Belongs here: amounts of currencies. Positions, and what all is worth together, belong to `book`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext

from daemon.core.instruments import Instrument
from daemon.core.positions import EXACT, ZERO


class Cash:
    """`on` is what may be spent; `others` is what was paid from assets that were not allotted.

    Money does not move between exchanges, nor between currencies, by itself.
    """

    def __init__(self) -> None:
        self.on: dict[tuple[str, str], Decimal] = {}
        self.others: dict[tuple[str, str], Decimal] = {}
        self.totals: dict[str, Decimal] = {}  # by currency, wherever it lies
        self.allotted: dict[str, Decimal] = {}

    def open(
        self, allotted: Mapping[tuple[str, str], Decimal], instruments: Iterable[Instrument]
    ) -> None:
        self.on.update(allotted)
        for each in instruments:
            self.on.setdefault((each.id.exchange, each.quote), ZERO)
        for _, currency in self.on:
            there = (amount for at, amount in self.on.items() if at[1] == currency)
            self.allotted[currency] = sum(there, ZERO)
        self.totals.update(self.allotted)

    def pay(self, exchange: str, currency: str, amount: Decimal) -> None:
        with localcontext(EXACT):
            self.on[exchange, currency] += amount
            self.totals[currency] += amount

    def charge(self, exchange: str, currency: str, fee: Decimal) -> None:
        """A fee in a third asset: from what was allotted of it, else from a ledger of its own."""
        there = exchange, currency
        if there in self.on:
            self.pay(exchange, currency, -fee)
        else:
            with localcontext(EXACT):
                self.others[there] = self.others.get(there, ZERO) - fee

    def all_on(self, exchange: str) -> dict[str, Decimal]:
        """By currency, what others paid taken off."""
        with localcontext(EXACT):
            amounts: dict[str, Decimal] = {}
            for (at, currency), amount in (*self.on.items(), *self.others.items()):
                if at == exchange:
                    amounts[currency] = amounts.get(currency, ZERO) + amount
            return amounts
