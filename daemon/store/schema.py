"""The tables of both databases and how a SQLite file is opened so that it can be trusted.

Belongs here: tables, pragmas, transactions and what SQLite's errors mean. What is stored belongs to
`journal` and `bars`.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Connection,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

from daemon.store.migrations import BARS_STEPS, FIRST_VERSION, JOURNAL_STEPS, Steps

BUSY_TIMEOUT_MS = 5_000
WAL_BYTES_KEPT = 64 * 1024 * 1024
PAGE_BYTES = 4_096
FILE_MODE = 0o600

# STRICT tables know INTEGER and REAL only, and both are 64 bits wide there.
_INT64: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
_FLOAT64: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")

JOURNAL = MetaData(info={"steps": JOURNAL_STEPS})
EVENT = Table(
    "event",
    JOURNAL,
    Column("seq", _INT64, primary_key=True, autoincrement=False),
    Column("step", _INT64, nullable=False),
    Column("ts_ns", _INT64, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    sqlite_strict=True,
)
Index("event_kind", EVENT.c.kind, EVENT.c.seq)

BARS = MetaData(info={"steps": BARS_STEPS})
BAR = Table(
    "bar",
    BARS,
    Column("market", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("timeframe_ns", _INT64, primary_key=True, autoincrement=False),
    Column("open_ns", _INT64, primary_key=True, autoincrement=False),
    Column("revision", _INT64, primary_key=True, autoincrement=False),
    Column("open", _FLOAT64, nullable=False),
    Column("high", _FLOAT64, nullable=False),
    Column("low", _FLOAT64, nullable=False),
    Column("close", _FLOAT64, nullable=False),
    Column("volume", _FLOAT64, nullable=False),
    Column("received_ns", _INT64, nullable=False),
    Column("source", Text, nullable=False),
    Column("quality", Text, nullable=False),
    Column("is_final", _INT64, nullable=False, server_default=text("1")),
    Column("suspicion", Text),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
GAP = Table(
    "gap",
    BARS,
    Column("market", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("timeframe_ns", _INT64, primary_key=True, autoincrement=False),
    Column("first_open_ns", _INT64, primary_key=True, autoincrement=False),
    Column("count", _INT64, nullable=False),
    Column("cause", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
# What was told of a slot and is not believed, as it came; `open_ns` is NULL where it has no time.
QUARANTINE = Table(
    "quarantine",
    BARS,
    Column("id", _INT64, primary_key=True),
    Column("market", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("timeframe_ns", _INT64, nullable=False),
    Column("open_ns", _INT64),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("seen_ns", _INT64, nullable=False),
    Column("accepted_ns", _INT64),
    sqlite_strict=True,
)
Index(
    "quarantine_once",
    *(QUARANTINE.c.market, QUARANTINE.c.symbol, QUARANTINE.c.timeframe_ns),
    *(QUARANTINE.c.reason, QUARANTINE.c.raw),
    unique=True,
)

_MEANINGS = {
    "SQLITE_FULL": "the disk or the allowed size is full",
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_LOCKED": "it is locked by another connection",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_CANTOPEN": "the file is not there or cannot be opened",
    "SQLITE_READONLY": "the file is read-only",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_CONSTRAINT": "a row contradicts the ones that are there",
}


class Unusable(Exception):  # an answer for the two stores, who name it for their callers
    """A database file cannot be used; the text says why in half a sentence."""


class _Older(Unusable):
    """It is of an earlier version, and steps lead from there to today's."""


class _Unmade(Unusable):
    """Nothing was ever made in it: who began it was killed before the tables."""


def open_writer(
    path: Path, metadata: MetaData, *, busy_timeout_ms: int, size_max_bytes: int | None = None
) -> Connection:
    """The one writing connection of a database, made when it is not there; Unusable.

    A database of an earlier version is brought to today's first, all of it or nothing.
    The file is readable by its owner only. The connection may move between threads, but only one
    may use it at a time.
    """

    def connect() -> sqlite3.Connection:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        pragmas = [f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}"]
        if size_max_bytes is not None:
            pragmas.append(f"PRAGMA max_page_count={max(1, size_max_bytes // PAGE_BYTES)}")
        driver = _driver(path, "rw", busy_timeout_ms, ["PRAGMA journal_mode=WAL", *pragmas])
        mode = driver.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            driver.close()
            raise Unusable(f"its file system allows no write-ahead log (journal mode {mode})")
        return driver

    with _explained():
        connection = _engine(connect).connect()
        try:
            _create(connection, metadata)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path, metadata: MetaData, *, busy_timeout_ms: int) -> Connection:
    """A connection that cannot write, for use beside the writer; Unusable.

    Only a database of an earlier version is written to, once, to bring it to today's. One in which
    nothing was made yet reads as one that holds nothing.
    """
    try:
        return _reader(path, metadata, busy_timeout_ms)
    except _Unmade:
        return _nothing(metadata)
    except _Older:
        open_writer(path, metadata, busy_timeout_ms=busy_timeout_ms).close()
        return _reader(path, metadata, busy_timeout_ms)


