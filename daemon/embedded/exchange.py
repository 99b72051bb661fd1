"""The spot exchange: joins market, clock, matching and ledger into one account one can trade.

Belongs here: the order of things: compute, commit, tell. Shapes of the wire belong in dialect,
sockets in server.
"""

import dataclasses
from collections.abc import Sequence
from decimal import Decimal

from daemon.core.clock import WireClock
from daemon.embedded.account import (
    Account,
    Fill,
    Incident,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from daemon.embedded.depth import Take
from daemon.embedded.fees import FeeDesk, Fees
from daemon.embedded.ledger import FillQuery, Ledger, Position
from daemon.embedded.market import Market
from daemon.embedded.matching import Matching
from daemon.embedded.settlement import Outcome, Settlement
from daemon.embedded.stage import HandOrder, Stage
from daemon.embedded.tape import Step


class Exchange(Stage):
    """One market, one account, one clock; continues from what the ledger holds."""

    kind = "spot"

    def __init__(
        self,
        market: Market,
        ledger: Ledger,
        *,
        bars_per_s: float | None,
        wire: WireClock | None = None,
        fees: Fees | None = None,
    ) -> None:
        order_id, trade_id = ledger.last_ids()
        super().__init__(market, ledger, bars_per_s=bars_per_s, wire=wire)
        self.ledger = ledger
        self.fees = fees or Fees()
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
        self._resume(ledger.position())

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

    def by_hand(self, order: HandOrder, incident: Incident) -> None:
        request = OrderRequest(
            symbol_id=order.symbol_id,
            side=order.side,
            type=OrderType.MARKET if order.price is None else OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            client_order_id=order.client_order_id,
            quantity=order.quantity,
            price=order.price,
        )
        self.place(request, incident=incident)

    def resting_of(self, symbol_id: str) -> list[Order]:
        return self.settlement.resting_of(symbol_id)

    def _traded(self, step: Step) -> list[Outcome]:
        if not self.settlement.open_orders:
            return []
        ts_ms = self.clock.market_ms()
        outcomes: list[Outcome] = []
        filled = self._matching.move(step.symbol_id, step.price, step.volume, ts_ms)
        if filled is not None:
            outcomes.append(filled)
        stops = self._matching.due_stops(step.symbol_id, step.price)
        book = self.tape.book(step.symbol_id) if stops else None
        if book is not None:
            outcomes.append(self._matching.trigger(stops, book, ts_ms))
        return outcomes

    def _closed(self) -> list[Outcome]:
        return []

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        self.ledger.commit(outcomes, self._position())

    def _tell(self, outcome: Outcome, incident: Incident | None = None) -> None:
        outcome = dataclasses.replace(outcome, incident=incident)
        self.listener.settled(outcome)
        self.ledger.commit([outcome], self._position())
        self.listener.flush()

    def _took_from_last(self, fill: Fill) -> bool:
        """A maker took nothing, and what a stop took inside a slot went with the book of then."""
        if fill.is_maker:
            return False
        order = self.ledger.order(fill.symbol_id, fill.order_id)
        return order is not None and not order.type.is_stop

    def _resume(self, position: Position) -> None:
        if position.played:
            self._resume_slot(position)
            return
        for fill in self.ledger.fills(FillQuery(start_ms=position.closed_ms)):
            book = self.tape.book(fill.symbol_id)
            if book is not None and self._took_from_last(fill):
                book.consume(fill.side, [Take(fill.price, fill.quantity)])
