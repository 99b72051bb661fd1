"""The matching engine: turns order requests and price moves into fills, expiries or refusals.

Belongs here: the rules of when an order trades. It is synchronous and knows no clock, no wire and
no file; how money moves belongs in settlement, how it is kept in ledger.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from daemon.embedded.account import (
    MONEY,
    ZERO,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.depth import LiveBook, Take
from daemon.embedded.filters import check_filters
from daemon.embedded.refusals import filter_failure, order_rejected
from daemon.embedded.settlement import Execution, Outcome, Settlement


@dataclass(frozen=True, slots=True)
class Plan:
    """What an order would take from the book now, and the base quantity it then would have."""

    takes: list[Take]
    quantity: Decimal

    @property
    def taken(self) -> Decimal:
        return sum((take.quantity for take in self.takes), ZERO)

    @property
    def cost(self) -> Decimal:
        return sum((take.price * take.quantity for take in self.takes), ZERO)


class Matching:
    """The rules over one settlement; one instance per exchange."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    def check(self, request: OrderRequest, book: LiveBook, last_price: Decimal) -> Plan:
        """What the order would take right now; raises RequestError when it would be refused."""
        open_orders = self._settlement.open_of(request.symbol_id)
        symbol = self._settlement.symbols[request.symbol_id]
        check_filters(symbol, request, last_price, len(open_orders))
        if any(each.client_order_id == request.client_order_id for each in open_orders):
            raise order_rejected("Duplicate order sent.")
        with localcontext(MONEY):
            plan = _plan(request, book, symbol.lot)
            if plan.quantity < symbol.minimum_quantity:
                raise filter_failure("LOT_SIZE")
            if request.type is OrderType.LIMIT_MAKER and (
                plan.takes or self._own_reached(request, request.price)
            ):
                raise order_rejected("Order would immediately match and take.")
            needed, asset = plan.quantity, symbol.base
            if request.side is Side.BUY:
                needed, asset = _quote_needed(request, plan), symbol.quote
            if self._settlement.account.free(asset) < needed:
                raise order_rejected("Account has insufficient balance for requested action.")
        return plan

    def place(
        self, request: OrderRequest, book: LiveBook, last_price: Decimal, ts_ms: int
    ) -> Outcome:
        """Execute a new order at market time `ts_ms`; a RequestError means that nothing changed."""
        plan = self.check(request, book, last_price)
        with localcontext(MONEY):
            is_complete = plan.taken == plan.quantity
            takes = plan.takes
            if request.time_in_force is TimeInForce.FOK and not is_complete:
                takes = []
            else:
                reached = takes[-1].price if is_complete else request.price
                self._expire_own(request, reached, ts_ms)
            order = self._settlement.open(request, plan.quantity, ts_ms)
            book.take(order.side, takes)
            for take in takes:
                self._settlement.fill(order, take, ts_ms, is_maker=False)
            if order.is_open and not _may_rest(request):
                self._settlement.close(order, OrderStatus.EXPIRED, Execution.EXPIRED, ts_ms)
            return self._settlement.take_outcome()

    def cancel(self, order: Order, ts_ms: int, cancel_client_id: str) -> Outcome:
        """Cancel an open order; what is left of it is free again."""
        with localcontext(MONEY):
            self._settlement.close(
                order, OrderStatus.CANCELED, Execution.CANCELED, ts_ms, cancel_client_id
            )
            return self._settlement.take_outcome()

    def move(self, symbol_id: str, price: Decimal, volume: Decimal, ts_ms: int) -> Outcome | None:
        """Fill resting orders that a trade at `price` reaches: whole when the price goes through
        their limit, up to the traded `volume` (base units) when it only touches it."""
        resting = [each for each in self._settlement.open_of(symbol_id) if _is_reached(each, price)]
        if not resting:
            return None
        # Better prices first, then older orders: the sort is stable and the list is by age.
        resting.sort(key=lambda each: -each.price if each.side is Side.BUY else each.price)
        lot = self._settlement.symbols[symbol_id].lot
        with localcontext(MONEY):
            left = volume
            for order in resting:
                quantity = order.leaves_quantity
                if order.price == price:
                    quantity = min(quantity, left // lot * lot)
                if quantity > 0:
                    left = max(ZERO, left - quantity)
                    take = Take(order.price, quantity)
                    self._settlement.fill(order, take, ts_ms, is_maker=True)
            outcome = self._settlement.take_outcome()
        return outcome if outcome.reports else None

    def _expire_own(self, request: OrderRequest, reached: Decimal | None, ts_ms: int) -> None:
        # An order never trades with its own account: what it would have met expires (EXPIRE_MAKER).
        for own in self._own_reached(request, reached):
            self._settlement.close(
                own, OrderStatus.EXPIRED_IN_MATCH, Execution.TRADE_PREVENTION, ts_ms
            )

    def _own_reached(self, request: OrderRequest, reached: Decimal | None) -> list[Order]:
        own = [
            each
            for each in self._settlement.open_of(request.symbol_id)
            if each.side is not request.side
        ]
        if reached is None:
            return own
        if request.side is Side.BUY:
            return [each for each in own if each.price <= reached]
        return [each for each in own if each.price >= reached]


def _plan(request: OrderRequest, book: LiveBook, lot: Decimal) -> Plan:
    if request.quantity is not None:
        return Plan(book.plan(request.side, request.quantity, request.price), request.quantity)
    assert request.quote_quantity is not None, "an order has a quantity or a quote quantity"
    takes, missing = book.plan_quote(request.side, request.quote_quantity, lot)
    return Plan(takes, sum((take.quantity for take in takes), missing))


def _quote_needed(request: OrderRequest, plan: Plan) -> Decimal:
    if request.price is not None:
        return request.price * plan.quantity
    return plan.cost if request.quote_quantity is None else request.quote_quantity


def _may_rest(request: OrderRequest) -> bool:
    return request.type is not OrderType.MARKET and request.time_in_force is TimeInForce.GTC


def _is_reached(order: Order, price: Decimal) -> bool:
    return price <= order.price if order.side is Side.BUY else price >= order.price
