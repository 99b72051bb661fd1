"""A venue in process: fills orders on the live market of an exchange that never hears of them.

Belongs here: waiting for the market and asking it. What is left of a book,
and who gets what is in `paper_matching`, money in `paper_account`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import LookUpOrder, Outcome, ReportSource
from daemon.core.orders import OrderState
from daemon.core.ports import Account
from daemon.venues.paper_funding import PaperFunding
from daemon.venues.paper_matching import PaperMatching, report_of
from daemon.venues.paper_orders import candles_of
from daemon.venues.paper_terms import PaperTerms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from daemon.core.bars import RawBar
    from daemon.core.clock import Clock
    from daemon.core.events import (
        CancelOrder,
        FundingCharged,
        OrderReported,
        PositionLiquidated,
        SubmitOrder,
    )
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Order
    from daemon.core.ports import MarketData, VenueFill
    from daemon.venues.paper_funding import FundingRates

BOOK_LEVELS = 50
CANDLES_MAX = 500
LOOK_EVERY_S = 2.0
LOOK_APART_S = 0.5  # many resting orders must not eat the exchange's budget of requests


class PaperVenue:
    """The same client order id is executed once, however often it is submitted.

    Nothing is durable here: after a restart the journal's orders and fills are given to `restore`,
    and what the market did to resting orders meanwhile is read from its candles.
    """

    def __init__(
        self,
        market_data: MarketData,
        instruments: Iterable[Instrument],
        clock: Clock,
        *,
        start: Mapping[str, Decimal],
        timeframe_ns: int,
        terms: PaperTerms | None = None,
        funding: FundingRates | None = None,
    ) -> None:
        self._market_data = market_data
        self._clock = clock
        self._timeframe_ns = timeframe_ns
        self._terms = terms or PaperTerms()
        self._matching = PaperMatching(tuple(instruments), start, self._terms)
        account = self._matching.account
        self._funding = None if funding is None else PaperFunding(account, funding)
        self._seen_ns: dict[InstrumentId, int] = {}  # swaps were held against candles up to there
        self._sending: dict[str, asyncio.Event] = {}
        self._looking: defaultdict[InstrumentId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._news: asyncio.Queue[OrderReported] = asyncio.Queue()
        self._rests = asyncio.Event()

    def charge_by(self, volume_at: Callable[[int], Decimal]) -> None:
        """Fees go by what was traded until a moment; without this by none."""
        self._matching.account.volume_at = volume_at

    def restore(
        self,
        orders: Iterable[Order],
        fills: Iterable[VenueFill],
        gone: Iterable[PositionLiquidated] = (),
        funded: Iterable[FundingCharged] = (),
    ) -> None:
        """Take over what an earlier process booked, from its journal."""
        self._matching.restore(orders, fills, gone)
        if self._funding is not None:
            self._funding.restore(funded)

    # --- the venue ----------------------------------------------------------------------------

    async def submit(self, order: SubmitOrder) -> OrderReported:
        """Meet the book that stands after the latency; what a market order does not get expires."""
        ours = order.client_order_id
        if ours in self._sending:
            await self._sending[ours].wait()
        known = self._matching.booked.get(ours)
        if known is not None:
            return known
        arrived = self._sending[ours] = asyncio.Event()
        try:
            await asyncio.sleep(self._terms.latency_s(ours))
            book = await self._market_data.book(order.instrument, BOOK_LEVELS)
            report = self._matching.accept(order, book, self._now_ns(order))
        except ExchangeUnreachable as error:
            return _not_there(
                report_of(ours, self._now_ns(order)), Outcome.NOT_SENT, f"no book: {error}"
            )
        finally:
            del self._sending[ours]
            arrived.set()
        if ours in self._matching.resting or order.instrument in self._matching.account.swaps():
            self._rests.set()
        return report

    async def cancel(self, order: CancelOrder) -> OrderReported:
        """Gone after the latency, unless the market has come to it by then."""
        ours = order.client_order_id
        await asyncio.sleep(self._terms.latency_s(f"cancel {ours}"))
        report = await self.look_up(LookUpOrder.of(order, order.ts_ns, order.reason))
        if ours in self._matching.resting:
            self._matching.end(ours, OrderState.CANCELED)
            report = replace(self._matching.booked[ours], source=ReportSource.LOOKUP)
        return report

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        """What was booked; an id that never was is absent at once: nothing leaves this process.

        An order that rests meets the market of this moment.
        """
        ours = order.client_order_id
        if ours in self._sending:
            await self._sending[ours].wait()
        if ours in self._matching.resting:
            with contextlib.suppress(ExchangeUnreachable):
                await self._look(order.instrument)
        known = self._matching.booked.get(ours)
        if known is not None:
            return replace(known, source=ReportSource.LOOKUP)
        report = replace(report_of(ours, order.ts_ns), source=ReportSource.LOOKUP)
        return _not_there(report, Outcome.ABSENT, "never booked in this process")

    async def reports(self) -> AsyncIterator[OrderReported]:
        """What the market did to orders that rest."""
        while True:
            yield await self._news.get()

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        wanted = set(instruments)
        return Account(
            totals=self._matching.account.totals,
            fills=tuple(
                each
                for each in self._matching.account.fills
                if each.instrument in wanted and each.fill.ts_ns >= since_ns
            ),
            open_client_order_ids=tuple(self._matching.resting),
        )

    async def close(self) -> None:
        """Nothing to let go of: the market data belongs to whoever made it."""

    async def watch(
        self, tell: Callable[[FundingCharged | PositionLiquidated], Awaitable[object]]
    ) -> None:
        """Hold resting orders and swaps against the market every few seconds, until cancelled;
        `tell` hears of every swap that is taken away, and of what swaps pay or get.
        """
        while True:
            self._rests.clear()
            swaps = self._matching.account.swaps()
            owing = set() if self._funding is None else self._matching.account.ever_held()
            if not self._matching.resting and not swaps and not owing:
                await self._rests.wait()
            ours = {each.order.instrument for each in self._matching.resting.values()}
            for instrument in sorted(ours | swaps.keys() | owing):
                with contextlib.suppress(ExchangeUnreachable):
                    if instrument in ours or instrument in swaps:
                        await self._look(instrument)
                    if instrument in swaps and (gone := await self._gone(instrument)):
                        await tell(gone)
                with contextlib.suppress(ExchangeUnreachable):  # nothing else waits for it
                    for charged in await self._charged(instrument):
                        await tell(charged)
            with contextlib.suppress(TimeoutError):
                looks = len(ours) + len(swaps)
                async with asyncio.timeout(max(LOOK_EVERY_S, LOOK_APART_S * looks)):
                    await self._rests.wait()

    async def _charged(self, instrument: InstrumentId) -> list[FundingCharged]:
        """Funding that is due, of a swap that is held or was."""
        now_ns = self._clock.now_ns()
        if self._funding is None or not self._funding.is_due(instrument, now_ns):
            return []
        book = await self._market_data.book(instrument, BOOK_LEVELS)
        if not (book.bids and book.asks):
            return []
        mark = (book.bids[0][0] + book.asks[0][0]) / 2
        return await self._funding.charge(instrument, now_ns, mark)

    async def _gone(self, instrument: InstrumentId) -> PositionLiquidated | None:
        """The end of a swap that the market has come to; orders were quicker if they could be.

        Every candle since it was last traded counts, also of the time when nobody looked.
        """
        now_ns = self._clock.now_ns()
        changed_ns = self._matching.account.changed_ns(instrument) or 0
        since_ns = max(changed_ns, self._seen_ns.get(instrument, 0))
        since_ns -= since_ns % self._timeframe_ns
        book = await self._market_data.book(instrument, BOOK_LEVELS)
        raws = await self._market_data.fetch(instrument, since_ns, CANDLES_MAX)
        candles = candles_of(raws)
        gone = self._matching.liquidated(instrument, book, candles, now_ns)
        if candles:  # the newest one is not over: it is read again
            self._seen_ns[instrument] = candles[-1].open_ns
        return gone

    # --- asking the market -------------------------------------------------------------------

    async def _look(self, instrument: InstrumentId) -> None:
        """Read book and candles of an instrument, and let its resting orders meet them."""
        async with self._looking[instrument]:
            mine = [
                each
                for each in self._matching.resting.values()
                if each.order.instrument == instrument
            ]
            if not mine:
                return
            oldest_ns = min(each.seen.open_ns if each.seen else each.placed_ns for each in mine)
            since_ns = oldest_ns - oldest_ns % self._timeframe_ns
            book = await self._market_data.book(instrument, BOOK_LEVELS)
            raws: list[RawBar] = []
            with contextlib.suppress(ExchangeUnreachable):  # they tell it at the next look
                raws = await self._market_data.fetch(instrument, since_ns, CANDLES_MAX)
        candles = candles_of(raws)
        for resting in mine:
            if resting.order.client_order_id not in self._matching.resting:
                continue  # a cancel was quicker
            now_ns = self._now_ns(resting.order)
            told = self._matching.meet(resting, book, candles, self._timeframe_ns, now_ns)
            if told is not None:
                self._news.put_nowait(told)

    def _now_ns(self, order: SubmitOrder) -> int:
        return max(order.ts_ns, self._clock.now_ns())


def _not_there(report: OrderReported, outcome: Outcome, reason: str) -> OrderReported:
    return replace(
        report, outcome=outcome, venue_order_id=None, filled_quantity=None, reason=reason
    )
