"""A database of an earlier version becomes today's with all its rows, or stays what it was."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from daemon.store.bars import BarStore, BarStoreBroken
from daemon.store.journal_reader import JournalReader
from daemon.store.migrations import FIRST_VERSION, Steps
from daemon.store.schema import (
    BARS,
    JOURNAL,
    Unusable,
    open_reader,
    open_writer,
    schema_version,
)
from tests.builders import BTC, HOUR_NS, OPEN_NS

# What version 1 wrote, frozen: every later program must be able to read it.
BARS_OF_VERSION_1 = """
CREATE TABLE bar (market TEXT NOT NULL, symbol TEXT NOT NULL, timeframe_ns INTEGER NOT NULL,
  open_ns INTEGER NOT NULL, revision INTEGER NOT NULL, open REAL NOT NULL, high REAL NOT NULL,
  low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL, received_ns INTEGER NOT NULL,
  source TEXT NOT NULL, quality TEXT NOT NULL,
  PRIMARY KEY (market, symbol, timeframe_ns, open_ns, revision)) WITHOUT ROWID, STRICT;
CREATE TABLE gap (market TEXT NOT NULL, symbol TEXT NOT NULL, timeframe_ns INTEGER NOT NULL,
  first_open_ns INTEGER NOT NULL, "count" INTEGER NOT NULL, cause TEXT NOT NULL,
  PRIMARY KEY (market, symbol, timeframe_ns, first_open_ns)) WITHOUT ROWID, STRICT;
PRAGMA user_version=1;
"""
JOURNAL_OF_VERSION_1 = """
CREATE TABLE event (seq INTEGER NOT NULL, step INTEGER NOT NULL, ts_ns INTEGER NOT NULL,
  kind TEXT NOT NULL, body TEXT NOT NULL, chain BLOB NOT NULL, PRIMARY KEY (seq)) STRICT;
CREATE INDEX event_kind ON event (kind, seq);
PRAGMA user_version=1;
"""


def test_a_bar_store_of_version_1_keeps_its_bars_and_gets_todays_tables(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    row = f"'m', 'BTC/USDT', {HOUR_NS}, {OPEN_NS}, 0, 1.0, 2.0, 0.5, 1.5, 7.25, 3, 'stream', 'ok'"
    gap = f"'m', 'BTC/USDT', {HOUR_NS}, {OPEN_NS + HOUR_NS}, 2, 'outage'"
    write(
        old,
        f"{BARS_OF_VERSION_1} INSERT INTO bar VALUES ({row}); INSERT INTO gap VALUES ({gap});",
    )

    store = BarStore.open(old)
    bars, gaps = store.read("m", BTC, HOUR_NS), store.gaps("m", "BTC/USDT", HOUR_NS)
    store.close()
    BarStore.open(new).close()

    assert [(bar.open_ns, bar.close, bar.volume) for bar in bars] == [(OPEN_NS, 1.5, 7.25)]
    assert [(gap.first_open_ns, gap.count) for gap in gaps] == [(OPEN_NS + HOUR_NS, 2)]
    assert tables(old) == tables(new)
    assert version(old) == version(new) == schema_version(BARS)


def test_a_journal_of_version_1_gets_todays_tables(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    write(old, JOURNAL_OF_VERSION_1)

    step = JournalReader.open(old).last_step()
    open_writer(new, JOURNAL, busy_timeout_ms=100).close()

    assert step == 0
    assert tables(old) == tables(new)
    assert version(old) == version(new) == schema_version(JOURNAL)


def test_steps_are_taken_in_order_and_each_one_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    first: Steps = (("ALTER TABLE thing ADD COLUMN b TEXT NOT NULL DEFAULT 'one'",),)
    second: Steps = (
        *first,
        ("CREATE TABLE other (a TEXT) STRICT", "UPDATE thing SET b = b || '!'"),
    )
    open_writer(path, a_schema(()), busy_timeout_ms=100).close()
    write(path, "INSERT INTO thing VALUES ('x')")

    open_writer(path, a_schema(first), busy_timeout_ms=100).close()
    for _ in range(2):
        open_writer(path, a_schema(second), busy_timeout_ms=100).close()

    assert rows(path, "SELECT * FROM thing") == [("x", "one!")]
    assert version(path) == FIRST_VERSION + 2


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    steps: Steps = (("ALTER TABLE thing ADD COLUMN b TEXT",), ("INSERT INTO nowhere VALUES (1)",))
    open_writer(path, a_schema(()), busy_timeout_ms=100).close()
    before = tables(path)

    with pytest.raises(Unusable, match="no such table: nowhere"):
        open_writer(path, a_schema(steps), busy_timeout_ms=100)

    assert tables(path) == before
    assert version(path) == FIRST_VERSION


def test_a_reader_of_an_older_database_brings_it_up_to_date_first(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_writer(path, a_schema(()), busy_timeout_ms=100).close()
    later = a_schema((("CREATE TABLE other (a TEXT) STRICT",),))

    open_reader(path, later, busy_timeout_ms=100).close()

    assert "other" in tables(path)
    assert version(path) == FIRST_VERSION + 1


def test_a_newer_version_is_refused_in_one_line_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "bars.db"
    BarStore.open(path).close()
    newer = schema_version(BARS) + 1
    write(path, f"PRAGMA user_version={newer}")

    for read_only in (False, True):
        with pytest.raises(BarStoreBroken) as refused:
            BarStore.open(path, read_only=read_only)
        assert f"version {newer}, this program reads {newer - 1}" in str(refused.value)
        assert "newer tradingd" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert version(path) == newer


def a_schema(steps: Steps) -> MetaData:
    metadata = MetaData(info={"steps": steps})
    Table("thing", metadata, Column("a", Text), sqlite_strict=True)
    return metadata


def write(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def version(path: Path) -> int:
    return int(str(rows(path, "PRAGMA user_version")[0][0]))


def tables(path: Path) -> dict[str, object]:
    """Columns, keys, defaults and indexes of every table, however their SQL is spelled."""
    names = [str(name) for (name,) in rows(path, "SELECT name FROM sqlite_master ORDER BY name")]
    return {
        name: [rows(path, f"PRAGMA {about}('{name}')") for about in ("table_xinfo", "index_xinfo")]
        for name in names
    }
