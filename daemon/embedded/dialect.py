"""Market data in the dialect: turns bars, steps and books into the payloads of Binance spot.

Belongs here: shapes of public data. Shapes of orders belong in dialect_orders, which data a request
means in rest.
"""

from decimal import Decimal

from daemon.embedded.account import ZERO, OrderType
from daemon.embedded.filters import filter_payloads
from daemon.embedded.market import MarketBar, MarketSymbol
from daemon.embedded.tape import Step

Payload = dict[str, object]
Levels = list[tuple[Decimal, Decimal]]
DECIMALS = 8


def fixed(value: Decimal) -> str:
    """Exact text with at least eight decimals and never an exponent."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        return f"{value:f}"
    return f"{value:.8f}"


def rounded(value: Decimal) -> str:
    """Text with exactly eight decimals, for statistics that nobody books."""
    return f"{value:.8f}"


def symbol_payload(symbol: MarketSymbol, *, is_trading: bool) -> Payload:
    return {
        "symbol": symbol.id,
        "status": "TRADING" if is_trading else "BREAK",
        "baseAsset": symbol.base,
        "baseAssetPrecision": DECIMALS,
        "quoteAsset": symbol.quote,
        "quotePrecision": DECIMALS,
        "quoteAssetPrecision": DECIMALS,
        "baseCommissionPrecision": DECIMALS,
        "quoteCommissionPrecision": DECIMALS,
        "orderTypes": list(OrderType),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filter_payloads(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def quote_volume(bar: MarketBar) -> Decimal:
    """Markets state base volume only: it is valued at the mean of open, high, low and close."""
    return bar.volume * (bar.open + bar.high + bar.low + bar.close) / 4


def candle_row(bar: MarketBar, length_ms: int) -> list[object]:
    """A row of /klines; the taker side of the volume is not known and stated as half."""
    quote = quote_volume(bar)
    return [
        bar.open_ms,
        fixed(bar.open),
        fixed(bar.high),
        fixed(bar.low),
        fixed(bar.close),
        fixed(bar.volume),
        bar.open_ms + length_ms - 1,
        rounded(quote),
        bar.trades,
        rounded(bar.volume / 2),
        rounded(quote / 2),
        "0",
    ]


def candle_event(
    symbol_id: str, interval: str, length_ms: int, bar: MarketBar, *, is_closed: bool, event_ms: int
) -> Payload:
    row = candle_row(bar, length_ms)
    return {
        "e": "kline",
        "E": event_ms,
        "s": symbol_id,
        "k": {
            "t": row[0],
            "T": row[6],
            "s": symbol_id,
            "i": interval,
            "f": -1,
            "L": -1,
            "o": row[1],
            "c": row[4],
            "h": row[2],
            "l": row[3],
            "v": row[5],
            "n": row[8],
            "x": is_closed,
            "q": row[7],
            "V": row[9],
            "Q": row[10],
            "B": "0",
        },
    }


def is_seller_taker(step: Step) -> bool:
    """Who was the taker of a public trade is not known; it alternates."""
    return step.index % 2 == 1


def trade_event(step: Step, event_ms: int) -> Payload:
    return {
        "e": "trade",
        "E": event_ms,
        "s": step.symbol_id,
        "t": step.trade_id,
        "p": fixed(step.price),
        "q": fixed(step.volume),
        "T": step.ts_ms,
        "m": is_seller_taker(step),
        "M": True,
    }


def aggregate_event(step: Step, event_ms: int) -> Payload:
    return {"e": "aggTrade", "E": event_ms, "s": step.symbol_id, **aggregate_row(step)}


def aggregate_row(step: Step) -> Payload:
    return {
        "a": step.trade_id,
        "p": fixed(step.price),
        "q": fixed(step.volume),
        "f": step.trade_id,
        "l": step.trade_id,
        "T": step.ts_ms,
        "m": is_seller_taker(step),
        "M": True,
    }


def trade_row(step: Step) -> Payload:
    return {
        "id": step.trade_id,
        "price": fixed(step.price),
        "qty": fixed(step.volume),
        "quoteQty": rounded(step.price * step.volume),
        "time": step.ts_ms,
        "isBuyerMaker": is_seller_taker(step),
        "isBestMatch": True,
    }


def level_rows(levels: Levels, limit: int | None = None) -> list[list[str]]:
    return [[fixed(price), fixed(quantity)] for price, quantity in levels[:limit]]


def best_level(levels: Levels) -> tuple[str, str]:
    """Price and quantity of the best level; zeros for an empty side."""
    price, quantity = levels[0] if levels else (ZERO, ZERO)
    return fixed(price), fixed(quantity)


def day_payload(
    symbol_id: str, day: MarketBar, close_ms: int, bids: Levels, asks: Levels
) -> Payload:
    """The 24 hour statistics of /ticker/24hr out of one bar that covers them."""
    change = day.close - day.open
    change_ratio = change / day.open if day.open else ZERO
    average = quote_volume(day) / day.volume if day.volume else day.close
    bid, bid_quantity = best_level(bids)
    ask, ask_quantity = best_level(asks)
    return {
        "symbol": symbol_id,
        "priceChange": fixed(change),
        "priceChangePercent": f"{change_ratio * 100:.3f}",
        "weightedAvgPrice": rounded(average),
        "prevClosePrice": fixed(day.open),
        "lastPrice": fixed(day.close),
        "lastQty": fixed(ZERO),
        "bidPrice": bid,
        "bidQty": bid_quantity,
        "askPrice": ask,
        "askQty": ask_quantity,
        "openPrice": fixed(day.open),
        "highPrice": fixed(day.high),
        "lowPrice": fixed(day.low),
        "volume": fixed(day.volume),
        "quoteVolume": rounded(quote_volume(day)),
        "openTime": day.open_ms,
        "closeTime": close_ms,
        "firstId": -1,
        "lastId": -1,
        "count": day.trades,
    }


def ticker_event(day: Payload, event_ms: int) -> Payload:
    """The <symbol>@ticker event out of a /ticker/24hr payload."""
    names = {
        "s": "symbol",
        "p": "priceChange",
        "P": "priceChangePercent",
        "w": "weightedAvgPrice",
        "x": "prevClosePrice",
        "c": "lastPrice",
        "Q": "lastQty",
        "b": "bidPrice",
        "B": "bidQty",
        "a": "askPrice",
        "A": "askQty",
        "o": "openPrice",
        "h": "highPrice",
        "l": "lowPrice",
        "v": "volume",
        "q": "quoteVolume",
        "O": "openTime",
        "C": "closeTime",
        "F": "firstId",
        "L": "lastId",
        "n": "count",
    }
    return {"e": "24hrTicker", "E": event_ms} | {short: day[name] for short, name in names.items()}


def mini_ticker_event(day: Payload, event_ms: int) -> Payload:
    """The <symbol>@miniTicker event out of a /ticker/24hr payload."""
    full = ticker_event(day, event_ms)
    return {"e": "24hrMiniTicker"} | {
        name: full[name] for name in ("E", "s", "c", "o", "h", "l", "v", "q")
    }
