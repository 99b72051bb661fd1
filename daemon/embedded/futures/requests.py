"""New swap orders as parameters: turns what was sent into the order, or conditional order, meant.

Belongs here: which parameters fit together. What the order then does belongs in matching.
"""

from decimal import Decimal

from daemon.embedded import params as read
from daemon.embedded.account import ZERO, OrderType, Side, TimeInForce
from daemon.embedded.futures.account import Algo, SwapRequest
from daemon.embedded.futures.dialect import ALGO_TYPES
from daemon.embedded.order_requests import random_client_id
from daemon.embedded.params import Params
from daemon.embedded.refusals import RequestError, missing_parameter

POST_ONLY = "GTX"


def swap_request(params: Params, symbol_id: str) -> SwapRequest:
    """The order that the parameters mean; RequestError when they do not fit together."""
    side = _common(params)
    word = read.text(params, "type")
    if word in ALGO_TYPES or word == "TRAILING_STOP_MARKET":
        text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints"
        raise RequestError(-4120, f"{text} instead.")
    if word not in (OrderType.LIMIT, OrderType.MARKET):
        raise RequestError(-1116, "Invalid orderType.")
    kind, quantity, price = OrderType(word), _quantity(params), read.decimal(params, "price")
    if read.flag(params, "closePosition"):
        raise RequestError(
            -4136, f"Target strategy invalid for orderType {word},closePosition true"
        )
    if (kind is OrderType.LIMIT) is (price is None):
        raise missing_parameter("price") if price is None else _sent("price")
    force, is_post_only = TimeInForce.GTC, False
    if kind is OrderType.LIMIT:
        force, is_post_only = _force(params)
    elif "timeInForce" in params:
        raise _sent("timeInForce")
    return SwapRequest(
        symbol_id=symbol_id,
        side=side,
        type=kind,
        time_in_force=force,
        client_order_id=read.client_id(params, "newClientOrderId") or random_client_id(),
        quantity=quantity,
        price=price,
        reduce_only=read.flag(params, "reduceOnly"),
        is_post_only=is_post_only,
    )


def algo_request(params: Params, symbol_id: str, ts_ms: int, wire_ms: int) -> Algo:
    """The conditional order that the parameters mean; it has no id yet."""
    side = _common(params)
    if read.text(params, "algoType") != "CONDITIONAL":
        raise RequestError(-4500, "Invalid algoType, expected CONDITIONAL.")
    kind = ALGO_TYPES.get(read.text(params, "type"))
    if kind is None:
        raise RequestError(-1116, "Invalid orderType.")
    if params.get("workingType", "CONTRACT_PRICE") not in ("CONTRACT_PRICE", "MARK_PRICE"):
        raise RequestError(-4083, "Invalid workingType.")
    close_position, reduce_only = (
        read.flag(params, "closePosition"),
        read.flag(params, "reduceOnly"),
    )
    if close_position and (kind.has_limit or reduce_only or "quantity" in params):
        text = "closePosition goes with a market type, without quantity and reduceOnly"
        raise RequestError(-4136, f"Target strategy invalid: {text}")
    trigger_price, price = read.decimal(params, "triggerPrice"), read.decimal(params, "price")
    if trigger_price is None:
        raise missing_parameter("triggerPrice")
    if kind.has_limit is (price is None):
        raise missing_parameter("price") if price is None else _sent("price")
    force = _force(params)[0] if "timeInForce" in params else TimeInForce.GTC
    return Algo(
        algo_id=0,
        client_algo_id=read.client_id(params, "clientAlgoId") or random_client_id(),
        symbol_id=symbol_id,
        side=side,
        type=kind,
        time_in_force=force,
        quantity=ZERO if close_position else _quantity(params),
        price=price or ZERO,
        trigger_price=trigger_price,
        reduce_only=reduce_only,
        close_position=close_position,
        created_ms=ts_ms,
        updated_ms=ts_ms,
        received_ms=wire_ms,
    )


def _common(params: Params) -> Side:
    if params.get("positionSide", "BOTH") != "BOTH":
        raise RequestError(-4061, "Order's position side does not match user's setting.")
    return read.choice(params, "side", Side, RequestError(-1117, "Invalid side."))


def _quantity(params: Params) -> Decimal:
    quantity = read.decimal(params, "quantity")
    if quantity is None:
        raise missing_parameter("quantity")
    return quantity


def _force(params: Params) -> tuple[TimeInForce, bool]:
    word = read.text(params, "timeInForce")
    if word == POST_ONLY:
        return TimeInForce.GTC, True
    if word not in tuple(TimeInForce):
        raise RequestError(-1115, "Invalid timeInForce.")
    return TimeInForce(word), False


def _sent(name: str) -> RequestError:
    return RequestError(-1106, f"Parameter '{name}' sent when not required.")
