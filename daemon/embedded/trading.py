"""Private requests: turns signed parameters into orders, cancels and readings of the account.

Belongs here: what a signed request means, alike over REST and ws-api. Whether it was signed belongs
in signing, which path it came by in rest and user_api.
"""

from typing import TYPE_CHECKING

from daemon.embedded import params as read
from daemon.embedded.account import Balance, Order
from daemon.embedded.conditions import Conditions
from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.dialect_orders import (
    account_payload,
    canceled_payload,
    fill_payload,
    order_payload,
    placed_payload,
)
from daemon.embedded.exchange import Exchange
from daemon.embedded.key_scope import KeyScope, restrictions_payload
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.order_requests import order_request, random_client_id, response_type
from daemon.embedded.params import Params
from daemon.embedded.past_balances import PastBalances
from daemon.embedded.queries import fill_query, id_of, order_query, symbol_id_of
from daemon.embedded.refusals import order_not_open, unknown_order

if TYPE_CHECKING:
    from collections.abc import Mapping


class Trading:
    """The private half of the API over one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        conditions: Conditions,
        faults: OrderFaults[Order],
        balances: PastBalances,
        scope: KeyScope,
    ) -> None:
        self._exchange = exchange
        self._conditions = conditions
        self._faults = faults
        self._balances = balances
        self._scope = scope

    def place(self, params: Params) -> Payload:
        self._check_may_trade()
        request = order_request(params, self._symbol_id(params))
        detail = response_type(params, request)
        outcome = self._faults.place(
            request.symbol_id, lambda share: self._exchange.place(request, share=share)
        )
        return placed_payload(outcome, detail)

    def test(self, params: Params) -> Payload:
        """Say whether the order would be accepted; nothing is placed."""
        self._check_may_trade()
        self._exchange.check(order_request(params, self._symbol_id(params)))
        return {}

    def query(self, params: Params) -> Payload:
        order = self._find(params)
        if order is None:
            raise unknown_order()
        return self._faults.told(order)

    def cancel(self, params: Params) -> Payload:
        self._check_may_trade()
        order = self._find(params)
        if order is not None:
            order = self._faults.before_cancel(order)
        if order is None or not order.is_open:
            raise order_not_open()
        return self._cancel(order, read.client_id(params, "newClientOrderId"))

    def cancel_all(self, params: Params) -> list[Payload]:
        """Cancel every open order of a symbol; refused when there is none."""
        self._check_may_trade()
        found = self._exchange.settlement.open_of(self._symbol_id(params))
        seen = [self._faults.before_cancel(each) for each in found if self._faults.seen(each)]
        orders = [each for each in seen if each.is_open]
        if not orders:
            raise order_not_open()
        return [self._cancel(order, None) for order in orders]

    def open_orders(self, params: Params) -> list[Payload]:
        symbol_id = self._symbol_id(params) if "symbol" in params else None
        orders = list(self._exchange.settlement.open_orders.values())
        seen = [each for each in orders if self._faults.seen(each) is not None]
        return [order_payload(each) for each in seen if symbol_id in (None, each.symbol_id)]

    def all_orders(self, params: Params) -> list[Payload]:
        query = order_query(params, self._symbol_id(params))
        orders = self._exchange.ledger.orders(query)
        return [self._faults.told(each) for each in orders if self._faults.seen(each) is not None]

    def my_trades(self, params: Params) -> list[Payload]:
        query = fill_query(params, self._symbol_id(params))
        fills = self._faults.seen_fills(self._exchange.ledger.fills(query))
        return [fill_payload(fill) for fill in fills]

    def account(self, params: Params) -> Payload:
        settlement = self._exchange.settlement
        balances: Mapping[str, Balance] = settlement.account.balances
        lag_ms = self._conditions.balance_lag_ms()
        if lag_ms:
            balances = self._balances.ago(lag_ms)
        if params.get("omitZeroBalances") == "true":
            balances = {asset: each for asset, each in balances.items() if each.free or each.locked}
        fees = settlement.fees.stated(next(iter(self._exchange.market.symbols)))
        scope = self._conditions.scope(self._scope)
        return account_payload(balances, fees, scope, self._exchange.clock.market_ms())

    def trade_fees(self, params: Params) -> list[Payload]:
        symbol_ids = (
            [self._symbol_id(params)] if "symbol" in params else self._exchange.market.symbols
        )
        fees = {each: self._exchange.settlement.fees.stated(each) for each in symbol_ids}
        return [
            {
                "symbol": each,
                "makerCommission": fixed(fees[each].maker_ratio),
                "takerCommission": fixed(fees[each].taker_ratio),
            }
            for each in symbol_ids
        ]

    def restrictions(self, _params: Params) -> Payload:
        return restrictions_payload(self._conditions.scope(self._scope))

    def _check_may_trade(self) -> None:
        self._conditions.scope(self._scope).check_trade(self._conditions.now_ms())

    def _cancel(self, order: Order, cancel_client_id: str | None) -> Payload:
        cancel_client_id = cancel_client_id or random_client_id()
        outcome = self._exchange.cancel(order, cancel_client_id)
        return canceled_payload(outcome.order, cancel_client_id)

    def _find(self, params: Params) -> Order | None:
        symbol_id, ledger = self._symbol_id(params), self._exchange.ledger
        order_id, client_order_id = id_of(params, "orderId", "origClientOrderId")
        if order_id is not None:
            return self._faults.seen(ledger.order(symbol_id, order_id))
        return self._faults.seen(ledger.order_by_client_id(symbol_id, client_order_id))

    def _symbol_id(self, params: Params) -> str:
        return symbol_id_of(params, self._exchange.market.symbols)
