"""The paths of the spot dialect over REST, and what answers each.

Belongs here: the table. HTTP itself belongs in rest, what a request means in public and trading.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daemon.embedded.public import PublicData
from daemon.embedded.trading import Trading

Handler = Callable[[dict[str, str]], object]
Routes = dict[tuple[str, str], "Route"]
SYSTEM_STATUS = "/sapi/v1/system/status"


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a path; `is_order` requests count against the order limits, `is_keyed`
    ones need the key alone."""

    handler: Handler
    weight: int
    is_signed: bool = False
    is_order: bool = False
    weight_all: int = 0
    is_keyed: bool = False
    is_candles: bool = False


def public_routes(public: PublicData) -> dict[tuple[str, str], Route]:
    """Unsigned requests; `weight_all` holds when no symbol is given."""
    return {
        ("GET", "/api/v3/ping"): Route(public.ping, 1),
        ("GET", "/api/v3/time"): Route(public.time, 1),
        ("GET", "/api/v3/exchangeInfo"): Route(public.exchange_info, 20),
        ("GET", "/api/v3/klines"): Route(public.klines, 2, is_candles=True),
        ("GET", "/api/v3/uiKlines"): Route(public.klines, 2, is_candles=True),
        ("GET", "/api/v3/depth"): Route(public.depth, 5),
        ("GET", "/api/v3/ticker/24hr"): Route(public.day, 2, weight_all=80),
        ("GET", "/api/v3/ticker/bookTicker"): Route(public.book_ticker, 2, weight_all=4),
        ("GET", "/api/v3/ticker/price"): Route(public.price, 2, weight_all=4),
        ("GET", "/api/v3/trades"): Route(public.trades, 25),
        ("GET", "/api/v3/aggTrades"): Route(public.aggregate_trades, 4),
        ("GET", SYSTEM_STATUS): Route(public.system_status, 1),
    }


def private_routes(trading: Trading) -> dict[tuple[str, str], Route]:
    order = "/api/v3/order"
    return {
        ("POST", order): Route(trading.place, 1, is_signed=True, is_order=True),
        ("GET", order): Route(trading.query, 4, is_signed=True),
        ("DELETE", order): Route(trading.cancel, 1, is_signed=True),
        ("POST", "/api/v3/order/test"): Route(trading.test, 1, is_signed=True),
        ("GET", "/api/v3/openOrders"): Route(trading.open_orders, 6, is_signed=True, weight_all=80),
        ("DELETE", "/api/v3/openOrders"): Route(trading.cancel_all, 1, is_signed=True),
        ("GET", "/api/v3/allOrders"): Route(trading.all_orders, 20, is_signed=True),
        ("GET", "/api/v3/myTrades"): Route(trading.my_trades, 20, is_signed=True),
        ("GET", "/api/v3/account"): Route(trading.account, 20, is_signed=True),
        ("GET", "/sapi/v1/account/apiRestrictions"): Route(trading.restrictions, 1, is_signed=True),
        ("GET", "/sapi/v1/asset/tradeFee"): Route(trading.trade_fees, 1, is_signed=True),
    }
