import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.store.joining import joined

DATA = Path(__file__).parents[4] / "shared" / "data"
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00Z


def line(hour: int, close: float = 101.0, volume: str = "5.0", high: float = 110.0) -> str:
    return f"{START_MS + hour * HOUR_MS},100.0,{high},90.0,{close},{volume}"


def a_file(folder: Path, name: str, lines: list[str]) -> Path:
    path = folder / name
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines, ""]))
    return path


def test_files_that_overlap_and_agree_are_one_recording_in_the_order_of_time(
    tmp_path: Path,
) -> None:
    later = a_file(tmp_path, "later.csv", [line(hour) for hour in (3, 4, 4, 5)])
    # The same numbers, written another way.
    early = a_file(tmp_path, "early.csv", [line(hour, volume="5") for hour in (3, 2, 1, 0)])

    timeframe, rows = joined([later, early])

    assert timeframe == "1h"
    assert [(row[0] - START_MS) // HOUR_MS for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows == joined([early, later])[1]


def refusal(paths: list[Path]) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        joined(paths)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_files_that_contradict_each_other_are_refused_with_file_time_and_both_rows(
    tmp_path: Path,
) -> None:
    one = a_file(tmp_path, "one.csv", [line(hour) for hour in range(4)])
    other = a_file(tmp_path, "other.csv", [line(2), line(3, close=102.5), line(4)])

    said = refusal([one, other])

    assert said.startswith(f"{other}: 2024-01-01T03:00:00.000Z differs from {one}: ")
    assert "close 102.5 volume 5.0 against open 100.0" in said
    assert said.endswith("close 101.0 volume 5.0")


def test_one_file_that_contradicts_itself_is_refused_too(tmp_path: Path) -> None:
    path = a_file(tmp_path, "twice.csv", [line(0), line(1), line(1, volume="5.1"), line(2)])

    assert refusal([path]).startswith(f"{path}: 2024-01-01T01:00:00.000Z is there twice")


def test_bars_of_other_lengths_off_the_grid_or_impossible_are_refused(tmp_path: Path) -> None:
    hours = a_file(tmp_path, "hours.csv", [line(hour) for hour in range(4)])
    days = a_file(tmp_path, "days.csv", [line(24 * day) for day in range(1, 4)])
    stray = a_file(
        tmp_path, "stray.csv", [line(0), line(1), line(2), line(3).replace("00,", "01,")]
    )
    low = a_file(tmp_path, "low.csv", [line(0), line(1, high=100.5), line(2)])
    free = a_file(tmp_path, "free.csv", [line(0), line(1).replace(",90.0", ",0.0"), line(2)])
    alone = a_file(tmp_path, "alone.csv", [line(0)])

    assert f"{hours} has 1h, {days} has 1d" in refusal([hours, days])
    assert refusal([stray]).startswith(f"{stray}: 2024-01-01T03:00:00.001Z is off the grid of 1h")
    assert refusal([low]).startswith(f"{low}: 2024-01-01T01:00:00.000Z is no bar: open 100.0")
    assert "is no bar" in refusal([free])
    assert refusal([alone]).startswith(f"{alone}: a recording needs at least two bars")


def recorded(name: str) -> Path:
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"no recording at {path.name}: it is not part of this repository")
    return path


def test_hourly_bitcoin_of_three_sources_is_one_series() -> None:
    names = ("BTCUSDT-1h-darwinia", "BTCUSDT-1h-nic", "BTCUSDT-1h-bumpycroc")

    timeframe, rows = joined([recorded(name) for name in names])

    assert (timeframe, len(rows)) == ("1h", 66_685)
    assert all(before[0] < after[0] for before, after in pairwise(rows))


def test_a_recording_known_to_contradict_itself_is_refused() -> None:
    path = recorded("BTCUSDT-1h-cddsiah")

    assert f"{path}: 2020-" in refusal([path])
    assert gzip.decompress(path.read_bytes()).startswith(b"timestamp")
