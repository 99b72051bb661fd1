"""The matching of swaps: turns orders, price moves and triggers into fills, expiries, liquidations.

Belongs here: when an order trades. Money belongs in clearing, what an order must keep to in rules.
"""

from decimal import Decimal, localcontext

from daemon.embedded.account import MONEY, ZERO, OrderStatus, OrderType, Side, TimeInForce
from daemon.embedded.depth import LiveBook, Take
from daemon.embedded.futures.account import (
    Algo,
    AlgoStatus,
    SwapOrder,
    SwapOutcome,
    SwapPosition,
    SwapRequest,
)
from daemon.embedded.futures.clearing import Clearing
from daemon.embedded.futures.rules import (
    check_book_of,
    check_margin,
    check_numbers,
    check_reduces,
    price_of,
)
from daemon.embedded.matching import is_due, is_reached, part_of
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Execution


class SwapMatching:
    """The rules over one account; one instance per exchange."""

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing

    def check(
        self, request: SwapRequest, book: LiveBook, last_price: Decimal
    ) -> tuple[list[Take], Decimal]:
        """What the order would take now, and its quantity; RequestError when it is refused."""
        quantity = request.quantity
        assert quantity is not None, "an order of a swap has a quantity"
        clearing, position = self._clearing, self._clearing.position(request.symbol_id)
        prices = (request.price,) if request.price is not None else ()
        check_numbers(
            clearing.listed(request.symbol_id),
            quantity=quantity,
            prices=prices,
            last_price=last_price,
            reduce_only=request.reduce_only,
        )
        check_book_of(clearing, request)
        with localcontext(MONEY):
            if request.reduce_only:
                check_reduces(position, request.side)
                quantity = min(quantity, abs(position.quantity))
            takes = book.plan(request.side, quantity, request.price)
            taken = sum((each.quantity for each in takes), ZERO)
            if request.time_in_force is TimeInForce.FOK and taken < quantity:
                text = "Due to the order could not be filled immediately, the FOK order has been"
                raise RequestError(-5021, f"{text} rejected.")
            if request.is_post_only and (takes or self._own_reached(request, request.price)):
                text = "Due to the order could not be executed as maker, the Post Only order will"
                raise RequestError(-5022, f"{text} be rejected.")
            price = price_of(request, takes[-1].price if takes else last_price)
            check_margin(clearing, request, quantity, price, last_price)
        return takes, quantity

    def place(
        self,
        request: SwapRequest,
        book: LiveBook,
        last_price: Decimal,
        ts_ms: int,
        share: Decimal | None = None,
    ) -> SwapOutcome:
        """Execute a new order; with a `share`, at most that part of it fills at once."""
        self._place(request, book, last_price, ts_ms, share)
        return self._clearing.take_outcome()

    def cancel(self, order: SwapOrder, ts_ms: int, cancel_client_id: str) -> SwapOutcome:
        self._clearing.close(
            order, OrderStatus.CANCELED, Execution.CANCELED, ts_ms, cancel_client_id
        )
        return self._clearing.take_outcome()

    def end(self, orders: list[SwapOrder], status: OrderStatus, ts_ms: int) -> SwapOutcome:
        """End open orders from outside; nobody asked for it."""
        for order in orders:
            self._clearing.close(order, status, Execution(status), ts_ms)
        return self._clearing.take_outcome()

    def fill_now(self, order: SwapOrder, ratio: Decimal, ts_ms: int) -> SwapOutcome:
        """Fill (a part of) what is left of an order, as if the market had come to its price."""
        with localcontext(MONEY):
            lot = self._clearing.symbols[order.symbol_id].lot
            quantity = min(max(lot, order.leaves_quantity * ratio // lot * lot), self._may(order))
            if quantity > 0:
                self._fill(order, [Take(order.price, quantity)], ts_ms, is_maker=True)
            return self._clearing.take_outcome()

    def move(self, symbol_id: str, price: Decimal, volume: Decimal, ts_ms: int) -> SwapOutcome:
        """Fill resting orders that a trade at `price` reaches, as on spot."""
        resting = [each for each in self._clearing.open_of(symbol_id) if is_reached(each, price)]
        resting.sort(key=lambda each: -each.price if each.side is Side.BUY else each.price)
        lot = self._clearing.symbols[symbol_id].lot
        with localcontext(MONEY):
            left = volume
            for order in resting:
                if not order.is_open:
                    continue  # what it was to reduce is gone, and it with that
                quantity = self._may(order)
                if order.price == price:
                    quantity = min(quantity, left // lot * lot)
                if quantity > 0:
                    left = max(ZERO, left - quantity)
                    self._fill(order, [Take(order.price, quantity)], ts_ms, is_maker=True)
            return self._clearing.take_outcome()

    def due_algos(self, symbol_id: str, price: Decimal) -> list[Algo]:
        """The conditional orders that a trade at `price` triggers, oldest first."""
        return [
            each
            for each in self._clearing.waiting_of(symbol_id)
            if is_due(each.type, each.side, each.trigger_price, price)
        ]

    def trigger(
        self, algos: list[Algo], book: LiveBook, last_price: Decimal, ts_ms: int
    ) -> SwapOutcome:
        """Make orders of conditional ones whose price has come; what is refused now is rejected."""
        for algo in algos:
            request = self._request_of(algo)
            if not request.quantity:
                self._clearing.end_algo(algo, AlgoStatus.EXPIRED, ts_ms, "no position to close")
                continue
            try:
                order = self._place(request, book, last_price, ts_ms, None)
            except RequestError as error:
                self._clearing.end_algo(algo, AlgoStatus.REJECTED, ts_ms, error.text)
                continue
            algo.order_id = order.order_id
            self._clearing.end_algo(algo, AlgoStatus.TRIGGERED, ts_ms)
        return self._clearing.take_outcome()

    def liquidate(self, position: SwapPosition, book: LiveBook, price: Decimal, ts_ms: int) -> None:
        """Close a position whose margin is used up: from the book, and what that lacks at `price`;
        its open orders end first."""
        with localcontext(MONEY):
            for order in self._clearing.open_of(position.symbol_id):
                self._clearing.close(order, OrderStatus.EXPIRED, Execution.EXPIRED, ts_ms)
            margin, quantity = position.wallet, abs(position.quantity)
            side = Side.SELL if position.quantity > 0 else Side.BUY
            takes = book.plan(side, quantity, None)
            missing = quantity - sum((each.quantity for each in takes), ZERO)
            request = SwapRequest(
                symbol_id=position.symbol_id,
                side=side,
                type=OrderType.MARKET,
                time_in_force=TimeInForce.IOC,
                client_order_id=f"autoclose-{ts_ms}{self._clearing.ids.order + 1}",
                quantity=quantity,
                reduce_only=True,
            )
            order = self._clearing.open(request, quantity, ts_ms)
            order.is_liquidation = True
            book.take(side, takes)
            takes += [Take(price, missing)] if missing else []
            for take in takes:
                self._clearing.fill(order, take, ts_ms, is_maker=False)
            self._clearing.settle_liquidation(order, margin, ts_ms)

    def _place(
        self,
        request: SwapRequest,
        book: LiveBook,
        last_price: Decimal,
        ts_ms: int,
        share: Decimal | None,
    ) -> SwapOrder:
        takes, quantity = self.check(request, book, last_price)
        with localcontext(MONEY):
            if share is not None:
                lot = self._clearing.symbols[request.symbol_id].lot
                takes = part_of(takes, quantity * share // lot * lot)
            is_complete = sum((each.quantity for each in takes), ZERO) == quantity
            reached = takes[-1].price if is_complete else request.price
            for own in self._own_reached(request, reached):
                self._clearing.close(
                    own, OrderStatus.EXPIRED_IN_MATCH, Execution.TRADE_PREVENTION, ts_ms
                )
            order = self._clearing.open(request, quantity, ts_ms)
            book.take(order.side, takes)
            self._fill(order, takes, ts_ms, is_maker=False)
            may_rest = order.type is OrderType.LIMIT and order.time_in_force is TimeInForce.GTC
            if order.is_open and not may_rest:
                self._clearing.close(order, OrderStatus.EXPIRED, Execution.EXPIRED, ts_ms)
        return order

    def _fill(self, order: SwapOrder, takes: list[Take], ts_ms: int, *, is_maker: bool) -> None:
        for take in takes:
            self._clearing.fill(order, take, ts_ms, is_maker=is_maker)
        if takes:
            self._expire_reducing(order.symbol_id, ts_ms)

    def _expire_reducing(self, symbol_id: str, ts_ms: int) -> None:
        """Without a position on the other side there is nothing to reduce."""
        for order in self._clearing.open_of(symbol_id):
            if order.reduce_only and not self._may(order):
                self._clearing.close(order, OrderStatus.EXPIRED, Execution.EXPIRED, ts_ms)

    def _may(self, order: SwapOrder) -> Decimal:
        """How much of an order may fill: one that only reduces no more than the position."""
        if not order.reduce_only:
            return order.leaves_quantity
        position = self._clearing.position(order.symbol_id)
        is_against = position.sign == (-1 if order.side is Side.BUY else 1)
        return min(order.leaves_quantity, abs(position.quantity)) if is_against else ZERO

    def _request_of(self, algo: Algo) -> SwapRequest:
        position = self._clearing.position(algo.symbol_id)
        quantity = algo.quantity
        if algo.close_position:
            is_against = position.sign == (-1 if algo.side is Side.BUY else 1)
            quantity = abs(position.quantity) if is_against else ZERO
        return SwapRequest(
            symbol_id=algo.symbol_id,
            side=algo.side,
            type=OrderType.LIMIT if algo.type.has_limit else OrderType.MARKET,
            time_in_force=algo.time_in_force,
            client_order_id=algo.client_algo_id,
            quantity=quantity,
            price=algo.price if algo.type.has_limit else None,
            reduce_only=algo.reduce_only or algo.close_position,
        )

    def _own_reached(self, request: SwapRequest, reached: Decimal | None) -> list[SwapOrder]:
        own = [
            each
            for each in self._clearing.open_of(request.symbol_id)
            if each.side is not request.side
        ]
        if reached is None:
            return own
        if request.side is Side.BUY:
            return [each for each in own if each.price <= reached]
        return [each for each in own if each.price >= reached]
