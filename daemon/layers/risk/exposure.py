"""What is at risk already: makes the room that caps are measured on, pending entries counted.

Belongs here: sums over positions and orders, in the reporting currency. How much of the room may be
used belongs to `sizing`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.orders import Side
from daemon.layers.risk.denials import Valuation
from daemon.layers.risk.sizing import Room, share_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from daemon.config import RiskSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import SignalEmitted
    from daemon.core.instruments import InstrumentId
    from daemon.core.reasons import BoundBy
    from daemon.layers.risk.returns import Returns

ZERO = Decimal(0)


class Exposure:
    """Reads book, blotter and returns; keeps nothing."""

    def __init__(self, config: RiskSection, book: Book, blotter: Blotter, returns: Returns) -> None:
        self._config = config
        self._book = book
        self._blotter = blotter
        self._returns = returns

    def room(
        self,
        instrument: InstrumentId,
        *,
        is_long: bool,
        entries_today: Decimal,
        cut: tuple[Decimal, BoundBy],
    ) -> Room:
        """For one more position in this instrument; what the book shows is not known here."""
        book, blotter = self._book, self._blotter
        # Of the few that have any: with many symbols this would grow with their square.
        pending = {
            each: self._value(blotter.pending_entries(each), each)
            for each in blotter.with_open()
            if each in book.instruments
        }
        # What orders may be routed between is one position, paid for wherever it is bought.
        members = blotter.listings.members(instrument)
        exchanges, quote = sorted({each.exchange for each in members}), self._quote(instrument)
        free = sum((book.free_on(each, quote) for each in exchanges), ZERO)
        # A swap is entered for its margin: money for it goes so much further.
        ratio = book.margin_ratio(instrument)
        same_purse = (
            value * book.margin_ratio(each) / ratio
            for each, value in pending.items()
            if each.exchange in exchanges and self._quote(each) == quote
        )
        return Room(
            equity=book.equity,
            cash=self._value(free / ratio, instrument),
            held_here=sum((abs(book.exposure(each)) for each in members), ZERO),
            held_everywhere=book.gross_notional,
            pending_here=sum((pending.get(each, ZERO) for each in members), ZERO),
            pending_everywhere=sum(pending.values(), ZERO),
            pending_on_exchange=sum(same_purse, ZERO),
            net=self._net(pending, is_long=is_long),
            correlated=self._correlated(instrument, pending, is_long=is_long),
            volatility_ratio=self._volatility(instrument),
            entries_today=entries_today + self._unsent(),
            rate=self._value(Decimal(1), instrument),
            margin_ratio=ratio,
            share_ratio=share_of(self._config.allocation, instrument.symbol, len(book.symbols)),
            held_in_symbol=sum(
                (
                    abs(book.exposure(each)) + pending.get(each, ZERO)
                    for each in book.symbols[instrument.symbol]
                ),
                ZERO,
            ),
            size_ratio=cut[0],
            cut_by=cut[1],
        )

    def valuations(
        self, signal: SignalEmitted, stale: AbstractSet[InstrumentId]
    ) -> Iterator[Valuation]:
        """How each currency is valued that the room hangs on."""
        book = self._book
        for currency in book.needed_rates(book.instruments[signal.instrument].quote):
            rate = book.rate(currency)
            yield Valuation(
                currency,
                None if rate is None else max(0, signal.ts_ns - rate.marked_ns),
                book.rate_age_max_ns,
                rate is None or stale.isdisjoint(rate.instruments),
            )

    def _value(self, amount_quote: Decimal, instrument: InstrumentId) -> Decimal:
        """In the reporting currency; what has no rate counts nothing, and gates stand before it."""
        return self._book.value(amount_quote, self._quote(instrument)) or ZERO

    def _quote(self, instrument: InstrumentId) -> str:
        return self._book.instruments[instrument].quote

    def _unsent(self) -> Decimal:
        """Slices of entries that will be ordered today, if they are."""
        unsent = (self._value(value, each) for each, value in self._blotter.unsent_entries())
        return sum(unsent, ZERO)

    def _net(self, pending: dict[InstrumentId, Decimal], *, is_long: bool) -> Decimal:
        """Toward the order's direction; a pending order that would make it less is not sure."""
        if not self._config.max_net_exposure_ratio:
            return ZERO
        held = sum(map(self._book.exposure, self._book.positions), ZERO)
        net = held if is_long else -held
        return net + sum(
            (each for at, each in pending.items() if self._is_pending_long(at) is is_long), ZERO
        )

    def _correlated(
        self, instrument: InstrumentId, pending: dict[InstrumentId, Decimal], *, is_long: bool
    ) -> Decimal:
        """Of all that gains and loses with the order; where nobody can tell, it does."""
        if not self._config.max_correlated_exposure_ratio:
            return ZERO
        total = ZERO
        for each in sorted({*self._book.positions, *pending}):
            notional = self._book.exposure(each)
            coming = pending.get(each, ZERO)
            if notional and self._moves_with(instrument, each, is_same=(notional > 0) is is_long):
                total += abs(notional)
            if coming:
                is_same = self._is_pending_long(each) is is_long
                if self._moves_with(instrument, each, is_same=is_same):
                    total += coming
        return total

    def _moves_with(self, instrument: InstrumentId, other: InstrumentId, *, is_same: bool) -> bool:
        is_same_thing = other in self._blotter.listings.members(instrument)
        found = 1.0 if is_same_thing else self._returns.correlation(instrument, other)
        if found is None:
            return True
        return (found if is_same else -found) >= self._config.correlation_min_ratio

    def _is_pending_long(self, instrument: InstrumentId) -> bool:
        parent = self._blotter.parent_of(instrument)
        if parent is not None:
            return parent.side is Side.BUY
        child = self._blotter.child_of(instrument)
        return child is None or child.side is Side.BUY

    def _volatility(self, instrument: InstrumentId) -> float | None:
        config = self._config
        if not config.volatility_target_ratio and not config.volatility_max_ratio:
            return None
        return self._returns.volatility_ratio(instrument)
