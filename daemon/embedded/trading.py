"""Private requests: turns signed parameters into orders, cancels and readings of the account.

Belongs here: what a signed request means, alike over REST and ws-api. Whether it was signed belongs
in signing, which path it came by in rest and user_api.
"""

import secrets
from enum import StrEnum

from daemon.embedded import params as read
from daemon.embedded.account import Order, OrderRequest, OrderType, Side, TimeInForce
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
from daemon.embedded.params import Params
from daemon.embedded.refusals import (
    RequestError,
    invalid_symbol,
    missing_parameter,
    order_not_open,
    order_rejected,
    unknown_order,
)

ROWS_DEFAULT = 500
ROWS_MAX = 1_000


class ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


class Trading:
    """The private half of the API over one exchange."""

    def __init__(self, exchange: Exchange, scope: KeyScope) -> None:
        self._exchange = exchange
        self._scope = scope

    def place(self, params: Params) -> Payload:
        self._scope.check_trade(self._exchange.clock.wire_ms())
        request = self._order_request(params)
        response_type = _response_type(params, request)
        return placed_payload(self._exchange.place(request), response_type)

    def test(self, params: Params) -> Payload:
        """Say whether the order would be accepted; nothing is placed."""
        self._scope.check_trade(self._exchange.clock.wire_ms())
        self._exchange.check(self._order_request(params))
        return {}

    def query(self, params: Params) -> Payload:
        order = self._find(params)
        if order is None:
            raise unknown_order()
        return order_payload(order)

    def cancel(self, params: Params) -> Payload:
        self._scope.check_trade(self._exchange.clock.wire_ms())
        order = self._find(params)
        if order is None or not order.is_open:
            raise order_not_open()
        return self._cancel(order, read.client_id(params, "newClientOrderId"))

    def cancel_all(self, params: Params) -> list[Payload]:
        """Cancel every open order of a symbol; refused when there is none."""
        self._scope.check_trade(self._exchange.clock.wire_ms())
        orders = self._exchange.settlement.open_of(self._symbol_id(params))
        if not orders:
            raise order_not_open()
        return [self._cancel(order, None) for order in orders]

    def open_orders(self, params: Params) -> list[Payload]:
        symbol_id = self._symbol_id(params) if "symbol" in params else None
        orders = self._exchange.settlement.open_orders.values()
        return [order_payload(each) for each in orders if symbol_id in (None, each.symbol_id)]

    def all_orders(self, params: Params) -> list[Payload]:
        query = OrderQuery(
            symbol_id=self._symbol_id(params),
            from_order_id=read.integer(params, "orderId") or 0,
            start_ms=read.integer(params, "startTime") or 0,
            end_ms=_end_ms(params),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
        return [order_payload(order) for order in self._exchange.ledger.orders(query)]

    def my_trades(self, params: Params) -> list[Payload]:
        query = FillQuery(
            symbol_id=self._symbol_id(params),
            order_id=read.integer(params, "orderId"),
            from_trade_id=read.integer(params, "fromId"),
            start_ms=read.integer(params, "startTime"),
            end_ms=_end_ms(params),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
        return [fill_payload(fill) for fill in self._exchange.ledger.fills(query)]

    def account(self, params: Params) -> Payload:
        settlement = self._exchange.settlement
        balances = settlement.account.balances
        if params.get("omitZeroBalances") == "true":
            balances = {asset: each for asset, each in balances.items() if each.free or each.locked}
        fees = settlement.fees.stated(next(iter(self._exchange.market.symbols)))
        return account_payload(balances, fees, self._scope, self._exchange.clock.market_ms())

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
        return restrictions_payload(self._scope)

    def _cancel(self, order: Order, cancel_client_id: str | None) -> Payload:
        cancel_client_id = cancel_client_id or _random_client_id()
        outcome = self._exchange.cancel(order, cancel_client_id)
        return canceled_payload(outcome.order, cancel_client_id)

    def _order_request(self, params: Params) -> OrderRequest:
        symbol_id = self._symbol_id(params)
        side = read.choice(params, "side", Side, RequestError(-1117, "Invalid side."))
        kind = read.choice(params, "type", OrderType, RequestError(-1116, "Invalid orderType."))
        quantity = read.decimal(params, "quantity")
        quote_quantity = read.decimal(params, "quoteOrderQty")
        price = read.decimal(params, "price")
        stop_price = read.decimal(params, "stopPrice")
        _refuse_unsupported(params)
        if kind is OrderType.MARKET:
            if (quantity is None) == (quote_quantity is None):
                raise missing_parameter("quantity")
        else:
            _refuse_sent(params, "quoteOrderQty")
            if quantity is None:
                raise missing_parameter("quantity")
        if not kind.has_limit:
            _refuse_sent(params, "price", "timeInForce")
        elif price is None:
            raise missing_parameter("price")
        if not kind.is_stop:
            _refuse_sent(params, "stopPrice")
        elif stop_price is None:
            raise missing_parameter("stopPrice")
        time_in_force = TimeInForce.GTC
        if kind.has_limit and kind is not OrderType.LIMIT_MAKER:
            refusal = RequestError(-1115, "Invalid timeInForce.")
            time_in_force = read.choice(params, "timeInForce", TimeInForce, refusal)
        return OrderRequest(
            symbol_id=symbol_id,
            side=side,
            type=kind,
            time_in_force=time_in_force,
            client_order_id=read.client_id(params, "newClientOrderId") or _random_client_id(),
            quantity=quantity,
            quote_quantity=quote_quantity,
            price=price,
            stop_price=stop_price,
        )

    def _find(self, params: Params) -> Order | None:
        symbol_id = self._symbol_id(params)
        order_id = read.integer(params, "orderId")
        client_order_id = params.get("origClientOrderId")
        if order_id is not None:
            return self._exchange.ledger.order(symbol_id, order_id)
        if client_order_id:
            return self._exchange.ledger.order_by_client_id(symbol_id, client_order_id)
        text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise RequestError(-1102, text)

    def _symbol_id(self, params: Params) -> str:
        symbol_id = read.text(params, "symbol")
        if symbol_id not in self._exchange.market.symbols:
            raise invalid_symbol()
        return symbol_id


def _response_type(params: Params, request: OrderRequest) -> ResponseType:
    if "newOrderRespType" in params:
        refusal = RequestError(-1100, "Invalid newOrderRespType.")
        return read.choice(params, "newOrderRespType", ResponseType, refusal)
    is_full = request.type in (OrderType.MARKET, OrderType.LIMIT)
    return ResponseType.FULL if is_full else ResponseType.ACK


def _refuse_sent(params: Params, *names: str) -> None:
    for name in names:
        if name in params:
            raise RequestError(-1106, f"Parameter '{name}' sent when not required.")


def _refuse_unsupported(params: Params) -> None:
    """An order is taken as it was meant, or not at all."""
    if "icebergQty" in params:
        raise order_rejected("Iceberg orders are not supported for this symbol.")
    if "trailingDelta" in params:
        raise order_rejected("Trailing stop orders are not supported for this symbol.")


def _end_ms(params: Params) -> int:
    end_ms = read.integer(params, "endTime")
    return 2**62 if end_ms is None else end_ms


def _random_client_id() -> str:
    return secrets.token_hex(11)
