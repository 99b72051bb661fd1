"""Scans a recording whole: every row as a candle or as what is wrong with it, none left out.

Belongs here: reading on where `recordings` would refuse the file. What the candles are worth
belongs to layer 1.
"""

from pathlib import Path

from daemon.core.bars import RawBar, ToldBar
from daemon.store.recordings import Cells, cells_of, open_ms_of


def scan_recording(path: Path) -> list[ToldBar]:
    """Every row of a CSV (also gzipped) or Parquet file, in its order.

    Raises ValueError, one line, only where there are no rows to speak of: a file that cannot be
    read, is neither CSV nor Parquet, lacks a column or holds no bars.
    """
    lines = [_line(cells) for cells in cells_of(path)]
    if not lines:
        raise ValueError(f"{path}: holds no bars, expected at least one")
    return lines


def _line(cells: Cells) -> ToldBar:
    if cells.fault:
        return ToldBar(cells.place, RawBar(cells.stamp, None, None, None, None, None), cells.fault)
    try:
        return ToldBar(cells.place, RawBar(open_ms_of(cells), *cells.values))
    except ValueError as error:
        return ToldBar(cells.place, RawBar(cells.stamp, *cells.values), str(error))