@contextmanager
def transaction(connection: Connection, *, is_durable: bool) -> Iterator[None]:
    """All or nothing; when `is_durable` it is on the disk, not only with the kernel, at the end.

    A file system flush also covers everything committed before without one. Unusable.
    """
    level = "FULL" if is_durable else "NORMAL"
    with _explained(), connection.begin():
        if connection.info.get("synchronous") != level:
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            connection.info["synchronous"] = level
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """One consistent state of the database for all statements inside. Unusable."""
    with _explained(), connection.begin():
        connection.exec_driver_sql("BEGIN")
        yield


@contextmanager
def fetching(
    connection: Connection, text: str, values: tuple[object, ...]
) -> Iterator[Iterator[Any]]:
    """Rows of one statement as plain tuples, straight from the driver: twice as fast. Unusable."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with _explained():
        cursor = driver.execute(text, values)
        try:
            yield cursor
        finally:
            cursor.close()


def text_of(statement: ClauseElement) -> str:
    """A statement as SQLite's text: made once, because making it costs more than small results."""
    return str(statement.compile(dialect=sqlite.dialect()))


def _engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _driver(path: Path, mode: str, busy_timeout_ms: int, pragmas: list[str]) -> sqlite3.Connection:
    # isolation_level None: transactions begin where `transaction` says so and nowhere else.
    driver = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        driver.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
        driver.execute("PRAGMA trusted_schema=OFF")
        driver.execute("PRAGMA cell_size_check=ON")
        for pragma in pragmas:
            driver.execute(pragma)
    except BaseException:
        driver.close()
        raise
    return driver


def _reader(path: Path, metadata: MetaData, busy_timeout_ms: int) -> Connection:
    with _explained():
        connection = _engine(lambda: _driver(path, "ro", busy_timeout_ms, [])).connect()
        try:
            with connection.begin():
                _check_version(connection, metadata)
        except BaseException:
            connection.close()
            raise
        return connection


def _nothing(metadata: MetaData) -> Connection:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    connection = _engine(connect).connect()
    with connection.begin():
        metadata.create_all(connection)
    return connection


def _create(connection: Connection, metadata: MetaData) -> None:
    """Make the tables, or take the steps from an earlier version, in one transaction."""
    with transaction(connection, is_durable=True):
        if _version(connection) == 0 and _is_empty(connection):
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={schema_version(metadata)}")
        try:
            _check_version(connection, metadata)
        except _Older:
            for statements in _steps(metadata)[_version(connection) - FIRST_VERSION :]:
                for statement in statements:
                    connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version={schema_version(metadata)}")
            _check_version(connection, metadata)


def schema_version(metadata: MetaData) -> int:
    """The version that this program writes: the first one and all steps since."""
    return FIRST_VERSION + len(_steps(metadata))


def _steps(metadata: MetaData) -> Steps:
    steps: Steps = metadata.info["steps"]
    return steps


def _check_version(connection: Connection, metadata: MetaData) -> None:
    version, today = _version(connection), schema_version(metadata)
    names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
    if not names and not version:
        raise _Unmade("nothing was ever made in it")
    if not names & set(metadata.tables):
        raise Unusable(f"it is a database without the table {' and '.join(metadata.tables)}")
    if version > today:
        newer = f"its schema has version {version}, this program reads {today}"
        raise Unusable(f"{newer}: it was written by a newer tradingd")
    if version < FIRST_VERSION:
        raise Unusable(f"its schema has version {version}, this program reads {today}")
    if version < today:
        raise _Older(f"its schema has version {version}, this program reads {today}")
    if not names >= set(metadata.tables):
        raise Unusable(f"it is a database without the table {' and '.join(metadata.tables)}")


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _is_empty(connection: Connection) -> bool:
    return not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise Unusable(_meaning(error.orig)) from error
    except (sqlite3.Error, UnicodeError) as error:
        raise Unusable(_meaning(error)) from error
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from error


def _meaning(error: BaseException | None) -> str:
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, meaning in _MEANINGS.items():
        if name.startswith(prefix):
            return f"{meaning} ({name})"
    return " ".join(str(error).split())
