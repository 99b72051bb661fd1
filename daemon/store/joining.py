"""Makes one recording of several that overlap, as long as they agree on what they share.

Belongs here: which file a row came from, and what is refused. Reading a file belongs to
`recordings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.timeframes import NS_PER_MS, rfc3339, timeframe_ns
from daemon.store.recordings import VALUE_COLUMNS, Row, read_recording, timeframe_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Where a row stands: its file.
Placed = tuple[Row, "Path"]


def joined(paths: Sequence[Path]) -> tuple[str, list[Row]]:
    """Timeframe and rows, ascending in time, each time once.

    Rows that are there twice with the same numbers, in one file or in two, are one row. Raises
    ValueError in one line, with the file and the time, for rows that contradict each other or make
    no bar, for a row off the time grid, and for files of different timeframes.
    """
    found: dict[int, Placed] = {}
    timeframes: dict[str, Path] = {}
    for path in paths:
        rows = read_recording(path)
        for row in rows:
            known = found.setdefault(row[0], (row, path))
            if known[0] != row:
                raise ValueError(_conflict(known, (row, path)))
        try:
            timeframes.setdefault(timeframe_of(rows), path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if len(timeframes) > 1:
        told = ", ".join(f"{path} has {timeframe}" for timeframe, path in timeframes.items())
        raise ValueError(f"bars of different lengths cannot be joined: {told}")
    timeframe = next(iter(timeframes))
    times = sorted(found)
    _require_grid(found, times, timeframe)
    return timeframe, [_sound(found[time_ms]) for time_ms in times]


def _conflict(known: Placed, other: Placed) -> str:
    (row, path), (rival, rival_path) = known, other
    where = f"{rival_path}: {_time(row)} is there twice, and differs"
    if rival_path != path:
        where = f"{rival_path}: {_time(row)} differs from {path}"
    return f"{where}: {_numbers(rival)} against {_numbers(row)}"


def _require_grid(found: Mapping[int, Placed], times: Sequence[int], timeframe: str) -> None:
    length_ms = timeframe_ns(timeframe) // NS_PER_MS
    phase = times[0] % length_ms
    stray = next((time_ms for time_ms in times if time_ms % length_ms != phase), None)
    if stray is not None:
        row, path = found[stray]
        raise ValueError(f"{path}: {_time(row)} is off the grid of {timeframe} bars")


def _sound(placed: Placed) -> Row:
    row, path = placed
    _, opened, high, low, close, volume = row
    if 0.0 < low <= min(opened, close) and high >= max(opened, close) and volume >= 0.0:
        return row
    raise ValueError(
        f"{path}: {_time(row)} is no bar: {_numbers(row)}; expected positive prices, a high that "
        "is highest, a low that is lowest and a volume of 0 or more"
    )


def _time(row: Row) -> str:
    return rfc3339(row[0] * NS_PER_MS)


def _numbers(row: Row) -> str:
    return " ".join(f"{name} {value!r}" for name, value in zip(VALUE_COLUMNS, row[1:], strict=True))
