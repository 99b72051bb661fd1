"""The ledger: keeps orders, fills, balances and the position of the market in SQLite.

Belongs here: what survives a kill of the exchange. Every change is one transaction, committed
before anyone hears of it. Synchronous NORMAL: a killed process loses nothing, a power cut may lose
the last moments.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from daemon.core.instruments import plain
from daemon.embedded.account import OPEN_STATUSES, Balance, Fill, Flow, Incident, Order
from daemon.embedded.ledger_rows import (
    ADDED_COLUMNS,
    INCIDENTS,
    READ_FILLS,
    READ_ORDERS,
    SCHEMA,
    WRITE_FILL,
    WRITE_ORDER,
    fill_from,
    fill_row,
    order_from,
    order_row,
)
from daemon.embedded.settlement import Outcome

ROWS_MAX = 1_000
ALL_ROWS = -1


@dataclass(frozen=True, slots=True)
class Position:
    """Where the market stands: last close, steps played of the open slot, who acknowledged it."""

    closed_ms: int
    played: int = 0
    acked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """A selection of orders; the ids and times are inclusive lower and upper ends."""

    symbol_id: str | None = None
    from_order_id: int = 0
    start_ms: int = 0
    end_ms: int = 2**62
    limit: int = ROWS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class FillQuery:
    """A selection of fills; without `from_trade_id` and `start_ms` the newest `limit` ones."""

    symbol_id: str | None = None
    order_id: int | None = None
    from_trade_id: int | None = None
    start_ms: int | None = None
    end_ms: int = 2**62
    limit: int = ROWS_MAX


class IncidentRows:
    """What others did to an account, in a table that every ledger has."""

    _connection: sqlite3.Connection

    def incidents(self) -> list[Incident]:
        rows = self._connection.execute(
            "SELECT key, kind, ts_ms, wire_ms, text FROM incidents ORDER BY rowid"
        )
        return [
            Incident(key=key, kind=kind, ts_ms=ts_ms, wire_ms=wire_ms, text=text)
            for key, kind, ts_ms, wire_ms, text in rows
        ]

    def incidents_of(self, name: str) -> int:
        """How many occasions of that name have been written down."""
        read = "SELECT count(*) FROM incidents WHERE substr(key, 1, ?) = ?"
        row = self._connection.execute(read, (len(name) + 1, f"{name}/")).fetchone()
        return int(row[0])

    def _write_incident(self, incident: Incident | None) -> None:
        if incident is not None:
            row = (incident.key, incident.kind, incident.ts_ms, incident.wire_ms, incident.text)
            self._connection.execute("INSERT INTO incidents VALUES (?, ?, ?, ?, ?)", row)


class Ledger(IncidentRows):
    """One account's books in one file; `instance` names the account for ever.

    A write that contradicts what is kept raises `broken` and leaves everything as it was; any use
    after `close` raises `closed`.
    """

    broken = sqlite3.IntegrityError
    closed = sqlite3.ProgrammingError

    def __init__(self, path: Path, *, balances: Mapping[str, Decimal], closed_ms: int) -> None:
        """Open the file, or begin it with these balances and this market position."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA + INCIDENTS)
        self._add_columns()
        if self._meta("instance") is None:
            self._begin(balances, closed_ms)
        self.instance = self._meta("instance") or ""
        start: dict[str, str] = json.loads(self._meta("balances_start") or "{}")
        self.balances_start = {asset: Decimal(text) for asset, text in start.items()}

    def close(self) -> None:
        self._connection.close()

    def position(self) -> Position:
        closed_ms, played, acked = json.loads(self._meta("position") or "[0, 0, []]")
        return Position(closed_ms, played, tuple(acked))

    def balances(self) -> dict[str, Balance]:
        rows = self._connection.execute("SELECT asset, free, locked FROM balances ORDER BY asset")
        return {asset: Balance(Decimal(free), Decimal(locked)) for asset, free, locked in rows}

    def last_ids(self) -> tuple[int, int]:
        """The highest order id and trade id given out."""
        order_id = self._connection.execute("SELECT max(order_id) FROM orders").fetchone()[0]
        trade_id = self._connection.execute("SELECT max(trade_id) FROM fills").fetchone()[0]
        return order_id or 0, trade_id or 0

    def commit(self, outcomes: Iterable[Outcome], position: Position | None = None) -> None:
        """Keep what happened and where the market stands, all or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for outcome in outcomes:
                self._write(outcome)
            if position is not None:
                text = json.dumps([position.closed_ms, position.played, position.acked])
                self._connection.execute("REPLACE INTO meta VALUES ('position', ?)", (text,))
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def flows(self) -> list[Flow]:
        rows = self._connection.execute(
            "SELECT asset, amount, ts_ms, wire_ms FROM flows ORDER BY flow_id"
        )
        return [
            Flow(asset=asset, amount=Decimal(amount), ts_ms=ts_ms, wire_ms=wire_ms)
            for asset, amount, ts_ms, wire_ms in rows
        ]

    def open_orders(self) -> list[Order]:
        marks = ", ".join("?" * len(OPEN_STATUSES))
        return self._orders(f"status IN ({marks}) ORDER BY order_id", *sorted(OPEN_STATUSES))

    def order(self, symbol_id: str, order_id: int) -> Order | None:
        found = self._orders("order_id = ? AND symbol_id = ?", order_id, symbol_id)
        return found[0] if found else None

    def order_by_client_id(self, symbol_id: str, client_order_id: str) -> Order | None:
        """The newest order with that id: ids are unique among open orders only."""
        where = "symbol_id = ? AND client_order_id = ? ORDER BY order_id DESC LIMIT 1"
        found = self._orders(where, symbol_id, client_order_id)
        return found[0] if found else None

    def orders(self, query: OrderQuery) -> list[Order]:
        """The newest `limit` orders of the selection, or the first ones from an id or a start."""
        where = (
            "symbol_id = coalesce(?, symbol_id) AND order_id >= ? AND created_ms BETWEEN ? AND ?"
        )
        is_forward = bool(query.from_order_id or query.start_ms)
        found = self._orders(
            f"{where} ORDER BY order_id {'ASC' if is_forward else 'DESC'} LIMIT ?",
            query.symbol_id,
            query.from_order_id,
            query.start_ms,
            query.end_ms,
            query.limit,
        )
        return found if is_forward else found[::-1]

    def fills(self, query: FillQuery) -> list[Fill]:
        """The newest `limit` fills of the selection, or the first ones from an id or a start."""
        is_forward = query.from_trade_id is not None or query.start_ms is not None
        rows = self._connection.execute(
            f"{READ_FILLS} symbol_id = coalesce(?, symbol_id)"
            " AND order_id = coalesce(?, order_id) AND trade_id >= ? AND ts_ms BETWEEN ? AND ?"
            f" ORDER BY trade_id {'ASC' if is_forward else 'DESC'} LIMIT ?",
            (
                query.symbol_id,
                query.order_id,
                query.from_trade_id or 0,
                query.start_ms or 0,
                query.end_ms,
                query.limit,
            ),
        )
        found = [fill_from(row) for row in rows]
        return found if is_forward else found[::-1]

    def _add_columns(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for (table, column), statements in ADDED_COLUMNS.items():
            read = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
            if self._connection.execute(read, (table, column)).fetchone() is None:
                for statement in statements:
                    self._connection.execute(statement)
        self._connection.execute("COMMIT")

    def _begin(self, balances: Mapping[str, Decimal], closed_ms: int) -> None:
        start = {asset: plain(amount) for asset, amount in balances.items()}
        self._connection.execute("BEGIN IMMEDIATE")
        meta = [
            ("instance", secrets.token_hex(8)),
            ("balances_start", json.dumps(start)),
            ("position", json.dumps([closed_ms, 0, []])),
        ]
        self._connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        rows = [(asset, text, "0") for asset, text in start.items()]
        self._connection.executemany("INSERT INTO balances VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _write(self, outcome: Outcome) -> None:
        last = {report.order.order_id: report.order for report in outcome.reports}
        self._connection.executemany(WRITE_ORDER, [order_row(order) for order in last.values()])
        fills = [report.fill for report in outcome.reports if report.fill is not None]
        self._connection.executemany(WRITE_FILL, [fill_row(fill) for fill in fills])
        self._connection.executemany(
            "REPLACE INTO balances VALUES (?, ?, ?)",
            [(asset, str(each.free), str(each.locked)) for asset, each in outcome.balances.items()],
        )
        self._write_outside(outcome)

    def _write_outside(self, outcome: Outcome) -> None:
        self._connection.executemany(
            "INSERT INTO flows (asset, amount, ts_ms, wire_ms) VALUES (?, ?, ?, ?)",
            [(each.asset, str(each.amount), each.ts_ms, each.wire_ms) for each in outcome.flows],
        )
        self._write_incident(outcome.incident)

    def _orders(self, where: str, *values: object) -> list[Order]:
        rows = self._connection.execute(f"{READ_ORDERS} {where}", values)
        return [order_from(row) for row in rows]
