"""The swap account as an auditor wants to see it: everything that was written down, in exact texts.

Belongs here: rows. The endpoint that shows them belongs in control.
"""

from daemon.core.instruments import plain
from daemon.embedded.dialect import Payload
from daemon.embedded.futures.account import Algo, Income, SwapFill, SwapOrder, SwapPosition
from daemon.embedded.futures.dialect import ALGO_NAMES
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.ledger import ALL_ROWS, FillQuery, OrderQuery


def swap_books(exchange: SwapExchange) -> Payload:
    """Money, positions, orders, fills, conditional orders and incomes.

    The start balances and all incomes come to `money` and the wallets of positions together.
    """
    ledger = exchange.ledger
    names = {each.id: each.symbol for each in exchange.market.symbols.values()}
    orders = ledger.orders(OrderQuery(limit=ALL_ROWS))
    fills = ledger.fills(FillQuery(limit=ALL_ROWS))
    return {
        "balances_start": {asset: plain(each) for asset, each in ledger.balances_start.items()},
        "money": {asset: plain(each) for asset, each in ledger.money().items()},
        "positions": [_position(each, names) for each in ledger.positions().values()],
        "orders": [_order(each, names) for each in orders],
        "fills": [_fill(each, names) for each in fills],
        "algos": [_algo(each, names) for each in ledger.algos(None, ALL_ROWS)],
        "incomes": [_income(each, names) for each in ledger.incomes()],
    }


def _position(position: SwapPosition, names: dict[str, str]) -> Payload:
    return {
        "symbol": names[position.symbol_id],
        "quantity": plain(position.quantity),
        "cost": f"{position.cost:f}",
        "wallet": f"{position.wallet:f}",
        "leverage": position.leverage,
        "realized": plain(position.realized),
    }


def _order(order: SwapOrder, names: dict[str, str]) -> Payload:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": names[order.symbol_id],
        "side": order.side.lower(),
        "type": order.type.lower(),
        "status": order.status.lower(),
        "price": plain(order.price),
        "quantity": plain(order.quantity),
        "filled_quantity": plain(order.executed),
        "filled_quote": plain(order.cumulative_quote),
        "reduce_only": order.reduce_only,
        "is_liquidation": order.is_liquidation,
        "realized": plain(order.realized),
        "received_ms": order.received_ms,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def _fill(fill: SwapFill, names: dict[str, str]) -> Payload:
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "symbol": names[fill.symbol_id],
        "side": fill.side.lower(),
        "price": plain(fill.price),
        "quantity": plain(fill.quantity),
        "realized": plain(fill.realized),
        "fee": plain(fill.fee),
        "fee_currency": fill.fee_asset,
        "ts_ms": fill.ts_ms,
        "wire_ms": fill.wire_ms,
        "is_maker": fill.is_maker,
    }


def _algo(algo: Algo, names: dict[str, str]) -> Payload:
    return {
        "algo_id": algo.algo_id,
        "client_algo_id": algo.client_algo_id,
        "symbol": names[algo.symbol_id],
        "side": algo.side.lower(),
        "type": ALGO_NAMES[algo.type].lower(),
        "status": algo.status.lower(),
        "reason": algo.reason,
        "quantity": plain(algo.quantity),
        "price": plain(algo.price),
        "trigger_price": plain(algo.trigger_price),
        "reduce_only": algo.reduce_only,
        "close_position": algo.close_position,
        "order_id": algo.order_id or None,
        "received_ms": algo.received_ms,
        "created_ms": algo.created_ms,
        "updated_ms": algo.updated_ms,
    }


def _income(income: Income, names: dict[str, str]) -> Payload:
    return {
        "tran_id": income.tran_id,
        "kind": income.kind.lower(),
        "asset": income.asset,
        "amount": plain(income.amount),
        "symbol": names.get(income.symbol_id),
        "trade_id": income.trade_id,
        "ts_ms": income.ts_ms,
        "wire_ms": income.wire_ms,
    }
