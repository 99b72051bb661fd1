import gzip
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.store.recordings import read_recording, timeframe_of

STAMP_MS = 1_529_798_400_000  # 2018-06-24T00:00Z
HEADER = "timestamp,open,high,low,close,volume\n"
ROW = (STAMP_MS, 1.0, 2.0, 0.5, 1.5, 10.25)
DATA = Path(__file__).parents[4] / "shared" / "data"


def a_file(tmp_path: Path, content: str, name: str = "bars.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def a_table(**changes: object) -> pa.Table:
    columns: dict[str, object] = {
        "timestamp": [STAMP_MS + 60_000, STAMP_MS],
        "open": [1.1, 1.0],
        "high": [2.0, 2.0],
        "low": [0.5, 0.5],
        "close": [1.5, 1.5],
        "volume": [3, 10.25],
    }
    return pa.table(columns | changes)


def a_parquet_file(tmp_path: Path, table: pa.Table) -> Path:
    path = tmp_path / "bars.parquet"
    pq.write_table(table, path)
    return path


def test_columns_are_found_by_name_in_any_case_and_order(tmp_path: Path) -> None:
    path = a_file(
        tmp_path, f"Volume,Close,LOW,high,Open,x,Open Time\n10.25,1.5,0.5,2,1,,{STAMP_MS}\n"
    )

    assert read_recording(path) == [ROW]


@pytest.mark.parametrize("name", ["timestamp", "open_time", "Time", "DATE", "datetime"])
def test_each_usual_name_of_the_time_column_is_known(tmp_path: Path, name: str) -> None:
    path = a_file(tmp_path, f"{name},open,high,low,close,volume\n{STAMP_MS},1,2,0.5,1.5,10.25\n")

    assert read_recording(path) == [ROW]


def test_semicolons_blank_lines_a_byte_order_mark_and_windows_ends_are_read(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}{STAMP_MS},1,2,0.5,1.5,10.25\n\n".replace(",", ";").replace("\n", "\r\n")

    assert read_recording(a_file(tmp_path, text)) == [ROW]


def test_gzip_is_told_by_its_content_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "bars.data"
    path.write_bytes(gzip.compress(f"{HEADER}{STAMP_MS},1,2,0.5,1.5,10.25\n".encode()))

    assert read_recording(path) == [ROW]
    assert read_recording(str(path)) == [ROW]


@pytest.mark.parametrize(
    "stamp",
    [
        "1529798400",
        "1529798400.0",
        "1529798400000",
        "1529798400000000",
        "1529798400000000000",
        "2018-06-24T00:00:00Z",
        "2018-06-24 00:00:00",
        "2018-06-24",
        "20180624",
        "2018-06-24T00:00:00.000+00:00",
        "2018-06-24T02:00:00+02:00",
    ],
)
def test_every_spelling_of_a_stamp_is_the_same_moment(tmp_path: Path, stamp: str) -> None:
    path = a_file(tmp_path, f"{HEADER}{stamp},1,2,0.5,1.5,10.25\n")

    assert read_recording(path) == [ROW]


@given(stamp_s=st.integers(10**8, 10**10), unit=st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_the_unit_of_an_epoch_is_told_by_its_size(
    tmp_path_factory: pytest.TempPathFactory, stamp_s: int, unit: int
) -> None:
    path = a_file(tmp_path_factory.getbasetemp(), f"{HEADER}{stamp_s * unit},1,2,0.5,1.5,10.25\n")

    assert read_recording(path)[0][0] == stamp_s * 1_000


def test_seconds_and_milliseconds_in_one_column_are_both_understood(tmp_path: Path) -> None:
    lines = f"{STAMP_MS + 3_600_000},1,2,0.5,1.5,1\n{STAMP_MS // 1_000},1,2,0.5,1.5,2\n"

    rows = read_recording(a_file(tmp_path, HEADER + lines))

    assert [row[0] for row in rows] == [STAMP_MS, STAMP_MS + 3_600_000]


def test_rows_come_back_ascending_and_duplicates_are_left_to_who_uses_them(tmp_path: Path) -> None:
    lines = "".join(f"{STAMP_MS + 60_000 * at},1,2,0.5,1.5,10.25\n" for at in (2, 0, 1, 0))

    rows = read_recording(a_file(tmp_path, HEADER + lines))

    assert [(row[0] - STAMP_MS) // 60_000 for row in rows] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty file, expected a header"),
        (HEADER, "holds no bars"),
        ("timestamp,open,high,close\n1,2,3,4\n", "line 1: no low, volume; expected timestamp"),
        ("open,high,low,close,volume\n1,2,3,4,5\n", "line 1: no timestamp; expected"),
        (f"{STAMP_MS},1,2,0.5,1.5,10\n", "line 1: no timestamp, open"),
        (f"{HEADER}{STAMP_MS},1,2,0.5,1.5,10\n{STAMP_MS},1,x,0.5,1.5,10\n", "line 3: high is 'x'"),
        (f"{HEADER}{STAMP_MS},1,2,0.5,nan,10\n", "line 2: close is 'nan', expected a finite"),
        (f"{HEADER}{STAMP_MS},1,2,0.5,1.5,\n", "line 2: volume is ''"),
        (f"{HEADER}{STAMP_MS},1e308,1e308,1,1,1\n", "line 2: numbers too large"),
        (f"{HEADER}{STAMP_MS},1,2,0.5\n", "line 2: 4 cells, expected 6"),
        (f"{HEADER}2017-11-05 12-AM,1,2,0.5,1.5,1\n", "line 2: '2017-11-05 12-AM' is no time"),
        (f"{HEADER},1,2,0.5,1.5,1\n", "line 2: '' is no time"),
        (f"{HEADER}{10**21},1,2,0.5,1.5,1\n", "is no time, expected epoch s, ms, us, ns"),
        (f"{HEADER}inf,1,2,0.5,1.5,1\n", "is no time"),
        (f"{HEADER}-5,1,2,0.5,1.5,1\n", "is no time"),
        (f"{HEADER}{'9' * 140_000},1,2,0.5,1.5,1\n", "line 2: no CSV: field larger"),
        ("\udce4", "neither CSV text"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_with_file_line_and_what_was_expected(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ValueError, match=says) as refused:
        read_recording(path)

    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.csv: cannot be read: No such file"):
        read_recording(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_recording(tmp_path)


def test_a_torn_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}{STAMP_MS},1,2,0.5,1.5,10\n".encode())[:-9])

    with pytest.raises(ValueError, match="broken gzip file"):
        read_recording(path)


@pytest.mark.parametrize(
    "stamps",
    [
        [STAMP_MS + 60_000, STAMP_MS],
        [(STAMP_MS + 60_000) / 1_000, STAMP_MS / 1_000],
        ["2018-06-24T00:01:00Z", "2018-06-24 00:00"],
        [datetime(2018, 6, 24, 0, 1), datetime(2018, 6, 24)],  # noqa: DTZ001
        [datetime(2018, 6, 24, 0, 1, tzinfo=UTC), datetime(2018, 6, 24, tzinfo=UTC)],
        [
            datetime(2018, 6, 24, 2, minute, tzinfo=timezone(timedelta(hours=2)))
            for minute in (1, 0)
        ],
    ],
)
def test_parquet_holds_the_same_rows_as_csv_whatever_its_time_type(
    tmp_path: Path, stamps: list[object]
) -> None:
    path = a_parquet_file(tmp_path, a_table(timestamp=stamps))

    assert read_recording(path) == [ROW, (STAMP_MS + 60_000, 1.1, 2.0, 0.5, 1.5, 3.0)]


def test_parquet_with_a_missing_column_or_cell_or_a_torn_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns: no volume; expected"):
        read_recording(a_parquet_file(tmp_path, a_table().drop_columns(["volume"])))
    with pytest.raises(ValueError, match="row 2: open is None, expected a finite number"):
        read_recording(a_parquet_file(tmp_path, a_table(open=[1.0, None])))
    with pytest.raises(ValueError, match="row 1: None is no time"):
        read_recording(
            a_parquet_file(tmp_path, a_table(timestamp=[None, datetime(2018, 6, 24, tzinfo=UTC)]))
        )
    with pytest.raises(ValueError, match="row 1: 5 is no time"):
        read_recording(a_parquet_file(tmp_path, a_table(timestamp=[5, 6])))
    with pytest.raises(ValueError, match="holds no bars"):
        read_recording(a_parquet_file(tmp_path, a_table().slice(0, 0)))
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(a_parquet_file(tmp_path, a_table()).read_bytes()[:-20])
    with pytest.raises(ValueError, match="no readable Parquet") as refused:
        read_recording(torn)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spacing_s", "timeframe"),
    [
        (1, "1s"),
        (60, "1m"),
        (300, "5m"),
        (3_600, "1h"),
        (14_400, "4h"),
        (86_400, "1d"),
        (90, "90s"),
    ],
)
def test_the_commonest_spacing_is_the_timeframe(spacing_s: int, timeframe: str) -> None:
    rows = [(STAMP_MS + slot * spacing_s * 1_000, *ROW[1:]) for slot in (0, 1, 1, 4, 5, 8)]

    assert timeframe_of(rows) == timeframe


def test_one_bar_shows_no_timeframe() -> None:
    for rows in ([], [ROW], [ROW, ROW], [ROW, (STAMP_MS + 5, *ROW[1:])]):
        with pytest.raises(ValueError, match="at least two bars"):
            timeframe_of(rows)


def test_reading_csv_loads_no_parquet_library(tmp_path: Path) -> None:
    path = a_file(tmp_path, f"{HEADER}{STAMP_MS},1,2,0.5,1.5,10\n")
    program = (
        "import sys; from daemon.store.recordings import read_recording;"
        f"read_recording({str(path)!r}); print('pyarrow' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.strip() == "False"


def test_the_real_recording_has_every_row_in_order() -> None:
    path = DATA / "BTCUSDT-1h-nic.csv.gz"
    if not path.exists():
        pytest.skip(f"the recording {path.name} is not beside this checkout")

    rows = read_recording(path)

    assert len(rows) == 58_419
    assert rows[0][0] == 1_502_942_400_000
    assert all(before[0] < after[0] for before, after in pairwise(rows))
