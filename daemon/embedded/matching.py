"""The matching engine: turns order requests and price moves into fills, expiries or refusals.

Belongs here: the rules of when an order trades. It is synchronous and knows no clock, no wire and
no file; how money moves belongs in settlement, how it is kept in ledger.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from daemon.embedded.account import (
    MONEY,
    TAKE_PROFITS,
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
        symbol = self._settlement.listed(request.symbol_id)
        waiting = sum(each.is_waiting for each in open_orders)
        check_filters(
            symbol, request, last_price, open_orders=len(open_orders), waiting_stops=waiting
        )
        if any(each.client_order_id == request.client_order_id for each in open_orders):
            raise order_rejected("Duplicate order sent.")
        with localcontext(MONEY):
            if is_due(request.type, request.side, request.stop_price, last_price):
                raise order_rejected("Stop price would trigger immediately.")
            plan = _plan(request, book, symbol.lot)
            if plan.quantity < symbol.minimum_quantity:
                raise filter_failure("LOT_SIZE")
            if request.type is OrderType.LIMIT_MAKER and (
                plan.takes or self._own_reached(request.symbol_id, request.side, request.price)
            ):
                raise order_rejected("Order would immediately match and take.")
            needed, asset = plan.quantity, symbol.base
            if request.side is Side.BUY:
                needed, asset = _quote_needed(request, plan), symbol.quote
            if self._settlement.account.free(asset) < needed:
                raise order_rejected("Account has insufficient balance for requested action.")
        return plan

    def place(
        self,
        request: OrderRequest,
        book: LiveBook,
        last_price: Decimal,
        ts_ms: int,
        share: Decimal | None = None,
    ) -> Outcome:
        """Execute a new order at market time `ts_ms`; a RequestError means that nothing changed.

        With a `share`, the book gives it at most that part of its quantity at once.
        """
        plan = self.check(request, book, last_price)
        with localcontext(MONEY):
            if share is not None:
                lot = self._settlement.symbols[request.symbol_id].lot
                plan = Plan(part_of(plan.takes, plan.quantity * share // lot * lot), plan.quantity)
            takes = [] if request.type.is_stop else self._cross(request, plan, ts_ms)
            order = self._settlement.open(request, plan.quantity, ts_ms)
            if not order.is_waiting:
                self._work(order, takes, book, ts_ms)
            return self._settlement.take_outcome()

    def fill_now(self, order: Order, ratio: Decimal, book: LiveBook, ts_ms: int) -> Outcome:
        """Fill an open order, or a part of what is left of it, as if the market had come to it."""
        with localcontext(MONEY):
            lot = self._settlement.symbols[order.symbol_id].lot
            quantity = max(lot, order.leaves_quantity * ratio // lot * lot)
            quantity = min(quantity, order.leaves_quantity)
            if order.is_waiting:
                self._settlement.trigger(order, ts_ms)
            if order.type.has_limit:
                self._settlement.fill(order, Take(order.price, quantity), ts_ms, is_maker=True)
            else:
                takes = book.plan(order.side, quantity, None)
                if order.side is Side.BUY:
                    symbol = self._settlement.symbols[order.symbol_id]
                    free = self._settlement.account.free(symbol.quote)
                    takes = _affordable(takes, free, lot)
                self._work(order, takes, book, ts_ms)
            return self._settlement.take_outcome()

    def end(self, orders: list[Order], status: OrderStatus, ts_ms: int) -> Outcome:
        """End open orders from outside; nobody asked for it."""
        with localcontext(MONEY):
            for order in orders:
                self._settlement.close(order, status, Execution(status), ts_ms)
            return self._settlement.take_outcome()

    def cancel(self, order: Order, ts_ms: int, cancel_client_id: str) -> Outcome:
        """Cancel an open order; what is left of it is free again."""
        with localcontext(MONEY):
            self._settlement.close(
                order, OrderStatus.CANCELED, Execution.CANCELED, ts_ms, cancel_client_id
            )
            return self._settlement.take_outcome()

    def due_stops(self, symbol_id: str, price: Decimal) -> list[Order]:
        """The waiting stops that a trade at `price` triggers, oldest first."""
        return [
            each
            for each in self._settlement.waiting_of(symbol_id)
            if is_due(each.type, each.side, each.stop_price, price)
        ]

    def trigger(self, stops: list[Order], book: LiveBook, ts_ms: int) -> Outcome:
        """Make orders of stops whose price has come: they take from `book`, limit ones may rest.

        A buy at any price gets no more than the free money pays for; the rest of it expires.
        """
        with localcontext(MONEY):
            for order in stops:
                self._settlement.trigger(order, ts_ms)
                symbol = self._settlement.symbols[order.symbol_id]
                limit = order.price if order.type.has_limit else None
                plan = Plan(book.plan(order.side, order.quantity, limit), order.quantity)
                if limit is None and order.side is Side.BUY:
                    free = self._settlement.account.free(symbol.quote)
                    plan = Plan(_affordable(plan.takes, free, symbol.lot), order.quantity)
                self._work(order, self._cross(order, plan, ts_ms), book, ts_ms)
            return self._settlement.take_outcome()

    def move(self, symbol_id: str, price: Decimal, volume: Decimal, ts_ms: int) -> Outcome | None:
        """Fill resting orders that a trade at `price` reaches: whole when the price goes through
        their limit, up to the traded `volume` (base units) when it only touches it."""
        resting = [
            each for each in self._settlement.resting_of(symbol_id) if is_reached(each, price)
        ]
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

    def _cross(self, wanted: OrderRequest | Order, plan: Plan, ts_ms: int) -> list[Take]:
        """What an order takes of its plan, once what it would meet of its own account is gone."""
        is_complete = plan.taken == plan.quantity
        if wanted.time_in_force is TimeInForce.FOK and not is_complete:
            return []
        limit = wanted.price if wanted.type.has_limit else None
        reached = plan.takes[-1].price if is_complete else limit
        # An order never trades with its own account: what it would have met expires (EXPIRE_MAKER).
        for own in self._own_reached(wanted.symbol_id, wanted.side, reached):
            self._settlement.close(
                own, OrderStatus.EXPIRED_IN_MATCH, Execution.TRADE_PREVENTION, ts_ms
            )
        return plan.takes

    def _work(self, order: Order, takes: list[Take], book: LiveBook, ts_ms: int) -> None:
        """Fill an order from the book; what is left of it rests or expires."""
        book.take(order.side, takes)
        for take in takes:
            self._settlement.fill(order, take, ts_ms, is_maker=False)
        if order.is_open and not _may_rest(order):
            self._settlement.close(order, OrderStatus.EXPIRED, Execution.EXPIRED, ts_ms)

    def _own_reached(self, symbol_id: str, side: Side, reached: Decimal | None) -> list[Order]:
        own = [each for each in self._settlement.resting_of(symbol_id) if each.side is not side]
        if reached is None:
            return own
        if side is Side.BUY:
            return [each for each in own if each.price <= reached]
        return [each for each in own if each.price >= reached]


def _plan(request: OrderRequest, book: LiveBook, lot: Decimal) -> Plan:
    if request.type.is_stop:
        assert request.quantity is not None, "a stop has a quantity"
        return Plan([], request.quantity)
    if request.quantity is not None:
        return Plan(book.plan(request.side, request.quantity, request.price), request.quantity)
    assert request.quote_quantity is not None, "an order has a quantity or a quote quantity"
    takes, missing = book.plan_quote(request.side, request.quote_quantity, lot)
    return Plan(takes, sum((take.quantity for take in takes), missing))


def _quote_needed(request: OrderRequest, plan: Plan) -> Decimal:
    price = request.price or request.stop_price
    if price is not None:
        return price * plan.quantity
    return plan.cost if request.quote_quantity is None else request.quote_quantity


def part_of(takes: list[Take], most: Decimal) -> list[Take]:
    """The first of them, up to a quantity."""
    part: list[Take] = []
    for take in takes:
        quantity = min(take.quantity, most)
        if quantity > 0:
            part.append(Take(take.price, quantity))
        most -= quantity
    return part


def _affordable(takes: list[Take], money: Decimal, lot: Decimal) -> list[Take]:
    paid: list[Take] = []
    for take in takes:
        quantity = min(take.quantity, money // (take.price * lot) * lot)
        if quantity > 0:
            paid.append(Take(take.price, quantity))
        if quantity < take.quantity:
            break
        money -= take.price * quantity
    return paid


def _may_rest(order: Order) -> bool:
    return order.type.has_limit and order.time_in_force is TimeInForce.GTC


def is_due(kind: OrderType, side: Side, stop_price: Decimal | None, price: Decimal) -> bool:
    """Whether a stop's price has come; never for an order that is none."""
    if not kind.is_stop or stop_price is None:
        return False
    is_above = (side is Side.BUY) is not (kind in TAKE_PROFITS)
    return price >= stop_price if is_above else price <= stop_price


def is_reached(order: Order, price: Decimal) -> bool:
    return price <= order.price if order.side is Side.BUY else price >= order.price
