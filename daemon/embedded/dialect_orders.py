"""Orders in the dialect: turns orders, fills and balances into the payloads of Binance spot.

Belongs here: shapes of private data. Shapes of public data belong in dialect.
"""

from collections.abc import Iterable, Mapping

from daemon.embedded.account import NOT_WORKING, ZERO, Balance, Fill, Order
from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.fees import Fees
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.settlement import Execution, Outcome, Report

SELF_TRADE_MODE = "EXPIRE_MAKER"


def order_payload(order: Order) -> Payload:
    """An order as GET /order, /openOrders and /allOrders show it."""
    return {
        **_identity(order),
        "clientOrderId": order.client_order_id,
        **_amounts(order),
        "stopPrice": fixed(order.stop_price),
        "icebergQty": fixed(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms != NOT_WORKING,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": SELF_TRADE_MODE,
    }


def placed_payload(outcome: Outcome, response_type: str) -> Payload:
    """The reply to a new order in the wanted detail: ACK, RESULT or FULL."""
    order = outcome.order
    payload: Payload = {
        **_identity(order),
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }
    if response_type == "ACK":
        return payload
    payload |= {
        **_amounts(order),
        **_stop_price(order),
        "workingTime": order.working_ms,
        "selfTradePreventionMode": SELF_TRADE_MODE,
    }
    if response_type == "FULL":
        payload["fills"] = [
            {
                "price": fixed(fill.price),
                "qty": fixed(fill.quantity),
                "commission": fixed(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in outcome.fills
        ]
    return payload


def canceled_payload(order: Order, cancel_client_id: str) -> Payload:
    """The reply to a cancel: the order's own id becomes origClientOrderId."""
    return {
        **_identity(order),
        "origClientOrderId": order.client_order_id,
        "clientOrderId": cancel_client_id,
        "transactTime": order.updated_ms,
        **_amounts(order),
        **_stop_price(order),
        "selfTradePreventionMode": SELF_TRADE_MODE,
    }


def fill_payload(fill: Fill) -> Payload:
    """A row of /myTrades; like the real one it does not carry the client order id."""
    return {
        "symbol": fill.symbol_id,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": fixed(fill.price),
        "qty": fixed(fill.quantity),
        "quoteQty": fixed(fill.price * fill.quantity),
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.ts_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account_payload(
    balances: Mapping[str, Balance], fees: Fees, scope: KeyScope, update_ms: int
) -> Payload:
    return {
        "makerCommission": int(fees.maker_ratio * 10_000),
        "takerCommission": int(fees.taker_ratio * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": fixed(fees.maker_ratio),
            "taker": fixed(fees.taker_ratio),
            "buyer": fixed(ZERO),
            "seller": fixed(ZERO),
        },
        "canTrade": scope.may_trade,
        "canWithdraw": scope.may_withdraw,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": update_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": fixed(each.free), "locked": fixed(each.locked)}
            for asset, each in sorted(balances.items())
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def outcome_events(outcome: Outcome, event_ms: int) -> Iterable[Payload]:
    """What the user stream tells about an outcome: every report, then the touched balances."""
    for report in outcome.reports:
        yield execution_report(report, event_ms)
    for flow in outcome.flows:
        yield {
            "e": "balanceUpdate",
            "E": event_ms,
            "a": flow.asset,
            "d": fixed(flow.amount),
            "T": flow.ts_ms,
        }
    if outcome.balances:
        yield {
            "e": "outboundAccountPosition",
            "E": event_ms,
            "u": event_ms,
            "B": [
                {"a": asset, "f": fixed(each.free), "l": fixed(each.locked)}
                for asset, each in outcome.balances.items()
            ],
        }


def execution_report(report: Report, event_ms: int) -> Payload:
    """An executionReport; on a cancel `c` is the cancel's own id and `C` the order's."""
    order, fill = report.order, report.fill
    is_cancel = report.execution is Execution.CANCELED
    quantity, price, fee = (
        (fill.quantity, fill.price, fill.fee) if fill is not None else (ZERO, ZERO, ZERO)
    )
    return {
        "e": "executionReport",
        "E": event_ms,
        "s": order.symbol_id,
        "c": report.cancel_client_id if is_cancel else order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": fixed(order.quantity),
        "p": fixed(order.price),
        "P": fixed(order.stop_price),
        "F": fixed(ZERO),
        "g": -1,
        "C": order.client_order_id if is_cancel else "",
        "x": report.execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": fixed(quantity),
        "z": fixed(order.executed),
        "L": fixed(price),
        "n": fixed(fee),
        "N": fill.fee_asset if fill is not None else None,
        "T": order.updated_ms,
        "t": fill.trade_id if fill is not None else -1,
        "I": 0,
        "w": order.is_open and order.type.has_limit and not order.is_waiting,
        "m": fill.is_maker if fill is not None else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": fixed(order.cumulative_quote),
        "Y": fixed(quantity * price),
        "Q": fixed(order.quote_quantity),
        **({} if order.working_ms == NOT_WORKING else {"W": order.working_ms}),
        "V": SELF_TRADE_MODE,
    }


def _identity(order: Order) -> Payload:
    return {"symbol": order.symbol_id, "orderId": order.order_id, "orderListId": -1}


def _stop_price(order: Order) -> Payload:
    return {"stopPrice": fixed(order.stop_price)} if order.type.is_stop else {}


def _amounts(order: Order) -> Payload:
    return {
        "price": fixed(order.price),
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.executed),
        "origQuoteOrderQty": fixed(order.quote_quantity),
        "cummulativeQuoteQty": fixed(order.cumulative_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }
