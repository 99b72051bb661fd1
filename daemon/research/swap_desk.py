"""The swaps of a simulated venue: what is held there, and what the venue does with it by itself.

Belongs here: reduce-only, funding and liquidation, as far as bars can tell. How an order fills
belongs to `simulated_venue`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import FundingCharged, PositionLiquidated
from daemon.core.orders import Side
from daemon.core.positions import Position
from daemon.core.timeframes import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.core.bars import Bar
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Fill
    from daemon.research.purse import Purse

FUNDING_EVERY_NS = 8 * 3_600 * NS_PER_S
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapTerms:
    """What holding a swap costs. Where `rates` has a symbol, its times and rates are the only ones;
    elsewhere `funding_ratio` is charged every eight hours.
    """

    leverage: Decimal = Decimal(1)
    maintenance_ratio: Decimal = ZERO
    funding_ratio: Decimal = ZERO
    rates: Mapping[str, Mapping[int, Decimal]] = field(default_factory=dict)


class SwapDesk:
    """Positions as the venue knows them, each with a margin of its own."""

    def __init__(self, terms: SwapTerms, purse: Purse) -> None:
        self._terms = terms
        self._purse = purse
        self._held: dict[InstrumentId, Position] = {}
        self._through_ns: dict[InstrumentId, int] = {}  # funding is paid up to there

    def most(self, instrument: Instrument, side: Side, *, is_exit: bool) -> Decimal | None:
        """What an order may be filled for at most; None where nothing limits it."""
        if not instrument.is_swap or not is_exit:
            return None
        held = self._held.get(instrument.id, Position()).quantity
        return abs(held) if held and (held > 0) is (side is Side.SELL) else ZERO

    def needed(self, value: Decimal, *, is_exit: bool) -> Decimal:
        """What an order of so much notional ties up."""
        return ZERO if is_exit else value / self._terms.leverage

    def tied_up(self, instrument: InstrumentId) -> Decimal:
        """The margins of all that is held and paid out of the same cash."""
        margins = (
            abs(position.owed) / self._terms.leverage
            for each, position in self._held.items()
            if self._purse.share(each, instrument)
        )
        return sum(margins, ZERO)

    def note(self, instrument: Instrument, side: Side, fill: Fill) -> None:
        if not instrument.is_swap:
            return
        position = self._held.setdefault(instrument.id, Position())
        if not position.quantity:
            self._through_ns.pop(instrument.id, None)
        change = fill.quantity if side is Side.BUY else -fill.quantity
        self._purse.pay(instrument.id, position.realize(change, fill.price))
        value = fill.price * fill.quantity
        position.fold(change, ZERO, value, fill.price)

    def opened_beyond(self, bar: Bar) -> PositionLiquidated | None:
        """A bar that begins beyond the liquidation leaves no stop the time to work."""
        return self._liquidated(bar, bar.open, bar.open)

    def traded_beyond(self, bar: Bar) -> PositionLiquidated | None:
        return self._liquidated(bar, bar.low, bar.high)

    def funding_before(self, bar: Bar) -> Iterator[FundingCharged]:
        """All that fell into a hole right before the bar, reckoned with its open."""
        since_ns = self._through_ns.get(bar.instrument, bar.open_ns)
        yield from self._charged(bar, since_ns, bar.open_ns, bar.open)

    def funding(self, bar: Bar) -> Iterator[FundingCharged]:
        """All that falls into the bar, reckoned with its close."""
        self._through_ns[bar.instrument] = bar.close_ns
        yield from self._charged(bar, bar.open_ns, bar.close_ns, bar.close)

    def _charged(
        self, bar: Bar, since_ns: int, until_ns: int, price: float
    ) -> Iterator[FundingCharged]:
        if bar.instrument not in self._held or not self._held[bar.instrument].quantity:
            return
        quantity = self._held[bar.instrument].quantity
        for rate in self._rates(bar.instrument, since_ns, until_ns):
            if rate:
                self._purse.pay(bar.instrument, -quantity * Decimal(repr(price)) * rate)
                yield FundingCharged(
                    ts_ns=bar.close_ns,
                    instrument=bar.instrument,
                    rate=rate,
                    price=Decimal(repr(price)),
                )

    def _rates(self, instrument: InstrumentId, since_ns: int, until_ns: int) -> Iterator[Decimal]:
        told = self._terms.rates.get(instrument.symbol)
        if told is not None:
            yield from (rate for at, rate in told.items() if since_ns < at <= until_ns)
            return
        count = until_ns // FUNDING_EVERY_NS - since_ns // FUNDING_EVERY_NS
        yield from (self._terms.funding_ratio for _ in range(count))

    def _liquidated(self, bar: Bar, low: float, high: float) -> PositionLiquidated | None:
        """All of the margin is gone with it: what is left when it is sold is the venue's."""
        position, terms = self._held.get(bar.instrument), self._terms
        if position is None:
            return None
        price = position.liquidation_price(terms.leverage, terms.maintenance_ratio)
        if price is None:
            return None
        is_long = position.quantity > 0
        if (Decimal(repr(low)) > price) if is_long else (Decimal(repr(high)) < price):
            return None
        gone = position.bankruptcy_price(terms.leverage)
        self._purse.pay(bar.instrument, position.realize(-position.quantity, gone))
        del self._held[bar.instrument]
        return PositionLiquidated(
            ts_ns=bar.close_ns, instrument=bar.instrument, price=gone, fee=ZERO
        )
