"""The ledger's tables, and orders and fills as rows of them.

Belongs here: column names and conversions; Decimals are kept as text. Transactions and queries
belong in ledger.
"""

from dataclasses import fields
from decimal import Decimal
from typing import Any

from daemon.embedded.account import Fill, Order, OrderStatus, OrderType, Side, TimeInForce

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS balances (
    asset TEXT PRIMARY KEY, free TEXT NOT NULL, locked TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    order_id INTEGER PRIMARY KEY, client_order_id TEXT NOT NULL, symbol_id TEXT NOT NULL,
    side TEXT NOT NULL, type TEXT NOT NULL, time_in_force TEXT NOT NULL, price TEXT NOT NULL,
    quantity TEXT NOT NULL, quote_quantity TEXT NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, working_ms INTEGER NOT NULL,
    stop_price TEXT NOT NULL, executed TEXT NOT NULL, cumulative_quote TEXT NOT NULL,
    locked TEXT NOT NULL, status TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_client ON orders (symbol_id, client_order_id);
CREATE INDEX IF NOT EXISTS orders_by_status ON orders (status);
CREATE TABLE IF NOT EXISTS fills (
    trade_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, client_order_id TEXT NOT NULL,
    symbol_id TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, quantity TEXT NOT NULL,
    fee TEXT NOT NULL, fee_asset TEXT NOT NULL, ts_ms INTEGER NOT NULL, wire_ms INTEGER NOT NULL,
    is_maker INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS flows (
    flow_id INTEGER PRIMARY KEY, asset TEXT NOT NULL, amount TEXT NOT NULL, ts_ms INTEGER NOT NULL,
    wire_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS fills_by_order ON fills (order_id);
CREATE INDEX IF NOT EXISTS fills_by_time ON fills (symbol_id, ts_ms);
"""
# Columns that older ledgers lack, by table and name: their orders were all on the book from the
# start and without a stop, and nobody wrote down when they came by the wall's clock.
ADDED_COLUMNS = {
    ("orders", "received_ms"): (
        "ALTER TABLE orders ADD COLUMN received_ms INTEGER NOT NULL DEFAULT 0",
    ),
    ("orders", "working_ms"): (
        "ALTER TABLE orders ADD COLUMN working_ms INTEGER NOT NULL DEFAULT 0",
        "UPDATE orders SET working_ms = created_ms",
    ),
    ("orders", "stop_price"): (
        "ALTER TABLE orders ADD COLUMN stop_price TEXT NOT NULL DEFAULT '0'",
    ),
    ("fills", "wire_ms"): ("ALTER TABLE fills ADD COLUMN wire_ms INTEGER NOT NULL DEFAULT 0",),
}
INCIDENTS = """
CREATE TABLE IF NOT EXISTS incidents (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, ts_ms INTEGER NOT NULL, wire_ms INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""
_ORDER_NAMES = tuple(each.name for each in fields(Order))
_FILL_NAMES = tuple(each.name for each in fields(Fill))
_ORDER_COLUMNS = ", ".join(_ORDER_NAMES)
_FILL_COLUMNS = ", ".join(_FILL_NAMES)
_ORDER_MARKS = ", ".join("?" * len(_ORDER_NAMES))
_FILL_MARKS = ", ".join("?" * len(_FILL_NAMES))
# Only the names of our own columns are put into the text; values always travel as parameters.
WRITE_ORDER = f"REPLACE INTO orders ({_ORDER_COLUMNS}) VALUES ({_ORDER_MARKS})"  # noqa: S608
WRITE_FILL = f"INSERT INTO fills ({_FILL_COLUMNS}) VALUES ({_FILL_MARKS})"  # noqa: S608
READ_ORDERS = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE"  # noqa: S608
READ_FILLS = f"SELECT {_FILL_COLUMNS} FROM fills WHERE"  # noqa: S608


def order_row(order: Order) -> tuple[object, ...]:
    return tuple(_stored(getattr(order, name)) for name in _ORDER_NAMES)


def fill_row(fill: Fill) -> tuple[object, ...]:
    return tuple(_stored(getattr(fill, name)) for name in _FILL_NAMES)


def order_from(row: tuple[Any, ...]) -> Order:
    values = dict(zip(_ORDER_NAMES, row, strict=True))
    return Order(
        order_id=values["order_id"],
        client_order_id=values["client_order_id"],
        symbol_id=values["symbol_id"],
        side=Side(values["side"]),
        type=OrderType(values["type"]),
        time_in_force=TimeInForce(values["time_in_force"]),
        price=Decimal(values["price"]),
        quantity=Decimal(values["quantity"]),
        quote_quantity=Decimal(values["quote_quantity"]),
        created_ms=values["created_ms"],
        updated_ms=values["updated_ms"],
        received_ms=values["received_ms"],
        working_ms=values["working_ms"],
        stop_price=Decimal(values["stop_price"]),
        executed=Decimal(values["executed"]),
        cumulative_quote=Decimal(values["cumulative_quote"]),
        locked=Decimal(values["locked"]),
        status=OrderStatus(values["status"]),
    )


def fill_from(row: tuple[Any, ...]) -> Fill:
    values = dict(zip(_FILL_NAMES, row, strict=True))
    return Fill(
        trade_id=values["trade_id"],
        order_id=values["order_id"],
        client_order_id=values["client_order_id"],
        symbol_id=values["symbol_id"],
        side=Side(values["side"]),
        price=Decimal(values["price"]),
        quantity=Decimal(values["quantity"]),
        fee=Decimal(values["fee"]),
        fee_asset=values["fee_asset"],
        ts_ms=values["ts_ms"],
        wire_ms=values["wire_ms"],
        is_maker=bool(values["is_maker"]),
    )


def _stored(value: object) -> object:
    if isinstance(value, Decimal | bool):
        return str(value) if isinstance(value, Decimal) else int(value)
    return value
