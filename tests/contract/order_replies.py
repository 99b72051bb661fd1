"""What each exchange answers about one order, written by hand from public documentation.

The order: half a BTC bought at 50 000, in one fill, fee 0.0005 BTC or 25 USDT. Not recorded.
"""

from typing import Any

OURS = "td5iuti24zjoaebp75"
THEIRS = "OUF4EM-FRGI2-MQMWZD"
MS = 1_704_067_200_000

OKX_ORDER = {
    "accFillSz": "0.5",
    "avgPx": "50000",
    "cTime": str(MS),
    "uTime": str(MS + 5),
    "clOrdId": OURS,
    "fee": "-0.0005",
    "feeCcy": "BTC",
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "ordId": THEIRS,
    "ordType": "market",
    "px": "",
    "side": "buy",
    "state": "filled",
    "sz": "0.5",
    "tgtCcy": "base_ccy",
}
OKX_FILL = {
    "instType": "SPOT",
    "instId": "BTC-USDT",
    "tradeId": "123",
    "ordId": THEIRS,
    "clOrdId": OURS,
    "billId": "1",
    "fillPx": "50000",
    "fillSz": "0.5",
    "side": "buy",
    "execType": "T",
    "feeCcy": "BTC",
    "fee": "-0.0005",
    "ts": str(MS + 5),
}
BYBIT_ORDER = {
    "orderId": THEIRS,
    "orderLinkId": OURS,
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Market",
    "price": "0",
    "qty": "0.5",
    "cumExecQty": "0.5",
    "cumExecValue": "25000",
    "cumExecFee": "0.0005",
    "avgPrice": "50000",
    "timeInForce": "IOC",
    "orderStatus": "Filled",
    "createdTime": str(MS),
    "updatedTime": str(MS + 5),
}
BYBIT_FILL = {
    "symbol": "BTCUSDT",
    "orderId": THEIRS,
    "orderLinkId": OURS,
    "side": "Buy",
    "execId": "123",
    "execPrice": "50000",
    "execQty": "0.5",
    "execFee": "0.0005",
    "feeCurrency": "BTC",
    "execType": "Trade",
    "execTime": str(MS + 5),
    "isMaker": False,
}
KRAKEN_ORDER = {
    "refid": None,
    "userref": None,
    "cl_ord_id": OURS,
    "status": "closed",
    "opentm": MS / 1_000,
    "closetm": MS / 1_000 + 0.005,
    "descr": {"pair": "XXBTZUSDT", "type": "buy", "ordertype": "market", "price": "0"},
    "vol": "0.5",
    "vol_exec": "0.5",
    "cost": "25000",
    "fee": "25",
    "price": "50000",
    "oflags": "fciq",
    "trades": ["123"],
}
KRAKEN_FILL = {
    "ordertxid": THEIRS,
    "pair": "XXBTZUSDT",
    "time": MS / 1_000 + 0.005,
    "type": "buy",
    "ordertype": "market",
    "price": "50000",
    "cost": "25000",
    "fee": "25",
    "vol": "0.5",
    "maker": False,
}
KUCOIN_ORDER = {
    "id": THEIRS,
    "symbol": "BTC-USDT",
    "opType": "DEAL",
    "type": "market",
    "side": "buy",
    "price": "0",
    "size": "0.5",
    "funds": "0",
    "dealFunds": "25000",
    "dealSize": "0.5",
    "fee": "25",
    "feeCurrency": "USDT",
    "clientOid": OURS,
    "isActive": False,
    "cancelExist": False,
    "createdAt": MS,
    "tradeType": "TRADE",
}
KUCOIN_FILL = {
    "symbol": "BTC-USDT",
    "tradeId": "123",
    "orderId": THEIRS,
    "side": "buy",
    "liquidity": "taker",
    "price": "50000",
    "size": "0.5",
    "funds": "25000",
    "fee": "25",
    "feeCurrency": "USDT",
    "createdAt": MS + 5,
    "tradeType": "TRADE",
}
GATE_ORDER = {
    "id": THEIRS,
    "text": f"t-{OURS}",
    "create_time_ms": MS,
    "update_time_ms": MS + 5,
    "status": "closed",
    "currency_pair": "BTC_USDT",
    "type": "limit",
    "account": "spot",
    "side": "buy",
    "amount": "0.5",
    "price": "50500",
    "time_in_force": "ioc",
    "left": "0",
    "filled_total": "25000",
    "avg_deal_price": "50000",
    "fee": "0.0005",
    "fee_currency": "BTC",
    "finish_as": "filled",
}
GATE_FILL = {
    "id": "123",
    "create_time_ms": f"{MS + 5}.123",
    "currency_pair": "BTC_USDT",
    "side": "buy",
    "role": "taker",
    "amount": "0.5",
    "price": "50000",
    "order_id": THEIRS,
    "fee": "0.0005",
    "fee_currency": "BTC",
}
BITGET_ORDER = {
    "symbol": "BTCUSDT",
    "orderId": THEIRS,
    "clientOid": OURS,
    "price": "50500",
    "size": "0.5",
    "orderType": "limit",
    "side": "buy",
    "status": "filled",
    "priceAvg": "50000",
    "baseVolume": "0.5",
    "quoteVolume": "25000",
    "cTime": str(MS),
    "uTime": str(MS + 5),
}
BITGET_FILL = {
    "orderId": THEIRS,
    "tradeId": "123",
    "symbol": "BTCUSDT",
    "orderType": "limit",
    "side": "buy",
    "priceAvg": "50000",
    "size": "0.5",
    "amount": "25000",
    "feeDetail": {"deduction": "no", "feeCoin": "BTC", "totalFee": "-0.0005"},
    "tradeScope": "taker",
    "cTime": str(MS + 5),
}
COINBASE_ORDER = {
    "order_id": THEIRS,
    "product_id": "BTC-USDT",
    "client_order_id": OURS,
    "side": "BUY",
    "status": "FILLED",
    "order_type": "LIMIT",
    "order_configuration": {"sor_limit_ioc": {"base_size": "0.5", "limit_price": "50500"}},
    "filled_size": "0.5",
    "average_filled_price": "50000",
    "total_fees": "25",
    "completion_percentage": "100",
    "created_time": "2024-01-01T00:00:00Z",
    "last_fill_time": "2024-01-01T00:00:00.005Z",
}
COINBASE_FILL = {
    "entry_id": "1",
    "trade_id": "123",
    "order_id": THEIRS,
    "trade_time": "2024-01-01T00:00:00.005Z",
    "trade_type": "FILL",
    "price": "50000",
    "size": "0.5",
    "commission": "25",
    "product_id": "BTC-USDT",
    "side": "BUY",
    "liquidity_indicator": "TAKER",
}


