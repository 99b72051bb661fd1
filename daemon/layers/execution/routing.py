"""Chooses where an order goes: spreads a quantity over the exchanges that list the instrument.

Belongs here: which exchange takes how much, by net price, health, money and limits. How often and
as what belongs to `working`. Books are walked together, cheapest level first, each price with its
exchange's fee, so that a thin book is left for the next one where that costs less.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import ClockChecked, Quote
    from daemon.core.orders import Parent
    from daemon.core.repute import Repute

BPS = Decimal(10_000)
ZERO = Decimal(0)


class Part(Struct, frozen=True):
    """What one exchange is to take."""

    instrument: InstrumentId
    quantity: Decimal


class Level(Struct, frozen=True):
    """One price level of one book; `net` is its price with the fee, from the payer's side."""

    net: Decimal
    price: Decimal
    quantity: Decimal
    instrument: InstrumentId


class Router:
    """Keeps which exchanges are well; reads book, blotter and repute."""

    def __init__(
        self, config: ExecutionSection, blotter: Blotter, book: Book, repute: Repute
    ) -> None:
        self._config = config
        self._blotter = blotter
        self._book = book
        self._repute = repute
        self._stale: set[InstrumentId] = set()
        self._off: set[str] = set()  # exchanges whose clock is not believed
        self._lost: set[str] = set()  # exchanges that do not answer

    def note_stale(self, instrument: InstrumentId, *, is_stale: bool) -> None:
        (self._stale.add if is_stale else self._stale.discard)(instrument)

    def note_clock(self, event: ClockChecked) -> None:
        (self._off.discard if event.is_trusted else self._off.add)(event.exchange)

    def note_lost(self, exchange: str, *, is_lost: bool) -> None:
        (self._lost.add if is_lost else self._lost.discard)(exchange)

    def forget(self) -> None:
        """A start: what was stale before says nothing about the streams of now."""
        self._stale.clear()
        self._off.clear()
        self._lost.clear()

    def parts(
        self,
        parent: Parent,
        left: Decimal,
        free: Iterable[InstrumentId],
        quotes: Mapping[InstrumentId, Quote],
        ts_ns: int,
    ) -> tuple[Part, ...]:
        """Who of those that are free takes what of `left`, none of it too small to be taken; empty
        when nobody can.
        """
        members = _open_to(parent, free)
        if parent.is_exit:
            return tuple(self._exit_parts(parent, left, members))
        well = [each for each in members if self._is_well(each, ts_ns)]
        if len(self._blotter.listings.members(parent.instrument)) == 1:
            return self._whole(parent, left, well)
        return self._entry_parts(parent, left, well, quotes)

    def could_take(self, parent: Parent, left: Decimal, free: Iterable[InstrumentId]) -> bool:
        """Whether any exchange that has not failed takes as much, whatever its book shows."""
        members = _open_to(parent, free)
        if parent.is_exit:
            return any(True for _ in self._exit_parts(parent, left, members))
        return any(self._takes(each, left, parent) for each in members)

    # --- exits --------------------------------------------------------------------------------

    def held(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Whole lots of a position that an order of this side makes smaller."""
        quantity = self._book.position(instrument).quantity
        if not quantity or (quantity > 0) is not (side is Side.SELL):
            return ZERO
        return self._book.instruments[instrument].quantize_down(abs(quantity))

    def leaves_behind(self, parent: Parent) -> bool:
        """Whether an exit leaves something where its order came to nothing: only another exit may
        try that again.
        """
        free = set(self._blotter.free_for(parent))
        return any(self.held(each, parent.side) for each in free.intersection(parent.dead))

    def _exit_parts(
        self, parent: Parent, left: Decimal, members: Iterable[InstrumentId]
    ) -> Iterable[Part]:
        """Everywhere what is held there: a position can be left only where it is."""
        for each in members:
            least = min(left, self.held(each, parent.side))
            # The first one of equals: whole lots keep the digits that were approved.
            quantity = min(least, self._book.instruments[each].quantize_down(least))
            if self._takes(each, quantity, parent):
                left -= quantity
                yield Part(each, quantity)

    # --- entries ------------------------------------------------------------------------------

    def _whole(
        self, parent: Parent, left: Decimal, members: Sequence[InstrumentId]
    ) -> tuple[Part, ...]:
        return tuple(Part(each, left) for each in members if self._takes(each, left, parent))

    def _entry_parts(
        self,
        parent: Parent,
        left: Decimal,
        members: Sequence[InstrumentId],
        quotes: Mapping[InstrumentId, Quote],
    ) -> tuple[Part, ...]:
        """Down the books together; what falls below an exchange's minimum goes to the others."""
        while members:
            wanted = self._walk(parent, left, members, quotes)
            small = [
                each for each in members if not self._takes(each, wanted.get(each, ZERO), parent)
            ]
            if not small:
                return tuple(Part(each, wanted[each]) for each in members)
            # The one with the least goes first: the others may then become large enough.
            least = min(small, key=lambda each: (wanted.get(each, ZERO), each))
            members = [each for each in members if each != least]
        return ()

    def _walk(
        self,
        parent: Parent,
        left: Decimal,
        members: Sequence[InstrumentId],
        quotes: Mapping[InstrumentId, Quote],
    ) -> dict[InstrumentId, Decimal]:
        """Whole lots for each, as if all books were one."""
        is_buy = parent.side is Side.BUY
        money = {each.exchange: self._money_for(each) for each in members}
        taken: dict[InstrumentId, Decimal] = {}
        levels = self._levels(parent.side, members, quotes)
        for level in sorted(
            levels, key=lambda each: (each.net if is_buy else -each.net, each.instrument)
        ):
            exchange = level.instrument.exchange
            quantity = min(left, level.quantity)
            if is_buy or self._book.instruments[level.instrument].is_swap:
                quantity = min(quantity, money[exchange] / level.net)
                money[exchange] -= quantity * level.net
            taken[level.instrument] = taken.get(level.instrument, ZERO) + quantity
            left -= quantity
            if left <= 0:
                break
        rules = self._book.instruments
        return {each: rules[each].quantize_down(quantity) for each, quantity in taken.items()}

    def _levels(
        self, side: Side, members: Sequence[InstrumentId], quotes: Mapping[InstrumentId, Quote]
    ) -> Iterable[Level]:
        for each in members:
            quote = quotes.get(each)
            if quote is None or not quote.is_complete:
                continue
            fee = Decimal(repr(self._config.fee_bps_on.get(each.exchange, self._config.fee_bps)))
            ratio = 1 + fee / BPS if side is Side.BUY else 1 - fee / BPS
            for price, quantity in quote.side(side):
                yield Level(price * ratio, price, quantity, each)

    def _is_well(self, instrument: InstrumentId, ts_ns: int) -> bool:
        exchange = instrument.exchange
        if instrument in self._stale or exchange in self._off | self._lost:
            return False
        return self._repute.may_open_on(exchange, ts_ns)

    def _money_for(self, instrument: InstrumentId) -> Decimal:
        """What an entry may spend there: cash less what open buys of others may still take."""
        listed, exchange = self._book.instruments, instrument.exchange
        quote = listed[instrument].quote
        open_buys = sum(
            (
                each.leaves_quantity
                * each.decision_price
                * self._book.margin_ratio(each.instrument)
                for each in self._blotter.all_open()
                if each.instrument.exchange == exchange
                and listed[each.instrument].quote == quote
                and not each.is_exit
            ),
            ZERO,
        )
        free = self._book.free_on(exchange, quote) - open_buys
        return max(ZERO, free / self._book.margin_ratio(instrument))

    def _takes(self, instrument: InstrumentId, quantity: Decimal, parent: Parent) -> bool:
        price = self._book.marks.get(instrument, parent.decision_price)
        return self._book.instruments[instrument].takes(quantity, price, is_exit=parent.is_exit)


def _open_to(parent: Parent, listed: Iterable[InstrumentId]) -> list[InstrumentId]:
    """Where no child of it has failed."""
    return [each for each in listed if each not in parent.dead]
