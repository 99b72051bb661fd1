"""The trading rules of a symbol: states them as Binance filters and refuses orders that break one.

Belongs here: price, lot and notional rules. Balance and book decide in matching.
"""

from decimal import Decimal

from daemon.embedded.account import MONEY, OrderRequest
from daemon.embedded.market import MarketSymbol
from daemon.embedded.refusals import RequestError, filter_failure

PRICE_MAX = Decimal(10_000_000)
QUANTITY_MAX = Decimal(9_000_000)
MARKET_QUANTITY_MAX = Decimal(1_000_000)
NOTIONAL_MAX = Decimal(900_000_000)
OPEN_ORDERS_MAX = 200
WAITING_STOPS_MAX = 5
DECIMALS_MAX = 8


def check_filters(
    symbol: MarketSymbol,
    request: OrderRequest,
    last_price: Decimal,
    *,
    open_orders: int,
    waiting_stops: int,
) -> None:
    """Raise the RequestError of the first rule that `request` breaks; market orders are valued
    at `last_price` (quote per base)."""
    _check_precision(request)
    for price in (request.price, request.stop_price):
        if price is not None:
            _check_price(symbol, price)
    if request.quantity is not None:
        _check_quantity(symbol, request.quantity, is_market=not request.type.has_limit)
    _check_notional(symbol, request, last_price)
    if open_orders >= OPEN_ORDERS_MAX:
        raise filter_failure("MAX_NUM_ORDERS")
    if request.type.is_stop and waiting_stops >= WAITING_STOPS_MAX:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")


def _check_precision(request: OrderRequest) -> None:
    for name, value in (
        ("price", request.price),
        ("stopPrice", request.stop_price),
        ("quantity", request.quantity),
        ("quoteOrderQty", request.quote_quantity),
    ):
        exponent = 0 if value is None else value.normalize(MONEY).as_tuple().exponent
        if isinstance(exponent, int) and exponent < -DECIMALS_MAX:
            raise RequestError(-1111, f"Parameter '{name}' has too much precision.")


def _check_price(symbol: MarketSymbol, price: Decimal) -> None:
    if price <= 0:
        raise RequestError(-1013, "Invalid price.")
    if price < symbol.tick or price > PRICE_MAX or not is_multiple(price, symbol.tick):
        raise filter_failure("PRICE_FILTER")


def _check_quantity(symbol: MarketSymbol, quantity: Decimal, *, is_market: bool) -> None:
    if quantity <= 0:
        raise RequestError(-1013, "Invalid quantity.")
    if quantity < symbol.minimum_quantity or quantity > QUANTITY_MAX:
        raise filter_failure("LOT_SIZE")
    if not is_multiple(quantity, symbol.lot):
        raise filter_failure("LOT_SIZE")
    if is_market and quantity > MARKET_QUANTITY_MAX:
        raise filter_failure("MARKET_LOT_SIZE")


def _check_notional(symbol: MarketSymbol, request: OrderRequest, last_price: Decimal) -> None:
    if request.quote_quantity is not None:
        if request.quote_quantity <= 0:
            raise RequestError(-1013, "Invalid quantity.")
        notional = request.quote_quantity
    else:
        assert request.quantity is not None, "an order has a quantity or a quote quantity"
        notional = MONEY.multiply(request.quantity, request.price or last_price)
    if notional < symbol.minimum_notional or notional > NOTIONAL_MAX:
        raise filter_failure("NOTIONAL")


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return not MONEY.remainder(value, step)


def filter_payloads(symbol: MarketSymbol) -> list[dict[str, object]]:
    """The filters as exchangeInfo lists them."""
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{symbol.tick:f}",
            "maxPrice": f"{PRICE_MAX:f}",
            "tickSize": f"{symbol.tick:f}",
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": f"{symbol.minimum_quantity:f}",
            "maxQty": f"{QUANTITY_MAX:f}",
            "stepSize": f"{symbol.lot:f}",
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": f"{symbol.minimum_quantity:f}",
            "maxQty": f"{MARKET_QUANTITY_MAX:f}",
            "stepSize": f"{symbol.lot:f}",
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": f"{symbol.minimum_notional:f}",
            "applyMinToMarket": True,
            "maxNotional": f"{NOTIONAL_MAX:f}",
            "applyMaxToMarket": True,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": OPEN_ORDERS_MAX},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": WAITING_STOPS_MAX},
    ]
