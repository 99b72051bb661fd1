"""What we took from books that do not know of us: turns shown levels into what is left for us.

Belongs here: consumption of levels and its recovery. Orders belong to `paper_orders`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.timeframes import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

Take = tuple[Decimal, Decimal]  # (price, quantity)
Levels = tuple[Take, ...]
ZERO = Decimal(0)


class Depth:
    """One side of one book.

    What we took from a price is missing there, whatever it shows, and comes back by half every
    `recovery_s`: the real book never lost it, and others would have had to bring it again.
    """

    def __init__(self, *, recovery_s: float, lot: Decimal) -> None:
        self._recovery_s = recovery_s
        self._lot = lot
        self._taken: dict[Decimal, tuple[Decimal, int]] = {}  # by price: how much, as of when

    def walk(self, levels: Levels, quantity: Decimal, ts_ns: int) -> list[Take]:
        """(price, quantity) level by level, best first, until `quantity` is there or none left."""
        takes: list[Take] = []
        for price, shown in levels:
            if quantity <= 0:
                break
            left = (shown - self._missing(price, ts_ns)) // self._lot * self._lot
            take = min(quantity, left)
            if take > 0 and price > 0:
                takes.append((price, take))
                quantity -= take
        return takes

    def take(self, takes: Iterable[Take], ts_ns: int) -> None:
        """Note what was taken; what has come back by now is forgotten."""
        kept = {price: (self._missing(price, ts_ns), ts_ns) for price in self._taken}
        for price, quantity in takes:
            before, _ = kept.get(price, (ZERO, ts_ns))
            kept[price] = (before + quantity, ts_ns)
        self._taken = {price: each for price, each in kept.items() if each[0] >= self._lot}

    def _missing(self, price: Decimal, ts_ns: int) -> Decimal:
        taken, since_ns = self._taken.get(price, (ZERO, ts_ns))
        passed_s = max(0, ts_ns - since_ns) / NS_PER_S
        if not taken or not passed_s:
            return taken
        if not self._recovery_s:
            return ZERO
        return taken * Decimal(repr(0.5 ** (passed_s / self._recovery_s)))
