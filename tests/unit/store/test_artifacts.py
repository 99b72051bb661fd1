"""Files that only grow: a line that was cut off costs itself and nothing that comes after it."""

from pathlib import Path

import msgspec
import pytest

from daemon.store.artifacts import append_durably, lines_of


class Line(msgspec.Struct, frozen=True):
    text: str


def append(path: Path, text: str) -> None:
    append_durably(path, msgspec.json.encode(Line(text)))


def test_lines_are_read_as_they_were_written_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append(path, "one")
    append(path, "zwei \u00fc\nno new line")

    assert lines_of(path, Line) == [Line("one"), Line("zwei \u00fc\nno new line")]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("cut_bytes", [1, 3, 4])  # the new line, a quote, half of a letter
def test_a_line_that_was_cut_off_does_not_take_the_next_one_with_it(
    tmp_path: Path, cut_bytes: int
) -> None:
    path = tmp_path / "lines"
    append(path, "one")
    append(path, "\u00fc")
    path.write_bytes(path.read_bytes()[:-cut_bytes])

    append(path, "three")
    append(path, "four")

    found = lines_of(path, Line)
    assert [found[0], *found[-2:]] == [Line("one"), Line("three"), Line("four")]
    assert len(found) == (4 if cut_bytes == 1 else 3)


def test_bytes_that_are_no_text_cost_their_own_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"text":"\xc3"}\n')

    append(path, "two")

    assert lines_of(path, Line) == [Line("two")]
