"""The ledger of a swap account in SQLite: orders, fills, positions, money, incomes, algos.

Belongs here: what survives a kill. Every change is one transaction, committed before anyone hears
of it; see the spot ledger for what that promises.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from daemon.core.instruments import plain
from daemon.embedded.account import OPEN_STATUSES
from daemon.embedded.futures.account import (
    Algo,
    AlgoStatus,
    Income,
    SwapFill,
    SwapOrder,
    SwapOutcome,
    SwapPosition,
)
from daemon.embedded.futures.clearing import LastIds
from daemon.embedded.ledger import FillQuery, IncidentRows, OrderQuery, Position
from daemon.embedded.ledger_rows import INCIDENTS
from daemon.embedded.settlement import Outcome

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS money (asset TEXT PRIMARY KEY, amount TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS positions (symbol_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    order_id INTEGER PRIMARY KEY, client_order_id TEXT NOT NULL, symbol_id TEXT NOT NULL,
    created_ms INTEGER NOT NULL, is_open INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_client ON orders (symbol_id, client_order_id);
CREATE INDEX IF NOT EXISTS orders_open ON orders (is_open);
CREATE TABLE IF NOT EXISTS fills (
    trade_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, symbol_id TEXT NOT NULL,
    ts_ms INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS fills_by_time ON fills (symbol_id, ts_ms);
CREATE TABLE IF NOT EXISTS algos (
    algo_id INTEGER PRIMARY KEY, client_algo_id TEXT NOT NULL, symbol_id TEXT NOT NULL,
    created_ms INTEGER NOT NULL, is_open INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS algos_by_client ON algos (client_algo_id);
CREATE TABLE IF NOT EXISTS incomes (
    tran_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, symbol_id TEXT NOT NULL,
    ts_ms INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
"""
READ_ORDERS = (
    "SELECT body FROM orders WHERE symbol_id = coalesce(?, symbol_id) AND order_id >= ?"
    " AND created_ms BETWEEN ? AND ? ORDER BY order_id"
)
READ_FILLS = (
    "SELECT body FROM fills WHERE symbol_id = coalesce(?, symbol_id)"
    " AND order_id = coalesce(?, order_id) AND trade_id >= ? AND ts_ms BETWEEN ? AND ?"
    " ORDER BY trade_id"
)
FIRST, LAST = " ASC LIMIT ?", " DESC LIMIT ?"
Body = TypeVar("Body")


