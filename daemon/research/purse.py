"""The money of a simulated venue: turns what fills bring and take into the cash of each exchange.

Belongs here: amounts of quote currency, exact. What of them an order may spend belongs to
`simulated_venue`; coins that were bought are the books' to know, which sell no more than they hold.
"""

from __future__ import annotations

from decimal import localcontext
from typing import TYPE_CHECKING

from daemon.core.positions import EXACT, ZERO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Fill


class Purse:
    """By exchange and currency; nothing moves between them by itself, as in the books."""

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        cash: Mapping[tuple[str, str], Decimal],
    ) -> None:
        self._instruments = instruments
        self._cash = dict(cash)

    def cash(self, instrument: InstrumentId) -> Decimal:
        """Of the currency that the instrument is paid in, where it is traded."""
        return self._cash.get(self._place(instrument), ZERO)

    def share(self, one: InstrumentId, other: InstrumentId) -> bool:
        """Whether both are paid out of the same cash."""
        return self._place(one) == self._place(other)

    def pay(self, instrument: InstrumentId, amount: Decimal) -> None:
        """Take in an amount; a negative one goes out."""
        place = self._place(instrument)
        with localcontext(EXACT):
            self._cash[place] = self._cash.get(place, ZERO) + amount

    def settle(self, instrument: Instrument, fill: Fill, *, is_buy: bool) -> None:
        """The money of one fill; of a swap that is its fee alone, what it makes is told apart."""
        with localcontext(EXACT):
            value = ZERO if instrument.is_swap else fill.price * fill.quantity
            fee = fill.fee if fill.fee_currency == instrument.quote else ZERO
            self.pay(instrument.id, (-value if is_buy else value) - fee)

    def _place(self, instrument: InstrumentId) -> tuple[str, str]:
        return instrument.exchange, self._instruments[instrument].quote
