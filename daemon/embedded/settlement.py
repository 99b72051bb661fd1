"""Settlement: turns an agreed execution into changed orders, moved money and reports of both.

Belongs here: opening, filling and closing an order with exact amounts. Whether and at what price
that happens belongs in matching.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from daemon.embedded.account import (
    NOT_WORKING,
    ZERO,
    Account,
    Balance,
    Fill,
    Flow,
    Incident,
    Order,
    OrderRequest,
    OrderStatus,
    Side,
)
from daemon.embedded.depth import Take
from daemon.embedded.fees import FeeDesk, Fees, Trade
from daemon.embedded.market import MarketSymbol


class Execution(StrEnum):
    """What happened to an order, as the user stream names it."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


@dataclass(frozen=True, slots=True)
class Report:
    """One step of one order: the order as it was right after it (a copy) and the fill, if any."""

    execution: Execution
    order: Order
    fill: Fill | None = None
    cancel_client_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one request or price move did, in order; `balances` are those it touched."""

    reports: list[Report]
    balances: dict[str, Balance]
    flows: tuple[Flow, ...] = ()
    incident: Incident | None = None

    @property
    def order(self) -> Order:
        """The last state of the order that the request was about."""
        return self.reports[-1].order

    @property
    def fills(self) -> list[Fill]:
        """The request's own fills, in order."""
        own = self.order.order_id
        fills = [report.fill for report in self.reports if report.fill is not None]
        return [fill for fill in fills if fill.order_id == own]


