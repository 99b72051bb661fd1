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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith(b"PAR1"):
        rows = list(_parquet_rows(path, content))
    else:
        rows = list(_csv_rows(path, _text(path, content)))
    if not rows:
        raise ValueError(f"{path}: holds no bars, expected at least one")
    rows.sort(key=lambda row: row[0])
    return rows


def timeframe_of(rows: Sequence[Row]) -> str:
    """The commonest spacing of ascending rows, such as "1h".

    Raises ValueError where there are not two bars a second or more apart.
    """
    spacings = Counter(after[0] - before[0] for before, after in pairwise(rows))
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


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    first_line = text.split("\n", 1)[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(lines, None)
        if header is None:
            raise ValueError(f"{path}: empty file, expected a header with {EXPECTED_COLUMNS}")
        places = _places(f"{path}: line 1", header)
        stamp_place, *value_places = places
        last_place = max(places)
        for cells in lines:
            if not cells:
                continue
            if len(cells) <= last_place:
                raise ValueError(
                    f"{path}: line {lines.line_num}: {len(cells)} cells, "
                    f"expected {len(header)} as in the header"
                )
            stamp, values = cells[stamp_place], [cells[place] for place in value_places]
            yield _row(f"{path}: line {lines.line_num}", stamp, values)
    except csv.Error as error:
        raise ValueError(f"{path}: line {lines.line_num}: no CSV: {error}") from error


def _parquet_rows(path: Path, content: bytes) -> Iterator[Row]:
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
        if is_typed_time and stamp is not None:
            yield _values(f"{path}: row {number}", stamp, cells)
        else:
            yield _row(f"{path}: row {number}", stamp, cells)


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


def _row(where: str, stamp: Any, cells: Sequence[Any]) -> Row:
    try:
        open_ms = _stamp_ms(stamp)
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(
            f"{where}: {stamp!r} is no time, expected epoch s, ms, us, ns or ISO 8601"
        ) from error
    return _values(where, open_ms, cells)


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
