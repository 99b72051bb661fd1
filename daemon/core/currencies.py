"""Rates between currencies: turns the marks of the bot's own spot instruments into one currency.

Belongs here: which instruments lead from a currency to the reporting currency, and what they say
now. Which amounts are valued with them belongs to `book`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from daemon.core.instruments import Instrument, InstrumentId, MarketType


class Rate(Struct, frozen=True, gc=False):
    """One unit of a currency in the reporting currency, as of its oldest mark."""

    value: Decimal
    marked_ns: int
    instruments: tuple[InstrumentId, ...]  # whose marks it was made of


# One step toward the reporting currency: every instrument that trades the two currencies, and
# whether it quotes them the other way round.
Hop = tuple[tuple[InstrumentId, bool], ...]


class Rates:
    """The shortest way of every currency into `reporting`; of equally short ones the first."""

    def __init__(self, instruments: Iterable[Instrument], reporting: str) -> None:
        self.reporting = reporting
        pairs: dict[str, dict[str, list[tuple[InstrumentId, bool]]]] = {}
        for each in instruments:
            if each.market_type is MarketType.SPOT:
                pairs.setdefault(each.quote, {}).setdefault(each.base, []).append((each.id, False))
                pairs.setdefault(each.base, {}).setdefault(each.quote, []).append((each.id, True))
        self._ways: dict[str, tuple[Hop, ...]] = {reporting: ()}
        reached = [reporting]
        for known in reached:  # grows while it is gone through: breadth first
            for further, hop in pairs.get(known, {}).items():
                if further not in self._ways:
                    self._ways[further] = (tuple(hop), *self._ways[known])
                    reached.append(further)

    def rate(
        self,
        currency: str,
        marks: Mapping[InstrumentId, Decimal],
        marked_ns: Mapping[InstrumentId, int],
    ) -> Rate | None:
        """By the newest marks on the way; None when the way is not known or has no price yet."""
        way = self._ways.get(currency)
        if way is None:
            return None
        value, oldest_ns, used = Decimal(1), 2**63 - 1, []
        for hop in way:
            marked = [each for each in hop if marked_ns.get(each[0]) is not None]
            if not marked:
                return None
            instrument, is_reversed = max(marked, key=lambda each: marked_ns[each[0]])
            mark = marks[instrument]
            if not mark > 0:
                return None
            value = value / mark if is_reversed else value * mark
            oldest_ns = min(oldest_ns, marked_ns[instrument])
            used.append(instrument)
        return Rate(value, oldest_ns, tuple(used))
