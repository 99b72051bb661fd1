"""What each exchange answers about an account, written by hand from public documentation.

It holds 0.4995 BTC, 0.1 of it locked in a stop or a limit order, and 75 000 USDT; one order of ours
was filled (`order_replies`). Not recorded.
"""

from typing import Any

from tests.contract.order_replies import (
    BITGET_FILL,
    BITGET_ORDER,
    BYBIT_FILL,
    BYBIT_ORDER,
    COINBASE_FILL,
    COINBASE_ORDER,
    GATE_FILL,
    GATE_ORDER,
    KRAKEN_FILL,
    KRAKEN_ORDER,
    KUCOIN_FILL,
    KUCOIN_ORDER,
    MS,
    OKX_FILL,
    OKX_ORDER,
    THEIRS,
    in_bitget,
    in_bybit,
    in_kraken,
    in_kucoin_page,
    in_okx,
    of_kucoin,
)

RESTS = "td5iuti24zjoaebp99"  # our id of what is open
RESTS_THERE = "OB2FAF-ZUD2A-4C33QM"
OKX_OPEN = OKX_ORDER | {
    "ordId": RESTS_THERE,
    "clOrdId": RESTS,
    "ordType": "limit",
    "state": "live",
    "side": "sell",
    "px": "60000",
    "sz": "0.1",
    "accFillSz": "0",
    "avgPx": "",
    "fee": "0",
    "tgtCcy": "",
}
BYBIT_OPEN = BYBIT_ORDER | {
    "orderId": RESTS_THERE,
    "orderLinkId": RESTS,
    "side": "Sell",
    "qty": "0.1",
    "cumExecQty": "0",
    "cumExecValue": "0",
    "cumExecFee": "0",
    "avgPrice": "",
    "orderStatus": "Untriggered",
    "stopOrderType": "Stop",
    "triggerPrice": "47500",
    "triggerDirection": 0,
}
KRAKEN_OPEN = KRAKEN_ORDER | {
    "cl_ord_id": RESTS,
    "status": "open",
    "closetm": 0,
    "descr": {
        "pair": "XXBTZUSDT",
        "type": "sell",
        "ordertype": "stop-loss",
        "price": "47500",
        "price2": "0",
        "leverage": "none",
        "order": "sell 0.10000000 XBTUSDT @ stop loss 47500",
        "close": "",
    },
    "vol": "0.1",
    "vol_exec": "0",
    "cost": "0",
    "fee": "0",
    "price": "0",
    "stopprice": "0.00000",
    "limitprice": "0.00000",
    "misc": "",
    "oflags": "fciq",
    "trades": [],
}
KUCOIN_OPEN = KUCOIN_ORDER | {
    "id": RESTS_THERE,
    "clientOid": RESTS,
    "type": "limit",
    "side": "sell",
    "price": "60000",
    "size": "0.1",
    "dealFunds": "0",
    "dealSize": "0",
    "fee": "0",
    "isActive": True,
}
GATE_OPEN = GATE_ORDER | {
    "id": RESTS_THERE,
    "text": f"t-{RESTS}",
    "status": "open",
    "side": "sell",
    "amount": "0.1",
    "left": "0.1",
    "price": "60000",
    "time_in_force": "gtc",
    "filled_total": "0",
    "avg_deal_price": "0",
    "fee": "0",
    "finish_as": "open",
}
BITGET_OPEN = BITGET_ORDER | {
    "orderId": RESTS_THERE,
    "clientOid": RESTS,
    "side": "sell",
    "price": "60000",
    "size": "0.1",
    "status": "live",
    "priceAvg": "0",
    "baseVolume": "0",
    "quoteVolume": "0",
}
COINBASE_OPEN = COINBASE_ORDER | {
    "order_id": RESTS_THERE,
    "client_order_id": RESTS,
    "side": "SELL",
    "status": "OPEN",
    "order_configuration": {"limit_limit_gtc": {"base_size": "0.1", "limit_price": "60000"}},
    "filled_size": "0",
    "average_filled_price": "0",
    "total_fees": "0",
    "completion_percentage": "0",
}


def held_on_coinbase(currency: str, free: str, locked: str) -> dict[str, Any]:
    return {
        "uuid": currency,
        "currency": currency,
        "type": "ACCOUNT_TYPE_CRYPTO",
        "available_balance": {"value": free, "currency": currency},
        "hold": {"value": locked, "currency": currency},
    }


