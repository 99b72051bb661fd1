"""The spot account as an auditor wants to see it: everything that was written down, in exact texts.

Belongs here: rows of orders, fills and flows. The endpoint that shows them belongs in control.
"""

from collections.abc import Iterable, Mapping

from daemon.core.instruments import plain
from daemon.embedded.account import NOT_WORKING, Fill, Order
from daemon.embedded.dialect import Payload
from daemon.embedded.exchange import Exchange
from daemon.embedded.ledger import ALL_ROWS, FillQuery, OrderQuery
from daemon.embedded.market import MarketSymbol


def spot_books(exchange: Exchange) -> Payload:
    """Balances, orders, fills and flows; amounts are exact decimal texts."""
    ledger, symbols = exchange.ledger, exchange.market.symbols
    orders = ledger.orders(OrderQuery(limit=ALL_ROWS))
    fills = ledger.fills(FillQuery(limit=ALL_ROWS))
    return {
        "balances_start": {asset: plain(amount) for asset, amount in ledger.balances_start.items()},
        "balances": {
            asset: {"free": plain(each.free), "locked": plain(each.locked)}
            for asset, each in ledger.balances().items()
        },
        "orders": list(_order_rows(orders, symbols)),
        "fills": list(_fill_rows(fills, symbols)),
        "flows": [
            {
                "asset": each.asset,
                "amount": plain(each.amount),
                "ts_ms": each.ts_ms,
                "wire_ms": each.wire_ms,
            }
            for each in ledger.flows()
        ],
    }


def _order_rows(orders: Iterable[Order], symbols: Mapping[str, MarketSymbol]) -> Iterable[Payload]:
    for order in orders:
        yield {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "symbol": symbols[order.symbol_id].symbol,
            "side": order.side.lower(),
            "type": order.type.lower(),
            "time_in_force": order.time_in_force,
            "status": order.status.lower(),
            "price": plain(order.price),
            "stop_price": plain(order.stop_price),
            "quantity": plain(order.quantity),
            "quote_quantity": plain(order.quote_quantity),
            "filled_quantity": plain(order.executed),
            "filled_quote": plain(order.cumulative_quote),
            "locked": plain(order.locked),
            "received_ms": order.received_ms,
            "created_ms": order.created_ms,
            "updated_ms": order.updated_ms,
            "working_ms": None if order.working_ms == NOT_WORKING else order.working_ms,
        }


def _fill_rows(fills: Iterable[Fill], symbols: Mapping[str, MarketSymbol]) -> Iterable[Payload]:
    for fill in fills:
        yield {
            "trade_id": fill.trade_id,
            "order_id": fill.order_id,
            "client_order_id": fill.client_order_id,
            "symbol": symbols[fill.symbol_id].symbol,
            "side": fill.side.lower(),
            "price": plain(fill.price),
            "quantity": plain(fill.quantity),
            "fee": plain(fill.fee),
            "fee_currency": fill.fee_asset,
            "ts_ms": fill.ts_ms,
            "wire_ms": fill.wire_ms,
            "is_maker": fill.is_maker,
        }
