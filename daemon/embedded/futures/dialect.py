"""The fapi dialect: turns swap symbols, orders, positions and incomes into Binance USDⓈ-M payloads.

Belongs here: shapes. Which data a request means belongs in public and trading of this folder.
"""

from collections.abc import Mapping
from decimal import Decimal

from daemon.embedded.account import OrderType
from daemon.embedded.dialect import DECIMALS, Payload, fixed
from daemon.embedded.filters import OPEN_ORDERS_MAX
from daemon.embedded.futures.account import (
    Algo,
    Income,
    SwapFill,
    SwapOrder,
    SwapPosition,
)
from daemon.embedded.futures.rules import ALGOS_MAX, PRICE_MAX, QUANTITY_MAX
from daemon.embedded.futures.terms import (
    BRACKETS,
    LIQUIDATION_FEE_RATIO,
    maintenance_margin,
    notional_max,
)
from daemon.embedded.market import MarketSymbol

NEVER_MS = 4_133_404_800_000
ONBOARD_MS = 1_569_398_400_000
SELF_TRADE_MODE = "EXPIRE_MAKER"
ALGO_TYPES: Mapping[str, OrderType] = {
    "STOP_MARKET": OrderType.STOP_LOSS,
    "STOP": OrderType.STOP_LOSS_LIMIT,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT_LIMIT,
}
ALGO_NAMES = {kind: name for name, kind in ALGO_TYPES.items()}


def swap_payload(symbol: MarketSymbol, *, is_trading: bool) -> Payload:
    return {
        "symbol": symbol.id,
        "pair": symbol.id,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING" if is_trading else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": _places(symbol.tick),
        "quantityPrecision": _places(symbol.lot),
        "baseAssetPrecision": DECIMALS,
        "quotePrecision": DECIMALS,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": fixed(LIQUIDATION_FEE_RATIO),
        "marketTakeBound": "0.05",
        "filters": _filters(symbol),
        "orderTypes": ["LIMIT", "MARKET", *ALGO_TYPES],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def order_payload(order: SwapOrder) -> Payload:
    average = order.cumulative_quote / order.executed if order.executed else Decimal(0)
    return {
        "orderId": order.order_id,
        "symbol": order.symbol_id,
        "status": order.status,
        "clientOrderId": order.client_order_id,
        "price": fixed(order.price),
        "avgPrice": f"{average:.8f}",
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.executed),
        "cumQty": fixed(order.executed),
        "cumQuote": fixed(order.cumulative_quote),
        "timeInForce": _time_in_force(order),
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": fixed(Decimal(0)),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIQUIDATION" if order.is_liquidation else order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "goodTillDate": 0,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def fill_payload(fill: SwapFill) -> Payload:
    """A row of /userTrades; like the real one it does not carry the client order id."""
    return {
        "symbol": fill.symbol_id,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": fixed(fill.price),
        "qty": fixed(fill.quantity),
        "realizedPnl": fixed(fill.realized),
        "quoteQty": fixed(fill.price * fill.quantity),
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "marginAsset": fill.fee_asset,
        "time": fill.ts_ms,
        "positionSide": "BOTH",
        "buyer": fill.side == "BUY",
        "maker": fill.is_maker,
    }


def algo_payload(algo: Algo) -> Payload:
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": ALGO_NAMES[algo.type],
        "symbol": algo.symbol_id,
        "side": algo.side,
        "positionSide": "BOTH",
        "timeInForce": algo.time_in_force,
        "quantity": fixed(algo.quantity),
        "algoStatus": algo.status,
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
        "triggerPrice": fixed(algo.trigger_price),
        "price": fixed(algo.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": False,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }


def position_payload(position: SwapPosition, mark: Decimal, order_margin: Decimal) -> Payload:
    """A row of positionRisk, with what version 2 and version 3 tell together."""
    notional = position.notional(mark)
    unrealized = position.unrealized(mark)
    margin = abs(notional) / position.leverage
    return {
        "symbol": position.symbol_id,
        "positionSide": "BOTH",
        "positionAmt": fixed(position.quantity),
        "entryPrice": f"{position.entry_price:.8f}",
        "breakEvenPrice": f"{position.entry_price:.8f}",
        "markPrice": fixed(mark),
        "unRealizedProfit": f"{unrealized:.8f}",
        "liquidationPrice": f"{position.liquidation_price(mark):.8f}" if position.quantity else "0",
        "isolatedMargin": f"{position.wallet + unrealized:.8f}" if position.quantity else "0",
        "notional": f"{notional:.8f}",
        "marginAsset": position.asset,
        "isolatedWallet": fixed(position.wallet),
        "initialMargin": f"{margin + order_margin:.8f}",
        "maintMargin": f"{maintenance_margin(notional) if position.quantity else 0:.8f}",
        "positionInitialMargin": f"{margin:.8f}",
        "openOrderInitialMargin": f"{order_margin:.8f}",
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": position.updated_ms,
        "leverage": str(position.leverage),
        "maxNotionalValue": f"{notional_max(position.leverage):f}",
        "marginType": "isolated",
        "isAutoAddMargin": "false",
        "isolated": True,
    }


def income_payload(income: Income) -> Payload:
    return {
        "symbol": income.symbol_id,
        "incomeType": income.kind,
        "income": fixed(income.amount),
        "asset": income.asset,
        "time": income.ts_ms,
        "info": income.kind if income.trade_id is None else str(income.trade_id),
        "tranId": income.tran_id,
        "tradeId": "" if income.trade_id is None else str(income.trade_id),
    }


def brackets_payload(symbol_id: str) -> Payload:
    return {
        "symbol": symbol_id,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": each.number,
                "initialLeverage": each.leverage_max,
                "notionalCap": int(each.cap),
                "notionalFloor": int(each.floor),
                "maintMarginRatio": float(each.maintenance_ratio),
                "cum": float(each.cum),
            }
            for each in BRACKETS
        ],
    }


def _time_in_force(order: SwapOrder) -> str:
    return "GTX" if order.is_post_only else order.time_in_force


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _filters(symbol: MarketSymbol) -> list[Payload]:
    quantity = {
        "minQty": f"{symbol.minimum_quantity:f}",
        "maxQty": f"{QUANTITY_MAX:f}",
        "stepSize": f"{symbol.lot:f}",
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{symbol.tick:f}",
            "maxPrice": f"{PRICE_MAX:f}",
            "tickSize": f"{symbol.tick:f}",
        },
        {"filterType": "LOT_SIZE", **quantity},
        {"filterType": "MARKET_LOT_SIZE", **quantity},
        {"filterType": "MAX_NUM_ORDERS", "limit": OPEN_ORDERS_MAX},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": ALGOS_MAX},
        {"filterType": "MIN_NOTIONAL", "notional": f"{symbol.minimum_notional:f}"},
    ]