# By a part of "METHOD url", the first that fits.
ACCOUNTS: dict[str, dict[str, Any]] = {
    "okx": {
        "/account/balance": in_okx(
            {
                "details": [
                    {"ccy": "BTC", "eq": "0.4995", "availBal": "0.3995", "frozenBal": "0.1"},
                    {"ccy": "USDT", "eq": "75000", "availBal": "75000", "frozenBal": "0"},
                ],
                "uTime": str(MS),
            }
        ),
        "/trade/fills-history": in_okx(OKX_FILL),
        "/trade/orders-pending": in_okx(OKX_OPEN),
        "/trade/order?": in_okx(OKX_ORDER),
    },
    "bybit": {
        "/account/wallet-balance": in_bybit(
            {
                "list": [
                    {
                        "accountType": "UNIFIED",
                        "coin": [
                            {"coin": "BTC", "walletBalance": "0.4995", "locked": "0.1"},
                            {"coin": "USDT", "walletBalance": "75000", "locked": "0"},
                        ],
                    }
                ]
            }
        ),
        "/execution/list": in_bybit({"category": "spot", "list": [BYBIT_FILL]}),
        f"/order/realtime?orderId={THEIRS}": in_bybit({"category": "spot", "list": [BYBIT_ORDER]}),
        f"orderId={THEIRS}": in_bybit({"category": "spot", "list": [BYBIT_ORDER]}),
        "/order/realtime": in_bybit({"category": "spot", "list": [BYBIT_OPEN]}),
    },
    "kraken": {
        "/BalanceEx": in_kraken(
            {
                "BTC": {"balance": "0.4995", "hold_trade": "0.1"},
                "USDT": {"balance": "75000", "hold_trade": "0"},
            }
        ),
        "/TradesHistory": in_kraken({"trades": {"123": KRAKEN_FILL}, "count": 1}),
        "/QueryOrders": in_kraken({THEIRS: KRAKEN_ORDER}),
        "/OpenOrders": in_kraken({"open": {RESTS_THERE: KRAKEN_OPEN}}),
    },
    "kucoin": {
        "/accounts": of_kucoin(
            [
                {
                    "currency": "BTC",
                    "type": "trade",
                    "balance": "0.4995",
                    "available": "0.3995",
                    "holds": "0.1",
                },
                {
                    "currency": "USDT",
                    "type": "trade",
                    "balance": "75000",
                    "available": "75000",
                    "holds": "0",
                },
            ]
        ),
        "/fills": in_kucoin_page(KUCOIN_FILL),
        f"/orders/{THEIRS}": of_kucoin(KUCOIN_ORDER),
        "status=active": in_kucoin_page(KUCOIN_OPEN),
    },
    "gate": {
        "/spot/accounts": [
            {"currency": "BTC", "available": "0.3995", "locked": "0.1"},
            {"currency": "USDT", "available": "75000", "locked": "0"},
        ],
        "/spot/my_trades": [GATE_FILL],
        f"/spot/orders/{THEIRS}": GATE_ORDER,
        "/spot/open_orders": [{"currency_pair": "BTC_USDT", "total": 1, "orders": [GATE_OPEN]}],
        "/spot/orders?": [GATE_OPEN],
    },
    "bitget": {
        "/spot/account/assets": in_bitget(
            [
                {"coin": "BTC", "available": "0.3995", "frozen": "0.1", "locked": "0"},
                {"coin": "USDT", "available": "75000", "frozen": "0", "locked": "0"},
            ]
        ),
        "/trade/fills": in_bitget([BITGET_FILL]),
        "/trade/orderInfo": in_bitget([BITGET_ORDER]),
        "/trade/unfilled-orders": in_bitget([BITGET_OPEN]),
    },
    "coinbase": {
        "/brokerage/accounts": {
            "accounts": [
                held_on_coinbase("BTC", "0.3995", "0.1"),
                held_on_coinbase("USDT", "75000", "0"),
            ],
            "has_next": False,
            "cursor": "",
        },
        "/orders/historical/fills": {"fills": [COINBASE_FILL], "cursor": ""},
        f"/orders/historical/{THEIRS}": {"order": COINBASE_ORDER},
        "/orders/historical/batch": {"orders": [COINBASE_OPEN], "has_next": False, "cursor": ""},
    },
}
