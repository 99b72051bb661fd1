"""Copies a journal into a shorter one with a chain of its own, and puts it in the place of the old.

Belongs here: rows, chains and files. Which events may be left out belongs to `thinning`.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, insert, select

from daemon.core.errors import JournalBroken
from daemon.core.events import Event, encode
from daemon.store.artifacts import sync_directory
from daemon.store.journal_reader import ROWS_PER_FETCH, Tip, chained
from daemon.store.schema import (
    BUSY_TIMEOUT_MS,
    EVENT,
    JOURNAL,
    Unusable,
    open_reader,
    open_writer,
    text_of,
    transaction,
)

_INSERT = text_of(insert(EVENT))


def copy_without(
    source: Path, target: Path, first: Event, is_left_out: Callable[[int], bool]
) -> None:
    """Write `first` and then every row of `source` whose seq is not left out, steps renumbered.

    A step that loses all its rows is no step any more. JournalBroken, and then there is no target.
    """
    _forget(target)
    try:
        with (
            contextlib.closing(
                open_reader(source, JOURNAL, busy_timeout_ms=BUSY_TIMEOUT_MS)
            ) as old,
            contextlib.closing(
                open_writer(target, JOURNAL, busy_timeout_ms=BUSY_TIMEOUT_MS)
            ) as new,
        ):
            with transaction(new, is_durable=True):
                for rows in _batches(_rows(old, first, is_left_out)):
                    new.exec_driver_sql(_INSERT, rows)
            _into_one_file(new)
    except (Unusable, sqlite3.Error) as error:
        _forget(target)
        raise JournalBroken(f"journal {target} cannot be written: {error}") from error
    except BaseException:
        _forget(target)
        raise


def put_in_place(fresh: Path, journal: Path) -> None:
    """Let the fresh journal be the journal: whenever this is killed, it is the old one or the new.

    Nobody may have the old one open. A log beside it would be taken for one of the new file, so it
    is written into the old file first, and must be gone.
    """
    old: Connection | None = None
    try:
        old = open_writer(journal, JOURNAL, busy_timeout_ms=BUSY_TIMEOUT_MS)
        _into_one_file(old)
    except (Unusable, sqlite3.Error) as error:
        raise JournalBroken(f"journal {journal} cannot be replaced: {error}") from error
    finally:
        if old is not None:
            old.close()
    left = [each for each in _beside(journal) if each.exists()]
    if left:
        raise JournalBroken(f"journal {journal} cannot be replaced: {left[0].name} is in use")
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(journal)
    sync_directory(journal.parent)


def _rows(
    old: Connection, first: Event, is_left_out: Callable[[int], bool]
) -> Iterator[tuple[int, int, int, str, str, bytes]]:
    body, kind = encode(first).decode(), type(first).__name__
    tip = Tip(1, 1, chained(b"", 1, kind, body))
    yield 1, 1, first.ts_ns, kind, body, tip.chain
    old_step = 0
    statement = select(EVENT).order_by(EVENT.c.seq)
    for seq, step, ts_ns, kind, body, _ in old.execute(statement).yield_per(ROWS_PER_FETCH):
        if is_left_out(seq):
            continue
        number = tip.step + (step != old_step)
        old_step = step
        tip = Tip(tip.seq + 1, number, chained(tip.chain, number, kind, body))
        yield tip.seq, number, ts_ns, kind, body, tip.chain


def _batches(
    rows: Iterator[tuple[int, int, int, str, str, bytes]],
) -> Iterator[list[tuple[int, int, int, str, str, bytes]]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_FETCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _into_one_file(connection: Connection) -> None:
    """End the write-ahead log: everything is in the database's own file."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    driver.execute("PRAGMA journal_mode=DELETE")


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")]


def _forget(path: Path) -> None:
    for each in (path, *_beside(path)):
        each.unlink(missing_ok=True)