def in_okx(*rows: Any) -> Any:
    return {"code": "0", "msg": "", "data": list(rows)}


def in_bybit(result: Any) -> Any:
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": MS}


def in_kraken(result: Any) -> Any:
    return {"error": [], "result": result}


def of_kucoin(data: Any) -> Any:
    return {"code": "200000", "data": data}


def in_bitget(data: Any) -> Any:
    return {"code": "00000", "msg": "success", "data": data, "requestTime": MS}


_KUCOIN_PAGE = {"currentPage": 1, "pageSize": 50, "totalNum": 1, "totalPage": 1}


def in_kucoin_page(*items: Any) -> Any:
    return of_kucoin({**_KUCOIN_PAGE, "items": list(items)})


# By a part of "METHOD url", the first that fits.
REPLIES: dict[str, dict[str, Any]] = {
    "okx": {
        "POST https://www.okx.com/api/v5/trade/batch-orders": in_okx(
            {"clOrdId": OURS, "ordId": THEIRS, "tag": "", "sCode": "0", "sMsg": ""}
        ),
        "/trade/order?": in_okx(OKX_ORDER),
        "/trade/fills-history": in_okx(OKX_FILL),
    },
    "bybit": {
        "POST https://api.bybit.com/v5/order/create": in_bybit(
            {"orderId": THEIRS, "orderLinkId": OURS}
        ),
        "/order/realtime": in_bybit({"category": "spot", "list": []}),
        "/order/history": in_bybit({"category": "spot", "list": [BYBIT_ORDER]}),
        "/execution/list": in_bybit({"category": "spot", "list": [BYBIT_FILL]}),
    },
    "kraken": {
        "/AddOrder": in_kraken({"descr": {"order": "buy 0.5 BTCUSDT @ market"}, "txid": [THEIRS]}),
        "/OpenOrders": in_kraken({"open": {}}),
        "/ClosedOrders": in_kraken({"closed": {THEIRS: KRAKEN_ORDER}, "count": 1}),
        "/QueryTrades": in_kraken({"123": KRAKEN_FILL}),
    },
    "kucoin": {
        "POST https://api.kucoin.com/api/v1/orders": of_kucoin({"orderId": THEIRS}),
        "/order/client-order/": {"code": "400100", "msg": "order not exist"},
        "status=done": in_kucoin_page(KUCOIN_ORDER),
        "/fills": in_kucoin_page(KUCOIN_FILL),
    },
    "gate": {
        "POST https://api.gateio.ws/api/v4/spot/orders": GATE_ORDER,
        f"/spot/orders/t-{OURS}": GATE_ORDER,
        "/spot/my_trades": [GATE_FILL],
    },
    "bitget": {
        "/trade/place-order": in_bitget({"orderId": THEIRS, "clientOid": OURS}),
        "/trade/unfilled-orders": in_bitget([]),
        "/trade/history-orders": in_bitget([BITGET_ORDER]),
        "/trade/fills": in_bitget([BITGET_FILL]),
    },
    "coinbase": {
        "POST https://api.coinbase.com/api/v3/brokerage/orders": {
            "success": True,
            "success_response": {
                "order_id": THEIRS,
                "product_id": "BTC-USDT",
                "side": "BUY",
                "client_order_id": OURS,
            },
            "order_configuration": None,
        },
        "/orders/historical/batch": {"orders": [COINBASE_ORDER], "has_next": False, "cursor": ""},
        "/orders/historical/fills": {"fills": [COINBASE_FILL], "cursor": ""},
    },
}


