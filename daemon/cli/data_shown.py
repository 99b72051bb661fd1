"""`tradingd data list` and `data gaps`: what the bar store holds, and what it lacks.

Belongs here: looking and printing. Choosing a series belongs to `data_store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cli.data_store import chosen, opened_store
from daemon.cli.output import show
from daemon.core.timeframes import rfc3339, timeframe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from daemon.store.bars import BarStore, SeriesKey
    from daemon.store.gaps import Gap

UNKNOWN = "unknown"  # of a hole that nobody recorded a cause for


def show_series(config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """One line per series."""
    with opened_store(config, state_dir) as store:
        rows = [_series(store, key) for key in chosen(store)]
    show({"series": rows}, table(rows) or ["no bars yet"], as_json=as_json)
    return 0


def show_gaps(
    symbol: str | None, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """One line per gap, recorded or merely seen between two bars."""
    with opened_store(config, state_dir) as store:
        rows = [
            _gap(key, gap)
            for key in chosen(store, symbol=symbol)
            for gap in store.holes(key.market, key.symbol, key.timeframe_ns)
        ]
    is_open = sum(not row["filled"] for row in rows)
    result = {"gaps": rows, "open": is_open}
    show(result, [*table(rows), f"{is_open} of {len(rows)} gaps are open"], as_json=as_json)
    return 0


def _series(store: BarStore, key: SeriesKey) -> dict[str, object]:
    series = (key.market, key.symbol, key.timeframe_ns)
    span = store.span(*series)
    assert span is not None, "a series has a bar"
    slots = (span.last_open_ns - span.first_open_ns) // key.timeframe_ns + 1
    return {
        "market": key.market,
        "symbol": key.symbol,
        "timeframe": timeframe_text(key.timeframe_ns),
        "from": rfc3339(span.first_open_ns),
        "until": rfc3339(span.last_open_ns + key.timeframe_ns),
        "bars": span.bars,
        "gaps": sum(not gap.is_filled for gap in store.holes(*series)),
        "missing": slots - span.bars,
        "revisions": store.revision_count(*series),
    }


def _gap(key: SeriesKey, gap: Gap) -> dict[str, object]:
    return {
        "market": key.market,
        "symbol": key.symbol,
        "timeframe": timeframe_text(key.timeframe_ns),
        "from": rfc3339(gap.first_open_ns),
        "until": rfc3339(gap.until_ns(key.timeframe_ns)),
        "count": gap.count,
        "cause": UNKNOWN if gap.cause is None else gap.cause.value,
        "found": gap.found,
        "filled": gap.is_filled,
    }


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Rows of equal keys as aligned columns under their names; numbers to the right."""
    if not rows:
        return []
    columns = {name: [_cell(row[name]) for row in rows] for name in rows[0]}
    numeric = {name for name, value in rows[0].items() if isinstance(value, int)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in columns.items()}

    def line(cells: Mapping[str, str]) -> str:
        parts = (
            cell.rjust(widths[name]) if name in numeric else cell.ljust(widths[name])
            for name, cell in cells.items()
        )
        return "  ".join(parts).rstrip()

    body = [{name: cells[n] for name, cells in columns.items()} for n in range(len(rows))]
    return [line({name: name for name in columns}), *map(line, body)]


def _cell(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
