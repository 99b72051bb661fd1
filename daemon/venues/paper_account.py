"""A paper account: turns fills into balances, and resting orders into locks on them.

Belongs here: what is held, what of it is free, what a fill costs. Whether and where an order fills
belongs to `paper_venue`.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_UP, Decimal, localcontext
from typing import TYPE_CHECKING

from daemon.core.orders import Side
from daemon.core.positions import EXACT, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from daemon.core.events import SubmitOrder
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import VenueFill
    from daemon.venues.paper_terms import PaperTerms

ZERO = Decimal(0)
FEE_STEP = Decimal("0.00000001")


class PaperAccount:
    """Balances: on spot a buy locks what it may cost, a sale what it sells, and fees are taken from
    what a fill brings. A swap ties up its margin, whichever way, and all of it is paid in quote.
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
        self._swaps: dict[InstrumentId, Position] = {}
        self._held: defaultdict[InstrumentId, list[tuple[int, Decimal]]] = defaultdict(list)
        # What fees by volume go by: what was traded in the thirty days before a moment.
        self.volume_at: Callable[[int], Decimal] = lambda _ts_ns: ZERO
        self.fills: list[VenueFill] = []

    # --- reading ------------------------------------------------------------------------------

    @property
    def totals(self) -> dict[str, Decimal]:
        return {currency: total for currency, total in self._totals.items() if total}

    def free(self, currency: str) -> Decimal:
        """What no resting order and no swap holds."""
        locks = (amount for held, amount in self._locked.values() if held == currency)
        margins = (
            abs(position.owed) / self._terms.leverage
            for each, position in self._swaps.items()
            if self._instruments[each].quote == currency
        )
        return self._totals.get(currency, ZERO) - sum(locks, ZERO) - sum(margins, ZERO)

    def most(self, order: SubmitOrder) -> Decimal | None:
        """What an order may be filled for: an exit from a swap never turns it round."""
        if not (order.is_exit and self._instruments[order.instrument].is_swap):
            return None
        held = self._swaps.get(order.instrument, Position()).quantity
        return abs(held) if held and (held > 0) is (order.side is Side.SELL) else ZERO

    def swaps(self) -> dict[InstrumentId, Position]:
        """Those that are held."""
        return {each: position for each, position in self._swaps.items() if position.quantity}

    def ever_held(self) -> set[InstrumentId]:
        """The swaps that were held at any time."""
        return {each for each, held in self._held.items() if held}

    def first_held_ns(self, instrument: InstrumentId) -> int | None:
        """When a swap was first traded; None where it never was."""
        held = self._held.get(instrument)
        return held[0][0] if held else None

    def changed_ns(self, instrument: InstrumentId) -> int | None:
        """When a swap was last traded, or taken away; None where it never was."""
        held = self._held.get(instrument)
        return held[-1][0] if held else None

    def held_at(self, instrument: InstrumentId, ts_ns: int) -> Decimal:
        """How much of a swap was held right before a moment."""
        before = (quantity for at_ns, quantity in reversed(self._held[instrument]) if at_ns < ts_ns)
        return next(before, ZERO)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        return self._instruments[instrument]

    def needed(self, order: SubmitOrder, takes: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
        """What executions at (price, quantity) take from the account."""
        if self._instruments[order.instrument].is_swap:
            value = sum((price * each for price, each in takes), ZERO)
            return ZERO if order.is_exit else value / self._terms.leverage
        is_buy = order.side is Side.BUY
        return sum((price * each if is_buy else each for price, each in takes), ZERO)

    def pays_in(self, order: SubmitOrder) -> str:
        instrument = self._instruments[order.instrument]
        is_in_quote = order.side is Side.BUY or instrument.is_swap
        return instrument.quote if is_in_quote else instrument.base

    def fee(
        self, order: SubmitOrder, price: Decimal, quantity: Decimal, ts_ns: int, *, is_maker: bool
    ) -> tuple[Decimal, str]:
        """The fee of one fill and its currency, by what was traded in the 30 days before."""
        instrument = self._instruments[order.instrument]
        is_in_base = order.side is Side.BUY and not instrument.is_swap
        received = quantity if is_in_base else quantity * price
        ratio = self._terms.fee_ratio(self.volume_at(ts_ns), is_maker=is_maker)
        fee = (received * ratio).quantize(FEE_STEP, ROUND_UP if ratio > 0 else None)
        return fee, instrument.base if is_in_base else instrument.quote

    # --- changing -----------------------------------------------------------------------------

    def lock(self, order: SubmitOrder, leaves: Decimal) -> None:
        """Hold what a resting order may still take; a stop is valued at its stop price."""
        price = order.price or order.stop_price or ZERO
        amount = self.needed(order, ((price, leaves),))
        self._locked[order.client_order_id] = (self.pays_in(order), amount)

    def unlock(self, client_order_id: str) -> None:
        self._locked.pop(client_order_id, None)

    def book(self, told: VenueFill) -> None:
        """Move the money of one fill, to the last digit, as the books do."""
        instrument, fill = self._instruments[told.instrument], told.fill
        change = fill.quantity if told.side is Side.BUY else -fill.quantity
        is_swap = instrument.is_swap
        realized = self._change_swap(told, change) if is_swap else ZERO
        with localcontext(EXACT):
            if is_swap:
                self._totals[instrument.quote] += realized
            else:
                self._totals[instrument.base] += change
                self._totals[instrument.quote] -= change * fill.price
            self._totals[fill.fee_currency] -= fill.fee
        self.fills.append(told)

    def liquidation_price(self, instrument: InstrumentId) -> Decimal | None:
        position = self._swaps.get(instrument, Position())
        return position.liquidation_price(self._terms.leverage, self._terms.maintenance_ratio)

    def fund(self, instrument: InstrumentId, amount: Decimal) -> None:
        """Pay or get the funding of a swap; a positive amount comes in."""
        with localcontext(EXACT):
            self._totals[self._instruments[instrument].quote] += amount

    def take_away(self, instrument: InstrumentId, ts_ns: int) -> Decimal | None:
        """Close a swap whose margin is used up; the price at which all of it is gone."""
        position = self._swaps.pop(instrument, None)
        if position is None or not position.quantity:
            return None
        self._held[instrument].append((ts_ns, ZERO))
        price = position.bankruptcy_price(self._terms.leverage)
        with localcontext(EXACT):
            realized = position.realize(-position.quantity, price)
            self._totals[self._instruments[instrument].quote] += realized
        return price

    def _change_swap(self, told: VenueFill, change: Decimal) -> Decimal:
        position = self._swaps.setdefault(told.instrument, Position())
        realized = position.realize(change, told.fill.price)
        position.fold(change, ZERO, abs(change) * told.fill.price, told.fill.price)
        self._held[told.instrument].append((told.fill.ts_ns, position.quantity))
        return realized
