"""A paper account: turns fills into balances, and resting orders into locks on them.

Belongs here: what is held, what of it is free, what a fill costs. Whether and where an order fills
belongs to `paper_venue`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from daemon.core.orders import Side
from daemon.core.timeframes import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from daemon.core.events import SubmitOrder
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import VenueFill
    from daemon.venues.paper_terms import PaperTerms

ZERO = Decimal(0)
FEE_STEP = Decimal("0.00000001")
VOLUME_WITHIN_NS = 30 * 86_400 * NS_PER_S


class PaperAccount:
    """Spot balances: a buy locks what it may cost, a sale what it sells; fees are taken from what
    a fill brings.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        start: Mapping[str, Decimal],
        terms: PaperTerms,
    ) -> None:
        self._instruments = {each.id: each for each in instruments}
        self._terms = terms
        self._totals: defaultdict[str, Decimal] = defaultdict(Decimal, start)
        self._locked: dict[str, tuple[str, Decimal]] = {}  # by client order id
        self._traded: deque[tuple[int, Decimal]] = deque()
        self._volume = ZERO
        self.fills: list[VenueFill] = []

    # --- reading ------------------------------------------------------------------------------

    @property
    def totals(self) -> dict[str, Decimal]:
        return {currency: total for currency, total in self._totals.items() if total}

    def free(self, currency: str) -> Decimal:
        """What no resting order holds."""
        locks = (amount for held, amount in self._locked.values() if held == currency)
        return self._totals.get(currency, ZERO) - sum(locks, ZERO)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        return self._instruments[instrument]

    def needed(self, order: SubmitOrder, takes: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
        """What executions at (price, quantity) take from the account."""
        is_buy = order.side is Side.BUY
        return sum((price * each if is_buy else each for price, each in takes), ZERO)

    def pays_in(self, order: SubmitOrder) -> str:
        instrument = self._instruments[order.instrument]
        return instrument.quote if order.side is Side.BUY else instrument.base

    def fee(
        self, order: SubmitOrder, price: Decimal, quantity: Decimal, ts_ns: int, *, is_maker: bool
    ) -> tuple[Decimal, str]:
        """The fee of one fill and its currency, by what was traded in the 30 days before."""
        instrument = self._instruments[order.instrument]
        is_buy = order.side is Side.BUY
        received = quantity if is_buy else quantity * price
        ratio = self._terms.fee_ratio(self._volume_at(ts_ns), is_maker=is_maker)
        fee = (received * ratio).quantize(FEE_STEP, ROUND_UP if ratio > 0 else None)
        return fee, instrument.base if is_buy else instrument.quote

    # --- changing -----------------------------------------------------------------------------

    def lock(self, order: SubmitOrder, leaves: Decimal) -> None:
        """Hold what a resting order may still take; a stop is valued at its stop price."""
        price = order.price or order.stop_price or ZERO
        amount = leaves * price if order.side is Side.BUY else leaves
        self._locked[order.client_order_id] = (self.pays_in(order), amount)

    def unlock(self, client_order_id: str) -> None:
        self._locked.pop(client_order_id, None)

    def book(self, told: VenueFill) -> None:
        """Move the money of one fill."""
        instrument, fill = self._instruments[told.instrument], told.fill
        sign = 1 if told.side is Side.BUY else -1
        value = fill.quantity * fill.price
        self._totals[instrument.base] += sign * fill.quantity
        self._totals[instrument.quote] -= sign * value
        self._totals[fill.fee_currency] -= fill.fee
        self._traded.append((fill.ts_ns, value))
        self._volume += value
        self.fills.append(told)

    def _volume_at(self, ts_ns: int) -> Decimal:
        while self._traded and self._traded[0][0] < ts_ns - VOLUME_WITHIN_NS:
            self._volume -= self._traded.popleft()[1]
        return self._volume