# What differs where 0.2 of the 0.5 were bought and the rest was ended: of the order, of its fill.
_ENDED_SHORT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "okx": ({"state": "canceled", "accFillSz": "0.2"}, {"fillSz": "0.2"}),
    "bybit": (
        # Without marketUnit, as Bybit may answer: ccxt then takes what was filled for the whole.
        {"orderStatus": "PartiallyFilledCanceled", "cumExecQty": "0.2", "leavesQty": "0"},
        {"execQty": "0.2"},
    ),
    "kraken": ({"status": "canceled", "vol_exec": "0.2"}, {"vol": "0.2"}),
    "kucoin": ({"cancelExist": True, "dealSize": "0.2"}, {"size": "0.2"}),
    "gate": ({"status": "cancelled", "finish_as": "ioc", "left": "0.3"}, {"amount": "0.2"}),
    "bitget": ({"status": "cancelled", "baseVolume": "0.2"}, {"size": "0.2"}),
    "coinbase": ({"status": "CANCELLED", "filled_size": "0.2"}, {"size": "0.2"}),
}
_ORDERS = (
    *(OKX_ORDER, BYBIT_ORDER, KRAKEN_ORDER, KUCOIN_ORDER, GATE_ORDER, BITGET_ORDER),
    COINBASE_ORDER,
)
_FILLS = (OKX_FILL, BYBIT_FILL, KRAKEN_FILL, KUCOIN_FILL, GATE_FILL, BITGET_FILL, COINBASE_FILL)


def ended_short(exchange: str) -> dict[str, Any]:
    """The replies about an order of which only a part was filled before it ended."""
    of_order, of_fill = _ENDED_SHORT[exchange]

    def changed(told: Any) -> Any:
        if isinstance(told, list):
            return [changed(each) for each in told]
        if not isinstance(told, dict):
            return told
        if told in _ORDERS:
            return told | of_order
        if told in _FILLS:
            return told | of_fill
        return {name: changed(value) for name, value in told.items()}

    return {path: changed(reply) for path, reply in REPLIES[exchange].items()}


# Nothing is known of the order: every source answers so in its own way.
_NO_PAGE = {**_KUCOIN_PAGE, "totalNum": 0, "items": []}
DENIALS: dict[str, dict[str, Any]] = {
    "okx": {
        "/trade/order?": {"code": "51603", "msg": "Order does not exist", "data": []},
        "/trade/orders-": in_okx(),
    },
    "bybit": {"/order/": in_bybit({"category": "spot", "list": []})},
    "kraken": {
        "/OpenOrders": in_kraken({"open": {}}),
        "/ClosedOrders": in_kraken({"closed": {}, "count": 0}),
    },
    "kucoin": {
        "/order/client-order/": {"code": "400100", "msg": "order not exist"},
        "/api/v1/orders?": of_kucoin(_NO_PAGE),
    },
    "gate": {
        "/spot/orders/t-": {"label": "ORDER_NOT_FOUND", "message": "Order not found"},
        "/spot/open_orders": [],
        "/spot/orders?": [],
    },
    "bitget": {
        "/trade/unfilled-orders": in_bitget([]),
        "/trade/history-orders": in_bitget([]),
    },
    "coinbase": {"/orders/historical/batch": {"orders": [], "has_next": False, "cursor": ""}},
}
