"""Test doubles at the ports, scripted by the test; tests/contract shows what they keep."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from daemon.core.bars import RawBar, RawTrade
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import (
    CancelOrder,
    LookUpOrder,
    OrderReported,
    Outcome,
    ReportSource,
    SubmitOrder,
)
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Fill, OrderState, Side
from daemon.core.ports import Account, Book, VenueFill
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from daemon.core.clock import Clock


class FakeMarketData:
    """Streams say what the test says; REST answers from `rows`, or not at all while `is_away`."""

    def __init__(self, exchange: str = "embedded", page_limit: int = 1_000) -> None:
        self.exchange = exchange
        self.page_limit = page_limit
        self.rows: dict[InstrumentId, list[RawBar]] = {}
        self.fetched: list[tuple[InstrumentId, int, int]] = []
        self.is_away = False
        self.not_traded: dict[str, str] = {}
        self.listed: list[Instrument] = []
        self.clock: Clock | None = None  # when given, REST knows no candle that opens later
        self.watched: dict[InstrumentId, int] = {}
        self.order_book = Book(
            bids=((Decimal("99.9"), Decimal(5)), (Decimal("99.8"), Decimal(5))),
            asks=((Decimal("100.1"), Decimal(5)), (Decimal("100.2"), Decimal(5))),
        )
        self._streams: dict[InstrumentId, asyncio.Queue[RawBar | Exception]] = {}
        self._trades: dict[InstrumentId, asyncio.Queue[RawTrade | Exception]] = {}

    def say(self, instrument: InstrumentId, *raws: RawBar) -> None:
        """What the stream sends next."""
        for raw in raws:
            self._stream(instrument).put_nowait(raw)

    def break_stream(self, instrument: InstrumentId, error: Exception) -> None:
        self._stream(instrument).put_nowait(error)

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        return tuple(each for each in self.listed if each.id.symbol in symbols)

    async def watch(self, instrument: InstrumentId) -> AsyncIterator[RawBar]:
        self.watched[instrument] = self.watched.get(instrument, 0) + 1
        self._streams[instrument] = stream = self._stream(instrument)
        while True:
            said = await stream.get()
            if isinstance(said, Exception):
                raise said
            yield said

    def trade(self, instrument: InstrumentId, *trades: RawTrade) -> None:
        """What the stream of trades sends next."""
        for each in trades:
            self._trade_stream(instrument).put_nowait(each)

    def break_trades(self, instrument: InstrumentId, error: Exception) -> None:
        self._trade_stream(instrument).put_nowait(error)

    async def trades(self, instrument: InstrumentId) -> AsyncIterator[RawTrade]:
        self.watched[instrument] = self.watched.get(instrument, 0) + 1
        stream = self._trade_stream(instrument)
        while True:
            said = await stream.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        self.fetched.append((instrument, since_ns, limit))
        if self.is_away:
            msg = "nobody answers"
            raise ExchangeUnreachable(msg)
        now_ns = 2**63 if self.clock is None else self.clock.now_ns()
        found = [
            raw
            for raw in self.rows.get(instrument, [])
            if not isinstance(raw.open_ms, int) or since_ns <= raw.open_ms * NS_PER_MS <= now_ns
        ]
        return found[: min(limit, self.page_limit)]

    async def book(self, instrument: InstrumentId, levels: int) -> Book:
        if self.is_away:
            msg = f"no book of {instrument}"
            raise ExchangeUnreachable(msg)
        return Book(bids=self.order_book.bids[:levels], asks=self.order_book.asks[:levels])

    async def untraded(self, symbols: Sequence[str]) -> dict[str, str]:
        return {each: why for each, why in self.not_traded.items() if each in symbols}

    async def server_ns(self) -> int:
        return 0 if self.clock is None else self.clock.now_ns()

    async def close(self) -> None: ...

    def _trade_stream(self, instrument: InstrumentId) -> asyncio.Queue[RawTrade | Exception]:
        return self._trades.setdefault(instrument, asyncio.Queue())

    def _stream(self, instrument: InstrumentId) -> asyncio.Queue[RawBar | Exception]:
        return self._streams.setdefault(instrument, asyncio.Queue())


class Fate(StrEnum):
    """What becomes of the next order sent to a FakeVenue."""

    FILLS = "fills"
    HALF_FILLS = "half_fills"  # the rest expires
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    REPLY_LOST = "reply_lost"  # executed, and nobody told us
    REQUEST_LOST = "request_lost"  # never arrived, and nobody told us
    RESTS = "rests"  # accepted, filled at the next look
    RAISES = "raises"  # executed, then the library fails


_WITHOUT_EXECUTION = {
    Fate.REFUSED: Outcome.REFUSED,
    Fate.NOT_SENT: Outcome.NOT_SENT,
    Fate.REQUEST_LOST: Outcome.UNKNOWN,
}


class FakeVenue:
    """Fills at 100 with a fee of a thousandth in quote; a cleared `gate` holds every submit."""

    def __init__(self, *fates: Fate) -> None:
        self.fates = list(fates)
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.news: asyncio.Queue[OrderReported] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_closed = False
        self._booked: dict[str, OrderReported] = {}
        self._resting: dict[str, SubmitOrder] = {}
        self._fills: list[VenueFill] = []

    async def submit(self, order: SubmitOrder) -> OrderReported:
        if order.client_order_id in self.sent:
            return self._report(order, Outcome.UNKNOWN, reason="sent before")
        self.sent.append(order.client_order_id)
        await self.gate.wait()
        fate = self.fates.pop(0) if self.fates else Fate.FILLS
        if fate in _WITHOUT_EXECUTION:
            return self._report(order, _WITHOUT_EXECUTION[fate], reason=f"-1: {fate}")
        if order.is_resting and fate is Fate.FILLS:
            self._resting[order.client_order_id] = order
            accepted = self._report(order, Outcome.ACKNOWLEDGED, state=OrderState.ACCEPTED)
            self._booked[order.client_order_id] = accepted
            return accepted
        booked = self._execute(order, order.quantity / (2 if fate is Fate.HALF_FILLS else 1))
        if fate is Fate.RAISES:
            raise TypeError("float() argument must be a string or a real number, not None")
        if fate is Fate.REPLY_LOST:
            return self._report(order, Outcome.UNKNOWN, reason="timeout")
        if fate is Fate.RESTS:
            return self._report(order, Outcome.ACKNOWLEDGED, state=OrderState.ACCEPTED)
        return booked

    async def cancel(self, order: CancelOrder) -> OrderReported:
        """Ends what rests; what is over stays as it is."""
        self.cancelled.append(order.client_order_id)
        await asyncio.sleep(0.25)
        resting = self._resting.pop(order.client_order_id, None)
        if resting is not None:
            ended = self._report(resting, Outcome.ACKNOWLEDGED, state=OrderState.CANCELED)
            self._booked[order.client_order_id] = ended
        booked = self._booked[order.client_order_id]
        return msgspec.structs.replace(booked, source=ReportSource.LOOKUP)

    def meets(self, client_order_id: str) -> None:
        """The market has come to an order that rests."""
        order = self._resting.pop(client_order_id)
        self._execute(order, order.quantity)

    def had_met(self, order: SubmitOrder) -> None:
        """The market had come to an order that was called canceled."""
        self._execute(order, order.quantity)

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        self.asked.append(order.client_order_id)
        await asyncio.sleep(0.25)
        booked = self._booked.get(order.client_order_id)
        if booked is None:
            return self._report(order, Outcome.ABSENT, reason="not there")
        return msgspec.structs.replace(booked, source=ReportSource.LOOKUP)

    async def reports(self) -> AsyncIterator[OrderReported]:
        while True:
            yield await self.news.get()

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        wanted = [
            each
            for each in self._fills
            if each.instrument in instruments and each.fill.ts_ns >= since_ns
        ]
        return Account(totals={}, fills=tuple(wanted), open_client_order_ids=())

    async def close(self) -> None:
        self.is_closed = True

    def _execute(self, order: SubmitOrder, quantity: Decimal) -> OrderReported:
        fill = Fill(
            trade_id=f"{len(self._fills) + 1}",
            price=Decimal(100),
            quantity=quantity,
            fee=quantity / 10,
            fee_currency="USDT",
            ts_ns=order.ts_ns,
        )
        self._fills.append(
            VenueFill(
                client_order_id=order.client_order_id,
                venue_order_id=f"v-{order.client_order_id}",
                instrument=order.instrument,
                side=Side(order.side),
                fill=fill,
            )
        )
        report = self._report(
            order,
            Outcome.ACKNOWLEDGED,
            state=OrderState.FILLED if quantity == order.quantity else OrderState.EXPIRED,
            fills=(fill,),
        )
        self._booked[order.client_order_id] = report
        return report

    @staticmethod
    def _report(
        order: SubmitOrder | LookUpOrder,
        outcome: Outcome,
        *,
        state: OrderState | None = None,
        fills: tuple[Fill, ...] = (),
        reason: str = "",
    ) -> OrderReported:
        is_there = outcome is Outcome.ACKNOWLEDGED
        is_look = isinstance(order, LookUpOrder)
        return OrderReported(
            ts_ns=order.ts_ns,
            client_order_id=order.client_order_id,
            outcome=outcome,
            source=ReportSource.LOOKUP if is_look else ReportSource.REPLY,
            state=state,
            venue_order_id=f"v-{order.client_order_id}" if is_there else None,
            filled_quantity=sum((each.quantity for each in fills), Decimal(0))
            if is_there
            else None,
            fills=fills,
            reason=reason,
        )
