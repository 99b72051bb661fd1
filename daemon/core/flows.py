"""What came to and left each account by no order of ours, summed from journaled facts.

Belongs here: the one record that lets an account close to the last digit. The bot's own money
belongs to the book, which none of this changes.
"""

from decimal import Decimal, localcontext

from daemon.core.book import EXACT
from daemon.core.events import FundsMoved


class ExternalFlows:
    """Sums by exchange and currency; changed by `apply_*` only."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Decimal]] = {}

    def on_account(self, exchange: str) -> dict[str, Decimal]:
        """What came in on balance since the run opened, by currency; negative is what left."""
        return dict(self._sums.get(exchange, {}))

    def apply_funds_moved(self, event: FundsMoved) -> None:
        sums = self._sums.setdefault(event.exchange, {})
        with localcontext(EXACT):
            sums[event.currency] = sums.get(event.currency, Decimal(0)) + event.amount