@dataclass(slots=True)
class Settlement:
    """The account, its open orders by id, and the last ids given out.

    `wire_ms` is the wall's time, which orders and fills are stamped with beside the market's.
    """

    symbols: dict[str, MarketSymbol]
    account: Account
    fees: FeeDesk = field(default_factory=lambda: FeeDesk(Fees(), lambda _asset, _quote: None))
    wire_ms: Callable[[], int] = lambda: 0
    last_order_id: int = 0
    last_trade_id: int = 0
    open_orders: dict[int, Order] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    listed: Callable[[str], MarketSymbol] = field(init=False)

    def __post_init__(self) -> None:
        self.listed = self.symbols.__getitem__  # a symbol with the trading rules of this moment

    def open_of(self, symbol_id: str) -> list[Order]:
        """Open orders of a symbol, oldest first."""
        return [order for order in self.open_orders.values() if order.symbol_id == symbol_id]

    def resting_of(self, symbol_id: str) -> list[Order]:
        """Open orders of a symbol that stand on the book, oldest first."""
        return [order for order in self.open_of(symbol_id) if not order.is_waiting]

    def waiting_of(self, symbol_id: str) -> list[Order]:
        """Stops of a symbol that wait for their price, oldest first."""
        return [order for order in self.open_of(symbol_id) if order.is_waiting]

    def take_outcome(self) -> Outcome:
        """What happened since the last call."""
        outcome = Outcome(self.reports, self.account.take_touched(), tuple(self.flows))
        self.reports, self.flows = [], []
        return outcome

    def move_money(self, asset: str, amount: Decimal, ts_ms: int) -> None:
        """Money comes from outside, or, below zero, leaves as far as there is free money."""
        moved = max(amount, -self.account.free(asset))
        if moved:
            self.account.receive(asset, moved)
            self.flows.append(Flow(asset=asset, amount=moved, ts_ms=ts_ms, wire_ms=self.wire_ms()))

    def open(self, request: OrderRequest, quantity: Decimal, ts_ms: int) -> Order:
        """Accept an order of `quantity` base units; money it may spend while resting is locked, by
        a buy that waits to become a market order what it would cost at its stop price."""
        self.last_order_id += 1
        order = Order(
            order_id=self.last_order_id,
            client_order_id=request.client_order_id,
            symbol_id=request.symbol_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price=request.price or ZERO,
            quantity=quantity,
            quote_quantity=request.quote_quantity or ZERO,
            created_ms=ts_ms,
            updated_ms=ts_ms,
            received_ms=self.wire_ms(),
            working_ms=NOT_WORKING if request.type.is_stop else ts_ms,
            stop_price=request.stop_price or ZERO,
        )
        self.open_orders[order.order_id] = order
        if order.type.has_limit or order.type.is_stop:
            price = order.price or order.stop_price
            order.locked = quantity * price if order.side is Side.BUY else quantity
            self.account.lock(self._locked_asset(order), order.locked)
        self._report(Execution.NEW, order)
        return order

    def trigger(self, order: Order, ts_ms: int) -> None:
        """The price of a waiting stop has come: it is an order like others now, and a market order
        holds no money back."""
        order.working_ms = order.updated_ms = ts_ms
        if not order.type.has_limit:
            self._release(order)
        self._report(Execution.NEW, order)

    def fill(self, order: Order, take: Take, ts_ms: int, *, is_maker: bool) -> None:
        """Trade `take` for the order; the fee is kept from what is received, or paid apart."""
        symbol = self.symbols[order.symbol_id]
        notional = take.price * take.quantity
        is_buy = order.side is Side.BUY
        paid_asset, paid = (symbol.quote, notional) if is_buy else (symbol.base, take.quantity)
        got_asset, got = (symbol.base, take.quantity) if is_buy else (symbol.quote, notional)
        if order.type.has_limit:
            unlocked = take.quantity * order.price if is_buy else take.quantity
            order.locked -= unlocked
            self.account.release(paid_asset, unlocked)
        self.account.pay(paid_asset, paid)
        order.executed += take.quantity
        order.cumulative_quote += notional
        order.updated_ms = ts_ms
        order.status = OrderStatus.PARTIALLY_FILLED
        if order.leaves_quantity == 0:
            order.status = OrderStatus.FILLED
            del self.open_orders[order.order_id]
        trade = Trade(
            symbol=symbol,
            is_buy=is_buy,
            quantity=take.quantity,
            notional=notional,
            is_maker=is_maker,
        )
        fee, fee_asset = self.fees.fee(trade, lambda asset: self._spare(order, asset, paid_asset))
        self.account.receive(got_asset, got)
        self.account.pay(fee_asset, fee)
        self.last_trade_id += 1
        fill = Fill(
            trade_id=self.last_trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol_id=order.symbol_id,
            side=order.side,
            price=take.price,
            quantity=take.quantity,
            fee=fee,
            fee_asset=fee_asset,
            ts_ms=ts_ms,
            wire_ms=self.wire_ms(),
            is_maker=is_maker,
        )
        self._report(Execution.TRADE, order, fill)

    def close(
        self,
        order: Order,
        status: OrderStatus,
        execution: Execution,
        ts_ms: int,
        cancel_client_id: str = "",
    ) -> None:
        """End an open order that is not filled; what it still locked is free again."""
        self._release(order)
        order.status = status
        order.updated_ms = ts_ms
        del self.open_orders[order.order_id]
        self._report(execution, order, cancel_client_id=cancel_client_id)

    def _report(
        self,
        execution: Execution,
        order: Order,
        fill: Fill | None = None,
        *,
        cancel_client_id: str = "",
    ) -> None:
        copy = dataclasses.replace(order)
        self.reports.append(Report(execution, copy, fill, cancel_client_id))

    def _spare(self, order: Order, asset: str, paid_asset: str) -> Decimal:
        """What a fee may be paid from: never from what the rest of an order still has to spend."""
        is_needed = asset == paid_asset and order.is_open and not order.type.has_limit
        return ZERO if is_needed else self.account.free(asset)

    def _release(self, order: Order) -> None:
        if order.locked:
            self.account.release(self._locked_asset(order), order.locked)
            order.locked = ZERO

    def _locked_asset(self, order: Order) -> str:
        symbol = self.symbols[order.symbol_id]
        return symbol.quote if order.side is Side.BUY else symbol.base
