"""Private requests of swaps: turns signed parameters into orders, cancels and readings of them.

Belongs here: what a signed fapi request about orders means. The account belongs in portfolio,
whether a request was signed in access, its path in routes.
"""

from collections.abc import Iterable

from daemon.embedded import params as read
from daemon.embedded.conditions import Conditions
from daemon.embedded.dialect import Payload
from daemon.embedded.futures.account import Algo, AlgoStatus, SwapOrder
from daemon.embedded.futures.dialect import (
    algo_payload,
    fill_payload,
    order_payload,
)
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.requests import algo_request, swap_request
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.order_requests import random_client_id
from daemon.embedded.params import Params
from daemon.embedded.queries import (
    ROWS_DEFAULT,
    ROWS_MAX,
    fill_query,
    id_of,
    order_query,
    symbol_id_of,
)
from daemon.embedded.refusals import order_not_open, unknown_order


class SwapTrading:
    """The private half of the fapi dialect over one exchange."""

    def __init__(
        self,
        exchange: SwapExchange,
        conditions: Conditions,
        faults: OrderFaults[SwapOrder],
        scope: KeyScope,
    ) -> None:
        self._exchange = exchange
        self._conditions = conditions
        self._faults = faults
        self._scope = scope

    def place(self, params: Params) -> Payload:
        self._check_may_trade()
        request = swap_request(params, self._symbol_id(params))
        outcome = self._faults.place(
            request.symbol_id, lambda share: self._exchange.place(request, share=share)
        )
        placed = self._exchange.ledger.order(request.symbol_id, outcome.order.order_id)
        assert placed is not None, "a placed order is written down"
        return order_payload(placed)

    def test(self, params: Params) -> Payload:
        """Say whether the order would be accepted; nothing is placed."""
        self._check_may_trade()
        self._exchange.check(swap_request(params, self._symbol_id(params)))
        return {}

    def query(self, params: Params) -> Payload:
        order = self._find(params)
        if order is None:
            raise unknown_order()
        return self._faults.told(order)

    def open_order(self, params: Params) -> Payload:
        order = self._find(params)
        if order is None or not order.is_open:
            raise unknown_order()
        return self._faults.told(order)

    def cancel(self, params: Params) -> Payload:
        self._check_may_trade()
        order = self._find(params)
        if order is not None:
            order = self._faults.before_cancel(order)
        if order is None or not order.is_open:
            raise order_not_open()
        return self._cancel(order)

    def cancel_all(self, params: Params) -> Payload:
        self._check_may_trade()
        for order in self._seen(self._exchange.clearing.open_of(self._symbol_id(params))):
            if self._faults.before_cancel(order).is_open:
                self._cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_orders(self, params: Params) -> list[Payload]:
        orders = self._seen(self._exchange.clearing.open_orders.values())
        wanted = self._symbol_id(params) if "symbol" in params else None
        return [order_payload(each) for each in orders if wanted in (None, each.symbol_id)]

    def all_orders(self, params: Params) -> list[Payload]:
        query = order_query(params, self._symbol_id(params))
        return [self._faults.told(each) for each in self._seen(self._exchange.ledger.orders(query))]

    def trades(self, params: Params) -> list[Payload]:
        query = fill_query(params, self._symbol_id(params))
        fills = self._faults.seen_fills(self._exchange.ledger.fills(query))
        return [fill_payload(fill) for fill in fills]

    def place_algo(self, params: Params) -> Payload:
        self._check_may_trade()
        clock = self._exchange.clock
        symbol_id = self._symbol_id(params)
        algo = algo_request(params, symbol_id, clock.market_ms(), clock.wire_ms())
        return algo_payload(self._exchange.place_algo(algo))

    def query_algo(self, params: Params) -> Payload:
        algo = self._find_algo(params)
        if algo is None:
            raise unknown_order()
        return algo_payload(algo)

    def cancel_algo(self, params: Params) -> Payload:
        self._check_may_trade()
        algo = self._find_algo(params)
        if algo is None or algo.status is not AlgoStatus.NEW:
            raise order_not_open()
        self._exchange.cancel_algo(algo)
        return {
            "algoId": algo.algo_id,
            "clientAlgoId": algo.client_algo_id,
            "code": "200",
            "msg": "success",
        }

    def cancel_algos(self, params: Params) -> Payload:
        self._check_may_trade()
        for algo in self._exchange.clearing.waiting_of(self._symbol_id(params)):
            self._exchange.cancel_algo(algo)
        return {"code": "200", "msg": "The operation of cancel all open order is done."}

    def open_algos(self, params: Params) -> list[Payload]:
        wanted = self._symbol_id(params) if "symbol" in params else None
        waiting = self._exchange.clearing.algos.values()
        return [algo_payload(each) for each in waiting if wanted in (None, each.symbol_id)]

    def all_algos(self, params: Params) -> list[Payload]:
        limit = read.limit(params, ROWS_DEFAULT, ROWS_MAX)
        found = self._exchange.ledger.algos(self._symbol_id(params), limit)
        return [algo_payload(each) for each in found]

    def _cancel(self, order: SwapOrder) -> Payload:
        self._exchange.cancel(order, random_client_id())
        found = self._exchange.ledger.order(order.symbol_id, order.order_id)
        assert found is not None, "a canceled order is written down"
        return order_payload(found)

    def _seen(self, orders: Iterable[SwapOrder]) -> list[SwapOrder]:
        return [each for each in list(orders) if self._faults.seen(each) is not None]

    def _find(self, params: Params) -> SwapOrder | None:
        symbol_id, ledger = self._symbol_id(params), self._exchange.ledger
        order_id, client_order_id = id_of(params, "orderId", "origClientOrderId")
        if order_id is not None:
            return self._faults.seen(ledger.order(symbol_id, order_id))
        return self._faults.seen(ledger.order_by_client_id(symbol_id, client_order_id))

    def _find_algo(self, params: Params) -> Algo | None:
        algo_id, client_algo_id = id_of(params, "algoId", "clientAlgoId")
        if algo_id is not None:
            return self._exchange.ledger.algo(algo_id)
        return self._exchange.ledger.algo_by_client_id(client_algo_id)

    def _check_may_trade(self) -> None:
        self._conditions.scope(self._scope).check_trade(self._conditions.now_ms())

    def _symbol_id(self, params: Params) -> str:
        return symbol_id_of(params, self._exchange.market.symbols)
