import ast
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon"
TESTS = ROOT / "tests"

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

CLOCKS = ("daemon/core/clock.py",)
# A name, where it may stand nonetheless, and what to write instead.
BANNED: dict[str, tuple[tuple[str, ...], str]] = {
    "asyncio.wait_for": ((), "it can swallow a cancellation; use asyncio.timeout"),
    "asyncio.get_event_loop": ((), "use asyncio.get_running_loop"),
    "uuid.uuid4": ((), "ids are derived from what they name"),
    "uuid4": ((), "ids are derived from what they name"),
    "time.time": (CLOCKS, "take a Clock"),
    "time.time_ns": (CLOCKS, "take a Clock"),
    "time.sleep": ((), "wait for the event itself"),
    "datetime.now": ((), "take a Clock"),
    "datetime.utcnow": ((), "take a Clock"),
    "print": (("daemon/cli/",), "write through the logs, or return it to the command line"),
    "eval": ((), "parse it"),
    "exec": ((), "parse it"),
}
BANNED_IN_TESTS = {
    "time.sleep": "wait for the event itself",
    "mock.patch": "fake the port",
    "patch": "fake the port",
    "monkeypatch.setattr": "fake the port",
    "monkeypatch.setenv": "pass the environment in",
}
ABBREVIATED = re.compile(r"(?<![A-Za-z])pct(?![A-Za-z])", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(FIXME|TODO|XXX|HACK)\b")


def in_folder(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines"


def banned_names(path: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call | ast.Attribute):
            continue
        name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
        for banned, (places, instead) in BANNED.items():
            is_it = name == banned or ("." in banned and name.endswith(f".{banned}"))
            if is_it and not path.startswith(places or ("nowhere",)):
                yield f"{node.lineno}: {banned}: {instead}"


def unfinished(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT and UNFINISHED.search(token.string):
            yield f"{token.start[0]}: {token.string}"


def unclear_units(source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), 1):
        if ABBREVIATED.search(line.replace("_", " ")):
            yield f"{number}: 0.15 and 15 both look right there; say ratio"


def reported(files: list[Path], look: object) -> list[str]:
    assert callable(look)
    return [f"{path.relative_to(ROOT)}:{text}" for path in files for text in look(path.read_text())]


def test_no_file_is_too_long() -> None:
    found = []
    for path in in_folder(DAEMON):
        name = path.relative_to(ROOT).as_posix()
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES_MAX:
            found.append(f"{name} has {lines} lines")

    assert found == []


def test_no_function_is_too_long() -> None:
    assert reported(in_folder(DAEMON), long_functions) == []


def test_no_banned_name_is_used() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{text}"
        for path in in_folder(DAEMON)
        for text in banned_names(path.relative_to(ROOT).as_posix(), path.read_text())
    ]

    assert found == []


def test_no_test_patches_or_sleeps() -> None:
    found = []
    for path in in_folder(TESTS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_IN_TESTS:
                name = ast.unparse(node.func)
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                found.append(f"{where}: {name}: {BANNED_IN_TESTS[name]}")

    assert found == []


def test_nothing_is_left_unfinished() -> None:
    assert reported(in_folder(DAEMON) + in_folder(TESTS), unfinished) == []


def test_every_module_says_what_it_makes() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in in_folder(DAEMON)
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_no_name_hides_its_unit() -> None:
    assert reported(in_folder(DAEMON), unclear_units) == []


def test_the_configuration_hides_no_unit() -> None:
    assert list(unclear_units((ROOT / "config.toml").read_text())) == []


def test_every_module_is_used() -> None:
    sources = {path: path.read_text() for path in in_folder(DAEMON)}
    entries = {"__init__", "__main__"}

    dead = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if path.stem not in entries
        and not any(
            re.search(rf"\b{path.stem}\b", source)
            for other, source in sources.items()
            if other != path
        )
    ]

    assert dead == []


def test_a_planted_long_function_is_found() -> None:
    body = "\n".join(["    x = 1"] * FUNCTION_LINES_MAX)

    assert list(long_functions(f"def f():\n{body}")) == ["1: f has 61 lines"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("daemon/app.py", "import asyncio\nasyncio.wait_for(f, 1)"),
        ("daemon/app.py", "import uuid\nuuid.uuid4()"),
        ("daemon/app.py", "import time\nnow = time.time"),
        ("daemon/app.py", "import datetime\ndatetime.datetime.now()"),
        ("daemon/app.py", "print(1)"),
    ],
)
def test_a_planted_banned_name_is_found(path: str, source: str) -> None:
    assert list(banned_names(path, source)) != []


def test_a_banned_name_may_stand_where_it_belongs() -> None:
    assert list(banned_names("daemon/cli/status.py", "print(1)")) == []
    assert list(banned_names("daemon/core/clock.py", "import time\ntime.time_ns()")) == []


def test_a_planted_unfinished_remark_is_found() -> None:
    assert list(unfinished("x = 1  # " + "TO" + "DO later")) != []


def test_a_planted_unit_that_hides_is_found() -> None:
    assert list(unclear_units("max_position_" + "pct = 15")) != []
    assert list(unclear_units("distinct_" + "rows = 15")) == []
