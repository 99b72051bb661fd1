"""Clearing: turns an agreed execution, a funding time or a liquidation into money and positions.

Belongs here: exact amounts, and the incomes that explain each of them. Whether and at what price
something trades belongs in matching.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from daemon.embedded.account import ZERO, OrderStatus, Side
from daemon.embedded.depth import Take
from daemon.embedded.fees import Fees
from daemon.embedded.futures.account import (
    Algo,
    AlgoStatus,
    Income,
    IncomeKind,
    SwapFill,
    SwapOrder,
    SwapOutcome,
    SwapPosition,
    SwapRequest,
    down,
    up,
)
from daemon.embedded.futures.terms import LIQUIDATION_FEE_RATIO, funding_rate
from daemon.embedded.market import MarketSymbol
from daemon.embedded.settlement import Execution, Report


@dataclass(slots=True, kw_only=True)
class LastIds:
    """The highest ids given out."""

    order: int = 0
    trade: int = 0
    tran: int = 0


@dataclass(slots=True, kw_only=True)
class Clearing:
    """The account: money that is not bound, positions, open orders and waiting algos.

    `fees` and `listed` say what holds for a symbol at this moment.
    """

    symbols: dict[str, MarketSymbol]
    money: dict[str, Decimal]
    positions: dict[str, SwapPosition]
    open_orders: dict[int, SwapOrder] = field(default_factory=dict)
    algos: dict[int, Algo] = field(default_factory=dict)
    ids: LastIds = field(default_factory=LastIds)
    wire_ms: Callable[[], int] = lambda: 0
    fees: Callable[[str], Fees] = lambda _symbol_id: Fees()
    surcharge: Callable[[str], Decimal] = lambda _symbol_id: ZERO
    listed: Callable[[str], MarketSymbol] = field(init=False)
    _reports: list[Report] = field(default_factory=list)
    _incomes: list[Income] = field(default_factory=list)
    _moved_algos: list[Algo] = field(default_factory=list)
    _touched: set[str] = field(default_factory=set)
    _touched_money: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.listed = self.symbols.__getitem__

    def position(self, symbol_id: str) -> SwapPosition:
        if symbol_id not in self.positions:
            asset = self.symbols[symbol_id].quote
            self.positions[symbol_id] = SwapPosition(symbol_id=symbol_id, asset=asset)
        return self.positions[symbol_id]

    def open_of(self, symbol_id: str) -> list[SwapOrder]:
        """Open orders of a symbol, oldest first."""
        return [each for each in self.open_orders.values() if each.symbol_id == symbol_id]

    def waiting_of(self, symbol_id: str) -> list[Algo]:
        return [each for each in self.algos.values() if each.symbol_id == symbol_id]

    def take_outcome(self, why: str = "ORDER") -> SwapOutcome:
        """What happened since the last call."""
        outcome = SwapOutcome(
            self._reports,
            {},
            positions=tuple(
                dataclasses.replace(self.positions[each]) for each in sorted(self._touched)
            ),
            money={asset: self.money[asset] for asset in sorted(self._touched_money)},
            incomes=tuple(self._incomes),
            algos=tuple(dataclasses.replace(each) for each in self._moved_algos),
            why=why,
        )
        self._reports, self._incomes, self._moved_algos = [], [], []
        self._touched, self._touched_money = set(), set()
        return outcome

    def open(self, request: SwapRequest, quantity: Decimal, ts_ms: int) -> SwapOrder:
        """Accept an order of `quantity` base units."""
        self.ids.order += 1
        order = SwapOrder(
            order_id=self.ids.order,
            client_order_id=request.client_order_id,
            symbol_id=request.symbol_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price=request.price or ZERO,
            quantity=quantity,
            quote_quantity=ZERO,
            created_ms=ts_ms,
            updated_ms=ts_ms,
            received_ms=self.wire_ms(),
            working_ms=ts_ms,
            reduce_only=request.reduce_only,
            is_post_only=request.is_post_only,
        )
        self.open_orders[order.order_id] = order
        self._report(Execution.NEW, order)
        return order

    def fill(self, order: SwapOrder, take: Take, ts_ms: int, *, is_maker: bool) -> None:
        """Trade `take`: what is against the position closes it first, the rest opens anew."""
        position, asset = self.position(order.symbol_id), self.symbols[order.symbol_id].quote
        sign = 1 if order.side is Side.BUY else -1
        closing = ZERO
        if position.sign == -sign:
            closing = min(take.quantity, abs(position.quantity))
        self.ids.trade += 1
        realized = self._reduce(position, closing, take.price) if closing else ZERO
        self._enlarge(position, sign * (take.quantity - closing), take.price)
        fee = ZERO if order.is_liquidation else self._fee(order, take, is_maker=is_maker)
        self._earn(order, IncomeKind.REALIZED_PNL, asset, realized, ts_ms)
        self._earn(order, IncomeKind.COMMISSION, asset, -fee, ts_ms)
        position.realized += realized
        position.updated_ms = ts_ms
        self._touched.add(position.symbol_id)
        order.realized += realized
        order.executed += take.quantity
        order.cumulative_quote += take.price * take.quantity
        order.updated_ms = ts_ms
        order.status = OrderStatus.PARTIALLY_FILLED
        if order.leaves_quantity == 0:
            order.status = OrderStatus.FILLED
            del self.open_orders[order.order_id]
        fill = SwapFill(
            trade_id=self.ids.trade,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol_id=order.symbol_id,
            side=order.side,
            price=take.price,
            quantity=take.quantity,
            fee=fee,
            fee_asset=asset,
            ts_ms=ts_ms,
            wire_ms=self.wire_ms(),
            is_maker=is_maker,
            realized=realized,
        )
        self._report(Execution.TRADE, order, fill)

    def close(
        self,
        order: SwapOrder,
        status: OrderStatus,
        execution: Execution,
        ts_ms: int,
        cancel_client_id: str = "",
    ) -> None:
        """End an open order that is not filled."""
        order.status = status
        order.updated_ms = ts_ms
        del self.open_orders[order.order_id]
        self._report(execution, order, cancel_client_id=cancel_client_id)

    def wait(self, algo: Algo) -> None:
        """Let a conditional order wait for its price."""
        self.algos[algo.algo_id] = algo
        self._moved_algos.append(dataclasses.replace(algo))

    def end_algo(self, algo: Algo, status: AlgoStatus, ts_ms: int, reason: str = "") -> None:
        """A conditional order waits no more."""
        del self.algos[algo.algo_id]
        algo.status, algo.updated_ms, algo.reason = status, ts_ms, reason
        if status is not AlgoStatus.CANCELED:
            algo.triggered_ms = ts_ms
        self._moved_algos.append(dataclasses.replace(algo))

    def fund(self, seed: str, at_ms: int, mark: Callable[[str], Decimal | None]) -> None:
        """Longs pay shorts, or the other way round; from free money first, then from the margin."""
        for position in self.positions.values():
            price = mark(position.symbol_id)
            if not position.quantity or price is None:
                continue
            rate = funding_rate(seed, position.symbol_id, at_ms)
            payment = down(position.notional(price) * rate)
            self._income(
                IncomeKind.FUNDING_FEE, position.asset, -payment, position.symbol_id, at_ms
            )
            missing = max(ZERO, -self.money[position.asset])
            from_margin = min(missing, position.wallet)
            self._pay(position.asset, from_margin)
            position.wallet -= from_margin
            self._touched.add(position.symbol_id)

    def settle_liquidation(self, order: SwapOrder, margin: Decimal, ts_ms: int) -> None:
        """The insurance fund takes its fee of what is left of the margin, and bears the rest of a
        loss that was larger than it."""
        asset = self.symbols[order.symbol_id].quote
        left = margin + order.realized
        worth = order.cumulative_quote
        taken = min(left, up(worth * LIQUIDATION_FEE_RATIO)) if left > 0 else left
        self._earn(order, IncomeKind.INSURANCE_CLEAR, asset, -taken, ts_ms)

    def transfer(self, asset: str, amount: Decimal, ts_ms: int) -> None:
        """Money comes from outside, or, below zero, leaves as far as it is not bound."""
        moved = max(amount, -self.money.get(asset, ZERO))
        self.money.setdefault(asset, ZERO)
        if moved:
            self._income(IncomeKind.TRANSFER, asset, moved, "", ts_ms)

    def set_leverage(self, symbol_id: str, leverage: int, margin: Decimal) -> None:
        """Hold a position with another leverage: its margin becomes `margin`."""
        position = self.position(symbol_id)
        self._pay(position.asset, position.wallet - margin)
        position.wallet = margin
        position.leverage = leverage
        self._touched.add(symbol_id)

    def _reduce(self, position: SwapPosition, closing: Decimal, price: Decimal) -> Decimal:
        sign, whole = position.sign, abs(position.quantity)
        is_all = closing == whole
        cost = position.cost if is_all else position.cost * closing / whole
        released = position.wallet if is_all else down(position.wallet * closing / whole)
        position.quantity -= sign * closing
        position.cost = ZERO if is_all else position.cost - cost
        position.wallet -= released
        self._pay(position.asset, released)
        return down(sign * price * closing - cost)

    def _enlarge(self, position: SwapPosition, signed: Decimal, price: Decimal) -> None:
        if not signed:
            return
        margin = up(abs(signed) * price / position.leverage)
        position.quantity += signed
        position.cost += signed * price
        position.wallet += margin
        self._pay(position.asset, -margin)

    def _fee(self, order: SwapOrder, take: Take, *, is_maker: bool) -> Decimal:
        ratio = self.fees(order.symbol_id).ratio(is_maker=is_maker)
        return down(take.price * take.quantity * (ratio + self.surcharge(order.symbol_id)))

    def _pay(self, asset: str, amount: Decimal) -> None:
        """Money moves between what is free and what is bound; the account has as much as before."""
        self.money[asset] = self.money.get(asset, ZERO) + amount
        self._touched_money.add(asset)

    def _earn(
        self, order: SwapOrder, kind: IncomeKind, asset: str, amount: Decimal, ts_ms: int
    ) -> None:
        if amount:
            self._income(kind, asset, amount, order.symbol_id, ts_ms, self.ids.trade)

    def _income(  # noqa: PLR0917  # one parameter per column
        self,
        kind: IncomeKind,
        asset: str,
        amount: Decimal,
        symbol_id: str,
        ts_ms: int,
        trade_id: int | None = None,
    ) -> None:
        self.ids.tran += 1
        self._pay(asset, amount)
        self._incomes.append(
            Income(
                tran_id=self.ids.tran,
                kind=kind,
                asset=asset,
                amount=amount,
                symbol_id=symbol_id,
                ts_ms=ts_ms,
                wire_ms=self.wire_ms(),
                trade_id=trade_id,
            )
        )

    def _report(
        self,
        execution: Execution,
        order: SwapOrder,
        fill: SwapFill | None = None,
        *,
        cancel_client_id: str = "",
    ) -> None:
        copy = dataclasses.replace(order)
        self._reports.append(Report(execution, copy, fill, cancel_client_id))
