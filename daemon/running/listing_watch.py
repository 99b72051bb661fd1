"""Watches what an exchange trades, and by which rules: makes an input of every symbol it stops or
begins to trade, and of every step or limit that it changes.

Belongs here: how often it is asked, and what is news. What becomes of a position belongs to risk.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import ListingChanged, RulesChanged
from daemon.core.instruments import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from daemon.core.events import Input
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import MarketData

EVERY_S = 300.0
TRADED_AGAIN = "the exchange trades it again"
RULES = (
    "tick",
    "lot",
    "minimum_quantity",
    "minimum_notional",
    "maximum_quantity",
    "maximum_notional",
)


class ListingWatch:
    """One exchange's; `untraded` are those that a start found untraded, and told."""

    def __init__(
        self,
        market_data: MarketData,
        instruments: Sequence[Instrument],
        *,
        now_ns: Callable[[], int],
        put: Callable[[Input], Awaitable[None]],
        untraded: Iterable[InstrumentId] = (),
    ) -> None:
        self._market_data = market_data
        self._known = {each.id: each for each in instruments}
        self._now_ns = now_ns
        self._put = put
        self._untraded = set(untraded)

    async def run(self) -> None:
        """Until cancelled; no answer is no news."""
        while True:
            await asyncio.sleep(EVERY_S)
            with contextlib.suppress(ExchangeUnreachable):
                await self.look()

    async def look(self) -> None:
        """Ask once, and tell what is new."""
        told = await self._market_data.untraded([each.symbol for each in self._known])
        for each in self._known:
            if (each.symbol in told) != (each in self._untraded):
                await self._tell(each, told.get(each.symbol, ""))
        traded = [each.symbol for each in self._known if each.symbol not in told]
        try:
            fresh = await self._market_data.instruments(traded)
        except ValueError:
            return  # one of them has just gone; the next look says so
        for event in news_of_rules(self._known, fresh, self._now_ns()):
            self._known[event.instrument.id] = event.instrument
            await self._put(event)

    async def _tell(self, instrument: InstrumentId, why: str) -> None:
        self._untraded ^= {instrument}
        await self._put(
            ListingChanged(
                ts_ns=self._now_ns(),
                instrument=instrument,
                is_tradable=not why,
                detail=why or TRADED_AGAIN,
            )
        )


def news_of_rules(
    known: Mapping[InstrumentId, Instrument], fresh: Iterable[Instrument], ts_ns: int
) -> Iterator[RulesChanged]:
    """An input for each instrument whose steps or limits are others than those that are known.

    What one is made of cannot change: such a thing would be another instrument.
    """
    for each in fresh:
        before = known.get(each.id)
        if before is None or _made_of(before) != _made_of(each):
            continue
        changes = [
            f"{name} {_told(getattr(before, name))} -> {_told(getattr(each, name))}"
            for name in RULES
            if getattr(before, name) != getattr(each, name)
        ]
        if changes:
            yield RulesChanged(ts_ns=ts_ns, instrument=each, detail=", ".join(changes))


def _made_of(each: Instrument) -> tuple[object, ...]:
    return (each.base, each.quote, each.market_type, each.contract_size)


def _told(number: Decimal | None) -> str:
    return "none" if number is None else plain(number)
