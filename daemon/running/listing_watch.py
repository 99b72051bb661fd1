"""Watches what an exchange trades: makes an input of every symbol it stops or begins to trade.

Belongs here: how often it is asked, and what is news. What becomes of a position belongs to risk.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import ListingChanged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.core.events import Input
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import MarketData

EVERY_S = 300.0
TRADED_AGAIN = "the exchange trades it again"


class ListingWatch:
    """One exchange's; a start found all of them traded, or there was none."""

    def __init__(
        self,
        market_data: MarketData,
        instruments: Sequence[InstrumentId],
        *,
        now_ns: Callable[[], int],
        put: Callable[[Input], Awaitable[None]],
    ) -> None:
        self._market_data = market_data
        self._instruments = instruments
        self._now_ns = now_ns
        self._put = put
        self._untraded: set[InstrumentId] = set()

    async def run(self) -> None:
        """Until cancelled; no answer is no news."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                told = await self._market_data.untraded([each.symbol for each in self._instruments])
            except ExchangeUnreachable:
                continue
            for each in self._instruments:
                if (each.symbol in told) != (each in self._untraded):
                    await self._tell(each, told.get(each.symbol, ""))

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
