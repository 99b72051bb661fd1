"""Probation: after a resume, positions are smaller until so many trades have closed without a halt.

Belongs here: counting those trades. Cutting the size belongs to `sizing`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.config import RiskSection


class Probation:
    """Trades still to be closed at the smaller size; a new halt begins it anew at its own end."""

    def __init__(self, config: RiskSection) -> None:
        self._trades = config.probation_trades
        self._ratio = Decimal(repr(config.probation_ratio))
        self.trades_left = 0

    def begin(self) -> None:
        self.trades_left = self._trades

    def note_closed(self) -> None:
        self.trades_left = max(0, self.trades_left - 1)

    @property
    def ratio(self) -> Decimal:
        """What an entry is multiplied with."""
        return self._ratio if self.trades_left else Decimal(1)
