"""Makes plain rows from a recording of bars in a CSV (also gzipped) or Parquet file.

Belongs here: columns, stamps and cells of files. What the rows mean as a market belongs to
embedded.recorded; what is wrong with them as data belongs to the data commands.
"""

import csv
import gzip
import io
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

# open time (UTC epoch ms), open, high, low, close, volume (base units)
Row = tuple[int, float, float, float, float, float]

TIME_COLUMNS = ("timestamp", "open_time", "time", "date", "datetime")
VALUE_COLUMNS = ("open", "high", "low", "close", "volume")
EXPECTED_COLUMNS = "timestamp (or open_time, time, date, datetime), " + ", ".join(VALUE_COLUMNS)

# Stamps from 1973 to 5138 in seconds, milliseconds, microseconds and nanoseconds do not overlap.
_STAMP_MIN = 10**8
_STAMP_LIMITS = ((10**11, 1_000, 1), (10**14, 1, 1), (10**17, 1, 1_000), (10**20, 1, 1_000_000))


def read_recording(path: Path | str) -> list[Row]:
    """The rows of a recording, ascending in time; nothing is filled, dropped or corrected.

    Stamps are bar opens: epoch s, ms, us or ns (told apart by size, cell by cell), or ISO 8601
    text, UTC unless it names an offset. Raises ValueError, one line with file, place and what was
    expected, for a file that is missing, empty or not such a recording.
    """
    path = Path(path)
    rows = [_row(f"{path}: {cells.place}", cells) for cells in cells_of(path)]
    if not rows:
        raise ValueError(f"{path}: holds no bars, expected at least one")
    rows.sort(key=lambda row: row[0])
    return rows


def timeframe_of(rows: Sequence[Row]) -> str:
    """The commonest spacing of ascending rows, such as "1h".

    Raises ValueError where there are not two bars a second or more apart.
    """
    return commonest_spacing([row[0] for row in rows])


def commonest_spacing(opens: Sequence[int]) -> str:
    """The same of open times alone, in ms, ascending."""
    spacings = Counter(after - before for before, after in pairwise(opens))
    del spacings[0]
    # Of equally common spacings the smaller one fits the other as a hole.
    spacing_s = min(spacings, key=lambda each: (-spacings[each], each), default=0) // 1_000
    if not spacing_s:
        raise ValueError("a recording needs at least two bars to show its timeframe")
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if spacing_s % seconds == 0:
            return f"{spacing_s // seconds}{unit}"
    return f"{spacing_s}s"


def _text(path: Path, content: bytes) -> str:
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: neither CSV text in UTF-8 nor Parquet") from error


class Cells(Struct, frozen=True, gc=False):
    """One row of a file as it stands there; `fault` says why it is none."""

    place: str
    stamp: Any
    values: Sequence[Any]  # open, high, low, close, volume
    is_ms: bool = False  # the stamp is a time already
    fault: str = ""


