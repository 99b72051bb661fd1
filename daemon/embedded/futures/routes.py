"""The paths of the fapi dialect over REST, and what answers each.

Belongs here: the table. What a request means belongs in public, trading, portfolio and
user_stream.
"""

from daemon.embedded.futures.portfolio import SwapPortfolio
from daemon.embedded.futures.public import SwapPublic
from daemon.embedded.futures.trading import SwapTrading
from daemon.embedded.futures.user_stream import SwapUserStream
from daemon.embedded.routes import SYSTEM_STATUS, Handler, Route, Routes

V1, V2, V3 = "/fapi/v1", "/fapi/v2", "/fapi/v3"
ORDERS = frozenset({("POST", f"{V1}/order"), ("POST", f"{V1}/algoOrder")})


def swap_routes(
    public: SwapPublic,
    trading: SwapTrading,
    portfolio: SwapPortfolio,
    user_stream: SwapUserStream,
) -> Routes:
    """Everything the fapi dialect answers here."""
    listen = f"{V1}/listenKey"
    signed = [*_orders(trading), *_account(portfolio)]
    return {
        **_public(public),
        **{
            (method, path): Route(
                handler, weight, is_signed=True, is_order=(method, path) in ORDERS
            )
            for method, path, handler, weight in signed
        },
        ("POST", listen): Route(user_stream.create, 1, is_keyed=True),
        ("PUT", listen): Route(user_stream.keep_alive, 1, is_keyed=True),
        ("DELETE", listen): Route(user_stream.end, 1, is_keyed=True),
    }


def _public(public: SwapPublic) -> Routes:
    return {
        ("GET", f"{V1}/ping"): Route(public.ping, 1),
        ("GET", f"{V1}/time"): Route(public.time, 1),
        ("GET", f"{V1}/exchangeInfo"): Route(public.exchange_info, 1),
        ("GET", f"{V1}/klines"): Route(public.klines, 2, is_candles=True),
        ("GET", f"{V1}/depth"): Route(public.depth, 5),
        ("GET", f"{V1}/ticker/24hr"): Route(public.day, 1, weight_all=40),
        ("GET", f"{V1}/ticker/bookTicker"): Route(public.book_ticker, 2, weight_all=5),
        ("GET", f"{V1}/ticker/price"): Route(public.price, 1, weight_all=2),
        ("GET", f"{V2}/ticker/price"): Route(public.price, 1, weight_all=2),
        ("GET", f"{V1}/trades"): Route(public.trades, 5),
        ("GET", f"{V1}/aggTrades"): Route(public.aggregate_trades, 20),
        ("GET", f"{V1}/premiumIndex"): Route(public.premium_index, 1, weight_all=10),
        ("GET", f"{V1}/fundingRate"): Route(public.funding_rates, 1),
        ("GET", f"{V1}/fundingInfo"): Route(public.funding_info, 1),
        ("GET", SYSTEM_STATUS): Route(public.system_status, 1),
    }


def _orders(trading: SwapTrading) -> list[tuple[str, str, Handler, int]]:
    return [
        ("POST", f"{V1}/order", trading.place, 1),
        ("GET", f"{V1}/order", trading.query, 1),
        ("DELETE", f"{V1}/order", trading.cancel, 1),
        ("POST", f"{V1}/order/test", trading.test, 1),
        ("GET", f"{V1}/openOrder", trading.open_order, 1),
        ("GET", f"{V1}/openOrders", trading.open_orders, 1),
        ("DELETE", f"{V1}/allOpenOrders", trading.cancel_all, 1),
        ("GET", f"{V1}/allOrders", trading.all_orders, 5),
        ("GET", f"{V1}/userTrades", trading.trades, 5),
        ("POST", f"{V1}/algoOrder", trading.place_algo, 1),
        ("GET", f"{V1}/algoOrder", trading.query_algo, 1),
        ("DELETE", f"{V1}/algoOrder", trading.cancel_algo, 1),
        ("GET", f"{V1}/openAlgoOrders", trading.open_algos, 1),
        ("DELETE", f"{V1}/algoOpenOrders", trading.cancel_algos, 1),
        ("GET", f"{V1}/allAlgoOrders", trading.all_algos, 5),
    ]


def _account(portfolio: SwapPortfolio) -> list[tuple[str, str, Handler, int]]:
    return [
        ("GET", f"{V2}/account", portfolio.account, 5),
        ("GET", f"{V3}/account", portfolio.account, 5),
        ("GET", f"{V2}/balance", portfolio.balance, 5),
        ("GET", f"{V3}/balance", portfolio.balance, 5),
        ("GET", f"{V2}/positionRisk", portfolio.all_positions, 5),
        ("GET", f"{V3}/positionRisk", portfolio.positions, 5),
        ("POST", f"{V1}/leverage", portfolio.set_leverage, 1),
        ("POST", f"{V1}/marginType", portfolio.set_margin_type, 1),
        ("GET", f"{V1}/positionSide/dual", portfolio.position_mode, 30),
        ("POST", f"{V1}/positionSide/dual", portfolio.set_position_mode, 1),
        ("GET", f"{V1}/multiAssetsMargin", portfolio.assets_mode, 30),
        ("GET", f"{V1}/accountConfig", portfolio.account_config, 5),
        ("GET", f"{V1}/income", portfolio.incomes, 30),
        ("GET", f"{V1}/leverageBracket", portfolio.brackets, 1),
        ("GET", f"{V1}/symbolConfig", portfolio.symbol_config, 5),
        ("GET", f"{V1}/commissionRate", portfolio.commission, 20),
        ("GET", "/sapi/v1/account/apiRestrictions", portfolio.restrictions, 1),
    ]
