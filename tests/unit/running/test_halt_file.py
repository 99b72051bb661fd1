import os
import threading
from pathlib import Path

import pytest

from daemon.running.halt_file import HaltFile


def test_without_the_file_nothing_is_asked_for_and_every_order_leaves(tmp_path: Path) -> None:
    file = HaltFile(tmp_path)

    assert list(file.asks(7)) == []
    assert file.fence(False) == file.fence(True) == file.must_stay_halted() == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the exchange is odd\nmore", "the exchange is odd"),
        ("", "the file {} is there"),
        ("\x1b[2J", "[2J"),
    ],
)
def test_the_file_asks_for_a_halt_with_its_first_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = HaltFile(tmp_path)
    file.path.write_text(text)

    (halt,) = file.asks(7)

    assert (halt.ts_ns, halt.who) == (7, "file HALT")
    assert halt.reason == reason.format(file.path)


def test_the_file_keeps_entries_back_and_no_exit_and_says_why_a_resume_is_of_no_use(
    tmp_path: Path,
) -> None:
    file = HaltFile(tmp_path)
    file.path.touch()

    assert str(file.path) in file.fence(False)
    assert file.fence(True) == ""
    assert str(file.path) in file.must_stay_halted()


def test_a_folder_or_a_dead_link_of_that_name_and_a_place_that_cannot_be_seen_count_too(
    tmp_path: Path,
) -> None:
    folder, link, hidden = (tmp_path / each for each in ("folder", "link", "hidden"))
    for each in (folder, link):
        each.mkdir()
    (folder / "HALT").mkdir()
    (link / "HALT").symlink_to("nowhere")
    hidden.write_text("not a folder")

    assert HaltFile(folder).is_there
    assert HaltFile(link).is_there
    assert HaltFile(hidden).is_there
    (asked,) = HaltFile(folder).asks(1)
    assert os.fspath(folder) in asked.reason


def test_a_pipe_of_that_name_halts_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    file = HaltFile(tmp_path)
    os.mkfifo(file.path)
    told: list[str] = []

    def look() -> None:
        told.extend(each.reason for each in file.asks(1))

    thread = threading.Thread(target=look, daemon=True)  # a wait would be for ever
    thread.start()
    thread.join(timeout=5.0)

    assert told == [f"the file {file.path} is there"]
    assert file.is_there
