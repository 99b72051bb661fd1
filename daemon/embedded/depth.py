"""The live order book of one symbol: a generated book minus what takers already took from it.

Belongs here: levels and their consumption. Where the levels come from belongs to the market, whose
orders take them belongs in matching.
"""

from dataclasses import dataclass
from decimal import Decimal

from daemon.embedded.account import ZERO, Side
from daemon.embedded.market import Book

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Take:
    """A quantity (base) to be taken at one price."""

    price: Decimal
    quantity: Decimal


class LiveBook:
    """Both sides, best first; stays consumed until the market makes a new one."""

    def __init__(self, book: Book) -> None:
        self.bids = list(book.bids)
        self.asks = list(book.asks)

    def best_bid(self) -> Level | None:
        return self.bids[0] if self.bids else None

    def best_ask(self) -> Level | None:
        return self.asks[0] if self.asks else None

    def plan(self, side: Side, quantity: Decimal, limit: Decimal | None) -> list[Take]:
        """What a taker of `quantity` (base) would get, best first, no worse than `limit`."""
        takes: list[Take] = []
        left = quantity
        for price, available in self._reachable(side, limit):
            if left <= 0:
                break
            taken = min(left, available)
            takes.append(Take(price, taken))
            left -= taken
        return takes

    def plan_quote(
        self, side: Side, quote_quantity: Decimal, lot: Decimal
    ) -> tuple[list[Take], Decimal]:
        """What a market order worth `quote_quantity` would get in whole lots, and the base
        quantity (at the last price) that it would miss because the book ends."""
        takes: list[Take] = []
        left, missing = quote_quantity, ZERO
        for price, available in self._reachable(side, None):
            wanted = left // (price * lot) * lot
            taken = min(wanted, available)
            if taken > 0:
                takes.append(Take(price, taken))
            left -= taken * price
            missing = wanted - taken
            if missing == 0:
                break
        return takes, missing

    def take(self, side: Side, takes: list[Take]) -> None:
        """Remove what was planned; the plan must be fresh."""
        levels = self.asks if side is Side.BUY else self.bids
        for take in takes:
            self._reduce(levels, take)

    def consume(self, side: Side, takes: list[Take]) -> None:
        """Remove earlier takes again from a book that was generated anew (after a restart)."""
        levels = self.asks if side is Side.BUY else self.bids
        prices = {price for price, _ in levels}
        for take in takes:
            if take.price in prices:
                self._reduce(levels, take)

    def _reachable(self, side: Side, limit: Decimal | None) -> list[Level]:
        if side is Side.BUY:
            return [each for each in self.asks if limit is None or each[0] <= limit]
        return [each for each in self.bids if limit is None or each[0] >= limit]

    def _reduce(self, levels: list[Level], take: Take) -> None:
        index = next(index for index, level in enumerate(levels) if level[0] == take.price)
        left = max(ZERO, levels[index][1] - take.quantity)
        if left == 0:
            del levels[index]
        else:
            levels[index] = (take.price, left)
