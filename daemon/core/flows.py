"""What came to and left each account by no order of ours, summed from journaled facts.

Belongs here: the one record that lets an account close to the last digit. The bot's own money
belongs to the book, which none of this changes.
"""

from decimal import Decimal, localcontext

from daemon.core.events import BooksAdopted, FundsMoved
from daemon.core.instruments import InstrumentId
from daemon.core.positions import EXACT


class ExternalFlows:
    """Sums by exchange and currency; changed by `apply_*` only."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Decimal]] = {}
        self._settled: dict[str, set[tuple[InstrumentId, str]]] = {}

    def on_account(self, exchange: str) -> dict[str, Decimal]:
        """What came in on balance since the run opened, by currency; negative is what left."""
        return dict(self._sums.get(exchange, {}))

    def settled_on(self, exchange: str) -> frozenset[tuple[InstrumentId, str]]:
        """Trades of adopted orders that the balances at the run's opening hold already."""
        return frozenset(self._settled.get(exchange, ()))

    def apply_books_adopted(self, event: BooksAdopted) -> None:
        settled = self._settled.setdefault(event.exchange, set())
        for order in event.orders:
            settled.update((order.instrument, trade) for trade in order.settled)

    def apply_funds_moved(self, event: FundsMoved) -> None:
        sums = self._sums.setdefault(event.exchange, {})
        with localcontext(EXACT):
            sums[event.currency] = sums.get(event.currency, Decimal(0)) + event.amount