class SwapLedger(IncidentRows):
    """One swap account's books in one file; `instance` names the account for ever."""

    def __init__(self, path: Path, *, balances: Mapping[str, Decimal], closed_ms: int) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA + INCIDENTS)
        if self._meta("instance") is None:
            self._begin(balances, closed_ms)
        self.instance = self._meta("instance") or ""
        start: dict[str, str] = json.loads(self._meta("balances_start") or "{}")
        self.balances_start = {asset: Decimal(text) for asset, text in start.items()}

    def close(self) -> None:
        self._connection.close()

    def position(self) -> Position:
        """Where the market stands."""
        closed_ms, played, acked = json.loads(self._meta("position") or "[0, 0, []]")
        return Position(closed_ms, played, tuple(acked))

    def funded_ms(self) -> int:
        """The last funding time that was settled."""
        return int(self._meta("funded_ms") or 0)

    def money(self) -> dict[str, Decimal]:
        rows = self._connection.execute("SELECT asset, amount FROM money ORDER BY asset")
        return {asset: Decimal(amount) for asset, amount in rows}

    def positions(self) -> dict[str, SwapPosition]:
        found = self._bodies(SwapPosition, "SELECT body FROM positions ORDER BY symbol_id")
        return {each.symbol_id: each for each in found}

    def last_ids(self) -> LastIds:
        def highest(column: str, table: str) -> int:
            # Names of our own tables and columns.
            read = f"SELECT coalesce(max({column}), 0) FROM {table}"  # noqa: S608
            return int(self._connection.execute(read).fetchone()[0])

        order_id = max(highest("order_id", "orders"), highest("algo_id", "algos"))
        trade_id, tran_id = highest("trade_id", "fills"), highest("tran_id", "incomes")
        return LastIds(order=order_id, trade=trade_id, tran=tran_id)

    def open_orders(self) -> list[SwapOrder]:
        read = "SELECT body FROM orders WHERE is_open ORDER BY order_id"
        return self._bodies(SwapOrder, read)

    def waiting_algos(self) -> list[Algo]:
        return self._bodies(Algo, "SELECT body FROM algos WHERE is_open ORDER BY algo_id")

    def order(self, symbol_id: str, order_id: int) -> SwapOrder | None:
        read = "SELECT body FROM orders WHERE order_id = ? AND symbol_id = ?"
        return _first(self._bodies(SwapOrder, read, order_id, symbol_id))

    def order_by_client_id(self, symbol_id: str, client_order_id: str) -> SwapOrder | None:
        """The newest order with that id: ids are unique among open orders only."""
        read = (
            "SELECT body FROM orders WHERE symbol_id = ? AND client_order_id = ?"
            " ORDER BY order_id DESC LIMIT 1"
        )
        return _first(self._bodies(SwapOrder, read, symbol_id, client_order_id))

    def algo(self, algo_id: int) -> Algo | None:
        read = "SELECT body FROM algos WHERE algo_id = ?"
        return _first(self._bodies(Algo, read, algo_id))

    def algo_by_client_id(self, client_algo_id: str) -> Algo | None:
        read = "SELECT body FROM algos WHERE client_algo_id = ? ORDER BY algo_id DESC LIMIT 1"
        return _first(self._bodies(Algo, read, client_algo_id))

    def algos(self, symbol_id: str | None, limit: int) -> list[Algo]:
        read = (
            "SELECT body FROM algos WHERE symbol_id = coalesce(?, symbol_id)"
            " ORDER BY algo_id DESC LIMIT ?"
        )
        return self._bodies(Algo, read, symbol_id, limit)[::-1]

    def orders(self, query: OrderQuery) -> list[SwapOrder]:
        is_forward = bool(query.from_order_id or query.start_ms)
        found = self._bodies(
            SwapOrder,
            READ_ORDERS + (FIRST if is_forward else LAST),
            query.symbol_id,
            query.from_order_id,
            query.start_ms,
            query.end_ms,
            query.limit,
        )
        return found if is_forward else found[::-1]

    def fills(self, query: FillQuery) -> list[SwapFill]:
        is_forward = query.from_trade_id is not None or query.start_ms is not None
        found = self._bodies(
            SwapFill,
            READ_FILLS + (FIRST if is_forward else LAST),
            query.symbol_id,
            query.order_id,
            query.from_trade_id or 0,
            query.start_ms or 0,
            query.end_ms,
            query.limit,
        )
        return found if is_forward else found[::-1]

    def incomes(
        self,
        kind: str | None = None,
        symbol_id: str | None = None,
        *,
        start_ms: int = 0,
        end_ms: int = 2**62,
        limit: int = -1,
    ) -> list[Income]:
        """The newest `limit` incomes of the selection, oldest first."""
        read = (
            "SELECT body FROM incomes WHERE kind = coalesce(?, kind)"
            " AND symbol_id = coalesce(?, symbol_id) AND ts_ms BETWEEN ? AND ?"
            " ORDER BY tran_id DESC LIMIT ?"
        )
        return self._bodies(Income, read, kind, symbol_id, start_ms, end_ms, limit)[::-1]

    def commit(self, outcomes: Iterable[Outcome], position: Position, funded_ms: int) -> None:
        """Keep what happened and where the market stands, all or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for outcome in outcomes:
                assert isinstance(outcome, SwapOutcome), "a swap account has outcomes of its own"
                self._write(outcome)
            text = json.dumps([position.closed_ms, position.played, position.acked])
            meta = [("position", text), ("funded_ms", str(funded_ms))]
            self._connection.executemany("REPLACE INTO meta VALUES (?, ?)", meta)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _write(self, outcome: SwapOutcome) -> None:
        last = {report.order.order_id: report.order for report in outcome.reports}
        fills = [report.fill for report in outcome.reports if report.fill is not None]
        algos = {each.algo_id: each for each in outcome.algos}
        self._many(
            "REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    *(each.order_id, each.client_order_id, each.symbol_id, each.created_ms),
                    *(int(each.status in OPEN_STATUSES), _body(each)),
                )
                for each in last.values()
            ),
        )
        self._many(
            "INSERT INTO fills VALUES (?, ?, ?, ?, ?)",
            ((e.trade_id, e.order_id, e.symbol_id, e.ts_ms, _body(e)) for e in fills),
        )
        self._many(
            "REPLACE INTO algos VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    *(each.algo_id, each.client_algo_id, each.symbol_id, each.created_ms),
                    *(int(each.status is AlgoStatus.NEW), _body(each)),
                )
                for each in algos.values()
            ),
        )
        self._many(
            "REPLACE INTO positions VALUES (?, ?)",
            ((each.symbol_id, _body(each)) for each in outcome.positions),
        )
        self._many(
            "REPLACE INTO money VALUES (?, ?)", ((k, str(v)) for k, v in outcome.money.items())
        )
        self._many(
            "INSERT INTO incomes VALUES (?, ?, ?, ?, ?)",
            ((e.tran_id, e.kind, e.symbol_id, e.ts_ms, _body(e)) for e in outcome.incomes),
        )
        self._write_incident(outcome.incident)

    def _many(self, write: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany(write, rows)

    def _begin(self, balances: Mapping[str, Decimal], closed_ms: int) -> None:
        start = {asset: plain(amount) for asset, amount in balances.items()}
        self._connection.execute("BEGIN IMMEDIATE")
        meta = [
            ("instance", secrets.token_hex(8)),
            ("balances_start", json.dumps(start)),
            ("position", json.dumps([closed_ms, 0, []])),
            ("funded_ms", str(closed_ms)),
        ]
        self._connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        self._connection.executemany("INSERT INTO money VALUES (?, ?)", list(start.items()))
        self._connection.execute("COMMIT")

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _bodies(self, kind: type[Body], read: str, *values: object) -> list[Body]:
        rows = self._connection.execute(read, values)
        return [msgspec.json.decode(row[0], type=kind) for row in rows]


def _body(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _first(found: list[Body]) -> Body | None:
    return found[0] if found else None
