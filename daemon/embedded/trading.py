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
from daemon.embedded.ledger import FillQuery, OrderQuery
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.order_requests import order_request, random_client_id, response_type
from daemon.embedded.params import Params
from daemon.embedded.past_balances import PastBalances
from daemon.embedded.refusals import (
    RequestError,
    invalid_symbol,
    order_not_open,
    unknown_order,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS_DEFAULT = 500
ROWS_MAX = 1_000


class Trading:
    """The private half of the API over one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        conditions: Conditions,
        faults: OrderFaults,
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
        orders = self._exchange.settlement.open_of(self._symbol_id(params))
        if not orders:
            raise order_not_open()
        return [self._cancel(order, None) for order in orders]

    def open_orders(self, params: Params) -> list[Payload]:
        symbol_id = self._symbol_id(params) if "symbol" in params else None
        orders = list(self._exchange.settlement.open_orders.values())
        seen = [each for each in orders if self._faults.seen(each) is not None]
        return [order_payload(each) for each in seen if symbol_id in (None, each.symbol_id)]

    def all_orders(self, params: Params) -> list[Payload]:
        query = OrderQuery(
            symbol_id=self._symbol_id(params),
            from_order_id=read.integer(params, "orderId") or 0,
            start_ms=read.integer(params, "startTime") or 0,
            end_ms=_end_ms(params),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
        orders = self._exchange.ledger.orders(query)
        return [self._faults.told(each) for each in orders if self._faults.seen(each) is not None]

    def my_trades(self, params: Params) -> list[Payload]:
        query = FillQuery(
            symbol_id=self._symbol_id(params),
            order_id=read.integer(params, "orderId"),
            from_trade_id=read.integer(params, "fromId"),
            start_ms=read.integer(params, "startTime"),
            end_ms=_end_ms(params),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
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
        symbol_id = self._symbol_id(params)
        order_id = read.integer(params, "orderId")
        client_order_id = params.get("origClientOrderId")
        if order_id is not None:
            return self._faults.seen(self._exchange.ledger.order(symbol_id, order_id))
        if client_order_id:
            found = self._exchange.ledger.order_by_client_id(symbol_id, client_order_id)
            return self._faults.seen(found)
        text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise RequestError(-1102, text)

    def _symbol_id(self, params: Params) -> str:
        symbol_id = read.text(params, "symbol")
        if symbol_id not in self._exchange.market.symbols:
            raise invalid_symbol()
        return symbol_id


def _end_ms(params: Params) -> int:
    end_ms = read.integer(params, "endTime")
    return 2**62 if end_ms is None else end_ms
