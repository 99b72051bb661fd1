"""The exchange itself: joins market, clock, matching and ledger into one account one can trade.

Belongs here: the order of things: compute, commit, tell. Shapes of the wire belong in dialect,
sockets in server.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from daemon.core.clock import WireClock
from daemon.embedded.account import Account, Fill, Incident, Order, OrderRequest, OrderStatus
from daemon.embedded.clock import SlotClock
from daemon.embedded.depth import LiveBook, Take
from daemon.embedded.fees import FeeDesk, Fees
from daemon.embedded.ledger import FillQuery, Ledger, Position
from daemon.embedded.market import Market, MarketBar
from daemon.embedded.matching import Matching
from daemon.embedded.refusals import market_closed
from daemon.embedded.settlement import Outcome, Settlement
from daemon.embedded.tape import Step, Tape


class Listener(Protocol):
    """Hears what happens; collects messages and sends them when `flush` says it is durable."""

    def stepped(self, step: Step) -> None: ...

    def settled(self, outcome: Outcome) -> None: ...

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def flush(self) -> None: ...


class Silence:
    """A listener for an exchange nobody is connected to."""

    def stepped(self, step: Step) -> None: ...

    def settled(self, outcome: Outcome) -> None: ...

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def flush(self) -> None: ...


class Exchange:
    """One market, one account, one clock; continues from what the ledger holds."""

    def __init__(
        self,
        market: Market,
        ledger: Ledger,
        *,
        bars_per_s: float | None,
        wire: WireClock | None = None,
        fees: Fees | None = None,
    ) -> None:
        position = ledger.position()
        order_id, trade_id = ledger.last_ids()
        self.market = market
        self.ledger = ledger
        self.fees = fees or Fees()
        self.listener: Listener = Silence()
        self.after_slot: Callable[[], None] = lambda: None
        self.is_closed: Callable[[str], bool] = lambda _symbol_id: False
        self.tape = Tape(market, position.closed_ms)
        acked = set(position.acked)
        self.clock = SlotClock(self.tape, bars_per_s, wire or WireClock(), acked)
        self.settlement = Settlement(
            symbols=dict(market.symbols),
            account=Account(ledger.balances()),
            last_order_id=order_id,
            last_trade_id=trade_id,
            fees=FeeDesk(self.fees, self.worth),
            wire_ms=self.clock.wire_ms,
            open_orders={order.order_id: order for order in ledger.open_orders()},
        )
        self._matching = Matching(self.settlement)
        self._resume(position)

    def check(self, request: OrderRequest) -> None:
        """Raise the RequestError that `place` would raise; change nothing."""
        book, price = self._trading(request.symbol_id)
        self._matching.check(request, book, price)

    def place(
        self,
        request: OrderRequest,
        *,
        share: Decimal | None = None,
        incident: Incident | None = None,
    ) -> Outcome:
        """Execute an order at this moment of the market; it is durable when this returns.

        With a `share`, at most that part of it fills at once.
        """
        book, price = self._trading(request.symbol_id)
        outcome = self._matching.place(request, book, price, self.clock.market_ms(), share)
        self._tell(outcome, incident)
        return outcome

    def cancel(self, order: Order, cancel_client_id: str) -> Outcome:
        """Cancel an open order; it is durable when this returns."""
        own = self.settlement.open_orders[order.order_id]
        outcome = self._matching.cancel(own, self.clock.market_ms(), cancel_client_id)
        self._tell(outcome)
        return outcome

    def fill_now(self, order_id: int, ratio: Decimal) -> None:
        """Fill (a part of) what is left of an open order, as if the market had come to it."""
        own = self.settlement.open_orders[order_id]
        book = self.tape.book(own.symbol_id)
        assert book is not None, "an order was placed in a market that has a price"
        self._tell(self._matching.fill_now(own, ratio, book, self.clock.market_ms()))

    def end_orders(
        self, symbol_id: str | None, status: OrderStatus, incident: Incident | None = None
    ) -> None:
        """End the open orders of a symbol, or all of them, from outside."""
        orders = list(self.settlement.open_orders.values())
        ended = [each for each in orders if symbol_id in (None, each.symbol_id)]
        self._tell(self._matching.end(ended, status, self.clock.market_ms()), incident)

    def move_money(self, asset: str, amount: Decimal, incident: Incident | None = None) -> None:
        """A deposit, or below zero a withdrawal of as much of it as is free."""
        self.settlement.move_money(asset, amount, self.clock.market_ms())
        self._tell(self.settlement.take_outcome(), incident)

    def note(self, incident: Incident) -> None:
        """Write down something that changed nothing."""
        self._tell(self.settlement.take_outcome(), incident)

    def is_trading(self, symbol_id: str) -> bool:
        """False in an outage and while the market is closed."""
        return self.tape.is_trading(symbol_id) and not self.is_closed(symbol_id)

    def acknowledge(self, symbol_ids: Sequence[str], close_ms: int) -> None:
        """Lock-step: a client has handled these bars; after the last the next slot is played."""
        news = [each for each in symbol_ids if self.clock.acknowledge(each, close_ms)]
        if not news:
            return
        if self.clock.is_due():
            self.play_slot()
        else:
            self.ledger.commit([], self._position())

    def play_slot(self) -> None:
        """Lock-step: play the next slot from open to close as one transaction."""
        open_ms = self.clock.next_open_ms()
        assert open_ms is not None, "the market has ended"
        self.tape.open_slot(open_ms)
        self._finish_slot()

    async def pace(self) -> None:
        """Pace: play slot after slot, each step at its moment, until the market ends."""
        while True:
            if not self.tape.is_open:
                open_ms = self.clock.next_open_ms()
                if open_ms is None:
                    return
                self.tape.open_slot(open_ms)
                self.clock.start_slot()
            step = self.tape.next_step()
            close_ms = self.tape.closed_ms + self.market.timeframe_ms
            await asyncio.sleep(max(0.0, self.clock.wait_s(step.ts_ms if step else close_ms)))
            if step is None:
                self._finish_slot()
            else:
                outcomes = self._step()
                if outcomes:
                    self.ledger.commit(outcomes, self._position())
                self.listener.flush()

    def worth(self, asset: str, quote: str) -> Decimal | None:
        """What a unit of `asset` costs in `quote` by the last price, or None when not listed."""
        for symbol in self.market.symbols.values():
            if (symbol.base, symbol.quote) == (asset, quote):
                return self.tape.price(symbol.id)
        return None

    def _trading(self, symbol_id: str) -> tuple[LiveBook, Decimal]:
        book, price = self.tape.book(symbol_id), self.tape.price(symbol_id)
        if book is None or price is None or not self.is_trading(symbol_id):
            raise market_closed()
        return book, price

    def _step(self) -> list[Outcome]:
        step = self.tape.play()
        self.listener.stepped(step)
        ts_ms = self.clock.market_ms()
        outcomes: list[Outcome] = []
        if self.is_closed(step.symbol_id):
            return outcomes
        filled = self._matching.move(step.symbol_id, step.price, step.volume, ts_ms)
        if filled is not None:
            outcomes.append(filled)
        stops = self._matching.due_stops(step.symbol_id, step.price)
        book = self.tape.book(step.symbol_id) if stops else None
        if book is not None:
            outcomes.append(self._matching.trigger(stops, book, ts_ms))
        for outcome in outcomes:
            self.listener.settled(outcome)
        return outcomes

    def _finish_slot(self) -> None:
        outcomes: list[Outcome] = []
        while self.tape.next_step() is not None:
            outcomes += self._step()
        self.listener.closed(self.tape.close_slot())
        self.clock.acked.clear()
        self.ledger.commit(outcomes, self._position())
        self.listener.flush()
        self.after_slot()

    def _tell(self, outcome: Outcome, incident: Incident | None = None) -> None:
        outcome = dataclasses.replace(outcome, incident=incident)
        self.listener.settled(outcome)
        self.ledger.commit([outcome], self._position())
        self.listener.flush()

    def _position(self) -> Position:
        return Position(self.tape.closed_ms, self.tape.played, tuple(sorted(self.clock.acked)))

    def _took_from_last(self, fill: Fill) -> bool:
        """A maker took nothing, and what a stop took inside a slot went with the book of then."""
        if fill.is_maker:
            return False
        order = self.ledger.order(fill.symbol_id, fill.order_id)
        return order is not None and not order.type.is_stop

    def _resume(self, position: Position) -> None:
        if position.played:
            self.tape.open_slot(position.closed_ms)
            for _ in range(position.played):
                self.tape.play()
            if self.clock.bars_per_s is None:
                self._finish_slot()
            else:
                last_ms = self.tape.played_steps()[-1].ts_ms
                self.clock.start_slot((last_ms - position.closed_ms) / self.market.timeframe_ms)
            return
        for fill in self.ledger.fills(FillQuery(start_ms=position.closed_ms)):
            book = self.tape.book(fill.symbol_id)
            if book is not None and self._took_from_last(fill):
                book.consume(fill.side, [Take(fill.price, fill.quantity)])
