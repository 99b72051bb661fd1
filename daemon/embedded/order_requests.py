"""New orders as parameters: turns what was sent with an order into the order that is meant.

Belongs here: which parameters fit together. What the order then does belongs in matching.
"""

import secrets
from enum import StrEnum

from daemon.embedded import params as read
from daemon.embedded.account import OrderRequest, OrderType, Side, TimeInForce
from daemon.embedded.params import Params
from daemon.embedded.refusals import RequestError, missing_parameter, order_rejected


class ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


def order_request(params: Params, symbol_id: str) -> OrderRequest:
    """The order that the parameters mean; RequestError when they do not fit together."""
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
        client_order_id=read.client_id(params, "newClientOrderId") or random_client_id(),
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=price,
        stop_price=stop_price,
    )


def response_type(params: Params, request: OrderRequest) -> ResponseType:
    """How much of the order the reply tells."""
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


def random_client_id() -> str:
    return secrets.token_hex(11)