def cells_of(path: Path) -> Iterator[Cells]:
    """Every row of a recording in the order of the file; ValueError when it is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith(b"PAR1"):
        yield from _parquet_cells(path, content)
    else:
        yield from _csv_cells(path, _text(path, content))


def _csv_cells(path: Path, text: str) -> Iterator[Cells]:
    first_line = text.split("\n", 1)[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(lines, None)
    if header is None:
        raise ValueError(f"{path}: empty file, expected a header with {EXPECTED_COLUMNS}")
    places = _places(f"{path}: line 1", header)
    stamp_place, *value_places = places
    last_place = max(places)
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            yield Cells(f"line {lines.line_num}", None, (), fault=f"no CSV: {error}")
            continue
        if cells is None:
            return
        place = f"line {lines.line_num}"
        if len(cells) > last_place:
            yield Cells(place, cells[stamp_place], [cells[each] for each in value_places])
        elif cells:
            fault = f"{len(cells)} cells, expected {len(header)} as in the header"
            yield Cells(place, delimiter.join(cells), (), fault=fault)


def _parquet_cells(path: Path, content: bytes) -> Iterator[Cells]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(content))
        places = _places(f"{path}: columns", table.column_names)
        stamps = table.column(places[0])
        is_typed_time = pa.types.is_temporal(stamps.type)
        if is_typed_time:
            zone = getattr(stamps.type, "tz", None)
            # A date becomes its midnight, and a stamp without a zone is taken as UTC.
            stamps = stamps.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64())
        values = [table.column(place).to_pylist() for place in places[1:]]
        moments = stamps.to_pylist()
    except pa.ArrowException as error:
        summary = str(error).split("\n", 1)[0]
        raise ValueError(f"{path}: no readable Parquet: {summary}") from error
    for number, (stamp, *cells) in enumerate(zip(moments, *values, strict=True), start=1):
        yield Cells(f"row {number}", stamp, cells, is_ms=is_typed_time and stamp is not None)


def _places(where: str, header: Sequence[str]) -> list[int]:
    names = [name.strip().lower().replace(" ", "_") for name in header]
    stamp = next((name for name in TIME_COLUMNS if name in names), None)
    missing = [name for name in VALUE_COLUMNS if name not in names]
    if stamp is None:
        missing.insert(0, TIME_COLUMNS[0])
    if missing or stamp is None:
        found = ", ".join(header)[:120]
        raise ValueError(
            f"{where}: no {', '.join(missing)}; expected {EXPECTED_COLUMNS}; found {found!r}"
        )
    return [names.index(name) for name in (stamp, *VALUE_COLUMNS)]


def _row(where: str, cells: Cells) -> Row:
    if cells.fault:
        raise ValueError(f"{where}: {cells.fault}")
    return _values(where, _open_ms(where, cells), cells.values)


def _open_ms(where: str, cells: Cells) -> int:
    try:
        return open_ms_of(cells)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def open_ms_of(cells: Cells) -> int:
    """The open time of a row, told apart from other units by its size; ValueError."""
    if cells.is_ms:
        return int(cells.stamp)
    try:
        return _stamp_ms(cells.stamp)
    except (ValueError, OverflowError, TypeError) as error:
        text = f"{cells.stamp!r} is no time, expected epoch s, ms, us, ns or ISO 8601"
        raise ValueError(text) from error


def _values(where: str, open_ms: int, cells: Sequence[Any]) -> Row:
    try:
        opened, high, low, close, volume = map(float, cells)
        is_finite = math.isfinite(opened + high + low + close + volume)
    except (ValueError, TypeError):
        is_finite = False
    if is_finite:
        return open_ms, opened, high, low, close, volume
    for name, cell in zip(VALUE_COLUMNS, cells, strict=True):
        if not _is_number(cell):
            raise ValueError(f"{where}: {name} is {cell!r}, expected a finite number")
    raise ValueError(f"{where}: numbers too large to be prices")


def _is_number(cell: Any) -> bool:
    try:
        return math.isfinite(float(cell))
    except (ValueError, TypeError):
        return False


def _stamp_ms(stamp: Any) -> int:
    if isinstance(stamp, str):
        stamp = stamp.strip()
        if stamp.isdecimal() and len(stamp) > 8:
            return _epoch_ms(int(stamp))
        try:
            number = float(stamp)
        except ValueError:
            return _iso_ms(stamp)
        # Eight digits are a date without dashes, not a second of 1970.
        return _iso_ms(stamp) if number < _STAMP_MIN else _epoch_ms(number)
    return _epoch_ms(stamp)


def _epoch_ms(stamp: float) -> int:
    if stamp >= _STAMP_MIN:
        for limit, factor, divisor in _STAMP_LIMITS:
            if stamp < limit:
                return int(stamp * factor // divisor)
    raise ValueError("out of range")


def _iso_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp() * 1_000 + 0.5)
