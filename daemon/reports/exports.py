"""Exports: turns the tables of a run into CSV, Parquet or JSON files, each whole or not there.

Belongs here: file forms. Which tables there are, and their columns, belongs to `tables`.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from daemon.core.errors import UsageRefused
from daemon.store.artifacts import replace_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from daemon.reports.tables import Row

# A spreadsheet would run text that begins like this as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_tables(
    tables: Mapping[str, Sequence[Row]], folder: Path, form: str, *, is_forced: bool
) -> list[Path]:
    """A file per table in `folder`, made when it is not there; UsageRefused when one is there.

    An empty table becomes an empty file of its form, so that "none" can be told from "not asked".
    """
    if form not in FORMS:
        msg = f"--format {form}: choose one of {', '.join(FORMS)}"
        raise UsageRefused(msg)
    paths = {name: folder / f"{name}.{form}" for name in tables}
    there = [path.name for path in paths.values() if path.exists()]
    if there and not is_forced:
        msg = f"{folder} holds {there[0]} already: --force overwrites, or name another folder"
        raise UsageRefused(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            replace_durably(path, FORMS[form](tables[name]))
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}"
        raise UsageRefused(msg) from error
    return list(paths.values())


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Comma separated, one header line; floats by their shortest exact text."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue().encode()


def json_bytes(rows: Sequence[Row]) -> bytes:
    return (json.dumps(list(rows), indent=1, allow_nan=False) + "\n").encode()


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


FORMS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": csv_bytes,
    "json": json_bytes,
    "parquet": parquet_bytes,
}


def _harmless(value: object) -> object:
    """Text that is no number and begins like a formula gets an apostrophe."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        try:
            float(value)
        except ValueError:
            return f"'{value}"
    return value
