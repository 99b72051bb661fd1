import os
import shutil
from pathlib import Path

from daemon.running.process.growth import Growth
from daemon.running.process.reading import read_process


def test_a_process_of_this_system_says_everything(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.write_bytes(b"x" * 1_000)
    (tmp_path / "journal.db-wal").write_bytes(b"x" * 500)

    reading = read_process(tmp_path, journal)

    assert reading.journal_bytes == 1_500
    assert reading.memory_bytes is not None
    assert 5_000_000 < reading.memory_bytes < 100_000_000_000
    assert reading.disk_free_bytes is not None
    assert abs(reading.disk_free_bytes - shutil.disk_usage(tmp_path).free) < 2_000_000_000
    assert reading.disk_error == ""
    assert reading.open_files is not None
    assert 3 <= reading.open_files <= reading.open_files_max
    assert reading.threads is not None
    assert reading.threads >= 1


def test_more_open_files_are_counted(tmp_path: Path) -> None:
    def count() -> int:
        return read_process(tmp_path, tmp_path / "none").open_files or 0

    before = count()
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(5)]
    during = count()
    for each in opened:
        os.close(each)

    assert during - before == 5


def test_what_the_system_does_not_say_is_none_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("nonsense")

    reading = read_process(tmp_path / "gone", tmp_path / "journal.db", own=tmp_path)

    assert reading.disk_free_bytes is None
    assert reading.disk_error == "No such file or directory"
    assert (reading.memory_bytes, reading.open_files, reading.threads) == (None, None, None)
    assert reading.journal_bytes == 0


def test_growth_is_told_once_enough_of_its_window_has_passed() -> None:
    growth = Growth(2_400.0)
    growth.note(0.0, 1_000)
    told = [growth.a_second()]
    growth.note(99.0, 5_000)
    told.append(growth.a_second())
    growth.note(100.0, 1_200)
    told.append(growth.a_second())

    assert told == [None, None, 2.0]
    assert Growth(10.0).a_second() is None


def test_growth_forgets_what_is_older_than_its_window() -> None:
    growth = Growth(960.0)
    for second in range(3_000):
        growth.note(float(second), 100 * min(second, 1_000))

    assert growth.a_second() == 0.0
