"""The swap exchange: one account with isolated margin in one-way mode on the stage of a market.

Belongs here: what a step, a close and a request do, in order: compute, commit, tell. Shapes of the
wire belong in dialect.
"""

import dataclasses
from collections.abc import Sequence
from decimal import Decimal, localcontext

from daemon.core.clock import WireClock
from daemon.embedded.account import (
    MONEY,
    Incident,
    Order,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from daemon.embedded.depth import Take
from daemon.embedded.fees import Fees
from daemon.embedded.futures.account import (
    Algo,
    AlgoStatus,
    SwapOrder,
    SwapOutcome,
    SwapPosition,
    SwapRequest,
)
from daemon.embedded.futures.clearing import Clearing
from daemon.embedded.futures.ledger import SwapLedger
from daemon.embedded.futures.market import SwapMarket
from daemon.embedded.futures.matching import SwapMatching
from daemon.embedded.futures.rules import ALGOS_MAX, check_numbers, open_margin
from daemon.embedded.futures.terms import bracket_of, funding_times, notional_max
from daemon.embedded.ledger import FillQuery, Position
from daemon.embedded.market import Market
from daemon.embedded.matching import is_due
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Outcome
from daemon.embedded.stage import HandOrder, Stage
from daemon.embedded.tape import Step

FEES = Fees(taker_ratio=Decimal("0.0005"), maker_ratio=Decimal("0.0002"))


class SwapExchange(Stage):
    """One market, one swap account, one clock; the last price is the mark price."""

    kind = "swap"

    def __init__(
        self,
        market: Market,
        ledger: SwapLedger,
        *,
        bars_per_s: float | None,
        wire: WireClock | None = None,
        fees: Fees | None = None,
    ) -> None:
        market = SwapMarket(market)
        super().__init__(market, ledger, bars_per_s=bars_per_s, wire=wire)
        self.ledger = ledger
        self.fees = fees or FEES
        self.funded_ms = ledger.funded_ms()
        self.clearing = Clearing(
            symbols=dict(market.symbols),
            money=ledger.money(),
            positions=ledger.positions(),
            open_orders={each.order_id: each for each in ledger.open_orders()},
            algos={each.algo_id: each for each in ledger.waiting_algos()},
            ids=ledger.last_ids(),
            wire_ms=self.clock.wire_ms,
            fees=lambda _symbol_id: self.fees,
        )
        for symbol in market.symbols.values():
            self.clearing.money.setdefault(symbol.quote, Decimal(0))
        self._matching = SwapMatching(self.clearing)
        self._resume(ledger.position())

    def by_hand(self, order: HandOrder, incident: Incident) -> None:
        request = SwapRequest(
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
        return list(self.clearing.open_of(symbol_id))

    def mark(self, symbol_id: str) -> Decimal:
        """The price that positions are valued at; zero before the first bar."""
        return self.tape.price(symbol_id) or Decimal(0)

    def available(self, asset: str) -> Decimal:
        """Money that neither a position nor an open order needs."""
        marks = {each: self.mark(each) for each in self.market.symbols}
        with localcontext(MONEY):
            return self.clearing.money.get(asset, Decimal(0)) - open_margin(self.clearing, marks)

    def check(self, request: SwapRequest) -> None:
        book, price = self._trading(request.symbol_id)
        self._matching.check(request, book, price)

    def place(
        self,
        request: SwapRequest,
        *,
        share: Decimal | None = None,
        incident: Incident | None = None,
    ) -> SwapOutcome:
        """Execute an order at this moment; it is durable when this returns."""
        book, price = self._trading(request.symbol_id)
        outcome = self._matching.place(request, book, price, self.clock.market_ms(), share)
        self._tell(outcome, incident)
        return outcome

    def place_algo(self, algo: Algo) -> Algo:
        """Let a conditional order wait; refused when it would trigger at once."""
        _, price = self._trading(algo.symbol_id)
        waiting = self.clearing.waiting_of(algo.symbol_id)
        if len(waiting) >= ALGOS_MAX:
            raise RequestError(-4045, "Reach max stop order limit.")
        if any(each.client_algo_id == algo.client_algo_id for each in waiting):
            raise RequestError(-4116, "ClientOrderId is duplicated.")
        if is_due(algo.type, algo.side, algo.trigger_price, price):
            raise RequestError(-2021, "Order would immediately trigger.")
        limits = (algo.price,) if algo.type.has_limit else ()
        quantity = self.clearing.listed(algo.symbol_id).minimum_quantity
        check_numbers(
            self.clearing.listed(algo.symbol_id),
            quantity=quantity if algo.close_position else algo.quantity,
            prices=(*limits, algo.trigger_price),
            last_price=price,
            reduce_only=algo.reduce_only or algo.close_position,
        )
        self.clearing.ids.order += 1
        algo.algo_id = self.clearing.ids.order
        self.clearing.wait(algo)
        self._tell(self.clearing.take_outcome())
        return algo

    def cancel(self, order: SwapOrder, cancel_client_id: str) -> SwapOutcome:
        """Cancel an open order; it is durable when this returns."""
        own = self.clearing.open_orders[order.order_id]
        outcome = self._matching.cancel(own, self.clock.market_ms(), cancel_client_id)
        self._tell(outcome)
        return outcome

    def cancel_algo(self, algo: Algo) -> None:
        own = self.clearing.algos[algo.algo_id]
        self.clearing.end_algo(own, AlgoStatus.CANCELED, self.clock.market_ms())
        self._tell(self.clearing.take_outcome())

    def set_leverage(self, symbol_id: str, leverage: int) -> SwapPosition:
        """Refused while the position needs more margin than is free, or is too large for it."""
        position, mark = self.clearing.position(symbol_id), self.mark(symbol_id)
        with localcontext(MONEY):
            worth = abs(position.notional(mark))
            if leverage > bracket_of(worth).leverage_max or worth > notional_max(leverage):
                raise RequestError(-4028, f"Leverage {leverage} is not valid")
            margin = position.wallet
            if position.quantity:
                if leverage < position.leverage:
                    text = "Leverage reduction is not supported in Isolated Margin Mode with open"
                    raise RequestError(-4161, f"{text} positions")
                margin = min(position.wallet, abs(position.cost) / leverage)
            self.clearing.set_leverage(symbol_id, leverage, margin)
        self._tell(self.clearing.take_outcome("MARGIN_TRANSFER"))
        return position

    def fill_now(self, order_id: int, ratio: Decimal) -> None:
        """Fill (a part of) what is left of an open order, as if the market had come to it."""
        own = self.clearing.open_orders[order_id]
        self._tell(self._matching.fill_now(own, ratio, self.clock.market_ms()))

    def end_orders(
        self, symbol_id: str | None, status: OrderStatus, incident: Incident | None = None
    ) -> None:
        """End the open orders of a symbol, or all of them, from outside."""
        orders = list(self.clearing.open_orders.values())
        ended = [each for each in orders if symbol_id in (None, each.symbol_id)]
        self._tell(self._matching.end(ended, status, self.clock.market_ms()), incident)

    def move_money(self, asset: str, amount: Decimal, incident: Incident | None = None) -> None:
        """Money comes from another wallet, or below zero goes there as far as it is free."""
        self.clearing.transfer(asset, amount, self.clock.market_ms())
        kind = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._tell(self.clearing.take_outcome(kind), incident)

    def note(self, incident: Incident) -> None:
        """Write down something that changed nothing."""
        self._tell(self.clearing.take_outcome(), incident)

    def _traded(self, step: Step) -> list[Outcome]:
        ts_ms, symbol_id = self.clock.market_ms(), step.symbol_id
        outcomes: list[Outcome] = []
        if self.clearing.open_of(symbol_id):
            filled = self._matching.move(symbol_id, step.price, step.volume, ts_ms)
            outcomes += [filled] if filled.reports else []
        algos = self._matching.due_algos(symbol_id, step.price)
        book = self.tape.book(symbol_id) if algos else None
        if book is not None:
            outcomes.append(self._matching.trigger(algos, book, step.price, ts_ms))
        return outcomes + self._liquidated(symbol_id, step.price, ts_ms)

    def _closed(self) -> list[Outcome]:
        """Funding of every time that has passed, and the liquidations it makes."""
        closed_ms = self.tape.closed_ms
        outcomes: list[Outcome] = []
        for at_ms in funding_times(self.funded_ms, closed_ms):
            with localcontext(MONEY):
                self.clearing.fund(self.market.fingerprint, at_ms, self.tape.price)
            funded = self.clearing.take_outcome("FUNDING_FEE")
            outcomes += [funded] if funded.incomes else []
        self.funded_ms = closed_ms
        if outcomes:
            for symbol_id in self.market.symbols:
                price = self.mark(symbol_id)
                outcomes += self._liquidated(symbol_id, price, closed_ms)
        return outcomes

    def _liquidated(self, symbol_id: str, price: Decimal, ts_ms: int) -> list[Outcome]:
        position = self.clearing.positions.get(symbol_id)
        book = self.tape.book(symbol_id)
        if position is None or book is None:
            return []
        with localcontext(MONEY):
            if not position.is_doomed(price):
                return []
        self._matching.liquidate(position, book, price, ts_ms)
        return [self.clearing.take_outcome()]

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        self.ledger.commit(outcomes, self._position(), self.funded_ms)

    def _tell(self, outcome: SwapOutcome, incident: Incident | None = None) -> None:
        outcome = dataclasses.replace(outcome, incident=incident)
        self.listener.settled(outcome)
        self._commit([outcome])
        self.listener.flush()

    def _resume(self, position: Position) -> None:
        if position.played:
            self._resume_slot(position)
            return
        for fill in self.ledger.fills(FillQuery(start_ms=position.closed_ms)):
            book = self.tape.book(fill.symbol_id)
            if book is not None and self._took_from_last(fill.symbol_id, fill.order_id):
                book.consume(fill.side, [Take(fill.price, fill.quantity)])

    def _took_from_last(self, symbol_id: str, order_id: int) -> bool:
        """Only orders that were placed after the close took from the book of now."""
        order = self.ledger.order(symbol_id, order_id)
        if order is None or order.is_liquidation:
            return False
        return self.ledger.algo_by_client_id(order.client_order_id) is None
