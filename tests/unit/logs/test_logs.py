"""Log lines: registered, readable by machines and people, bounded, never in the way of trading."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.core.clock import ManualClock
from daemon.core.timeframes import NS_PER_S, parse_time
from daemon.logs import writing as logs
from daemon.logs.text import LINE_BYTES_MAX
from tests.builders import RUN

NOW_NS = parse_time("2024-01-01T01:00:00.412Z")
FINISHED = dict.fromkeys(
    (
        *("mode", "market", "symbols", "bars", "decisions", "signals", "suppressed", "denied"),
        *("orders", "fills", "round_trips", "holes", "outage_slots", "gaps_traded", "fees_quote"),
        *("pnl_quote", "equity_quote", "drawdown_ratio", "auc", "auc_low", "auc_high", "auc_n"),
        *("health", "edge_shown", "verdict"),
    )
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    yield io.StringIO()
    logs.release()


def configured(stream: io.StringIO, **options: Any) -> logs.Log:
    chosen: dict[str, Any] = {"format": "json", "run": RUN, "clock": ManualClock(NOW_NS)} | options
    return logs.configure(stream=stream, **chosen)


def caught(error: Exception) -> Exception:
    """The error with a traceback through a function that knew something private."""
    private = "local variable"
    try:
        raise error
    except type(error) as with_traceback:
        assert private
        return with_traceback


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_common_fields_in_front(out: io.StringIO) -> None:
    configured(out)

    logs.emit("run.resumed", events=2_000, steps=400)

    assert out.getvalue() == (
        '{"ts":"2024-01-01T01:00:00.412Z","level":"info","event":"run.resumed",'
        f'"run":"{RUN}","events":2000,"steps":400}}\n'
    )


def test_without_a_run_the_line_says_none(out: io.StringIO) -> None:
    configured(out, run="")

    logs.emit("run.resumed", events=0, steps=0)

    assert "run" not in lines_of(out)[0]


def test_an_event_outside_the_registry_is_a_bug(out: io.StringIO) -> None:
    configured(out)

    with pytest.raises(AssertionError, match=r"moon\.risen is not in"):
        logs.emit("moon.risen")


def test_a_field_outside_the_registry_is_a_bug_at_every_level(out: io.StringIO) -> None:
    configured(out, level="error")

    with pytest.raises(AssertionError, match="has no field tide"):
        logs.emit("run.resumed", events=1, steps=1, tide="high")


def test_a_missing_field_is_a_bug(out: io.StringIO) -> None:
    configured(out)

    with pytest.raises(AssertionError, match="lacks steps"):
        logs.emit("run.resumed", events=1)


def test_lines_below_the_level_are_not_written(out: io.StringIO) -> None:
    log = configured(out, level="warning")

    logs.emit("run.resumed", events=1, steps=1)
    logs.emit("exchange.lost", error="gone")

    assert [line["event"] for line in lines_of(out)] == ["exchange.lost"]
    assert not log.is_enabled("run.resumed")
    assert log.is_enabled("daemon.halted")


def test_the_last_line_of_a_run_is_written_at_every_level(out: io.StringIO) -> None:
    configured(out, level="error")

    logs.emit("run.finished", **FINISHED)

    assert [line["event"] for line in lines_of(out)] == ["run.finished"]


def test_what_is_absent_is_left_out_and_what_is_required_is_null(out: io.StringIO) -> None:
    configured(out)

    logs.emit("run.finished", **FINISHED, halted=None)

    (line,) = lines_of(out)
    assert line["auc"] is None
    assert "halted" not in line


def test_the_last_line_has_every_field_of_the_contract(out: io.StringIO) -> None:
    configured(out)

    logs.emit("run.finished", **FINISHED)

    assert set(lines_of(out)[0]) == {"ts", "level", "event", "run", *FINISHED}


def test_money_is_plain_decimal_text(out: io.StringIO) -> None:
    configured(out)

    logs.emit("run.finished", **FINISHED | {"fees_quote": Decimal("1E-8"), "denied": {"halted": 3}})

    (line,) = lines_of(out)
    assert line["fees_quote"] == "0.00000001"
    assert line["denied"] == {"halted": 3}


def test_an_exception_is_logged_without_its_variables(out: io.StringIO) -> None:
    configured(out)

    logs.emit("daemon.failed", error="a bug", exc_info=caught(LookupError("no such order")))

    (line,) = lines_of(out)
    assert "LookupError: no such order" in line["exception"]
    assert "in caught" in line["exception"], "the place is named"
    assert "local variable" not in out.getvalue()


def test_a_line_is_never_longer_than_the_journal_takes(out: io.StringIO) -> None:
    configured(out, is_journal=True)

    logs.emit("exchange.lost", error="x" * 100_000)
    logs.emit("exchange.lost", error="\0€" * 20_000)
    logs.emit("history.loading", done=1, total=2, detail={str(n): "y" * 100 for n in range(999)})

    for line in out.getvalue().splitlines(keepends=True):
        assert len(line.encode()) <= LINE_BYTES_MAX
        cut = json.loads(line[3:])
        assert any("...cut" in str(value) for value in cut.values())
    assert '"error":"xxxx' in out.getvalue()
    assert f"...cut {100_000 - 400} bytes" in out.getvalue()


def test_a_line_just_within_the_limit_is_not_cut(out: io.StringIO) -> None:
    configured(out)
    logs.emit("exchange.lost", error="")
    free = LINE_BYTES_MAX - len(out.getvalue()) - len("<3>")

    logs.emit("exchange.lost", error="x" * free)
    logs.emit("exchange.lost", error="x" * (free + 1))

    assert [len(line["error"]) > 1_000 for line in lines_of(out)] == [False, True, False]


def test_text_that_is_no_text_is_still_a_line(out: io.StringIO) -> None:
    configured(out)

    logs.emit("exchange.lost", error="half a pair \ud800")

    assert lines_of(out)[0]["error"] == "half a pair ?"


def test_only_the_journal_gets_a_priority_in_front(out: io.StringIO) -> None:
    configured(out, is_journal=True, level="debug")

    logs.emit("run.resumed", events=1, steps=1)
    logs.emit("queue.overflow", waiting=1, coalesced=1)
    logs.emit("exchange.lost", error="gone")
    logs.emit("daemon.failed", error="a bug")

    assert [line[:4] for line in out.getvalue().splitlines()] == ["<6>{", "<4>{", "<3>{", "<2>{"]


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        state = os.fstat(stream.fileno())

        assert logs.is_journal_stream(stream, f"{state.st_dev}:{state.st_ino}")
        assert not logs.is_journal_stream(stream, f"{state.st_dev}:{state.st_ino + 1}")
        assert not logs.is_journal_stream(stream, None)
    assert not logs.is_journal_stream(io.StringIO(), "1:2")


def test_colour_needs_a_terminal_that_does_not_refuse_it() -> None:
    assert logs.wants_color(Terminal(), None)
    assert logs.wants_color(Terminal(), "")
    assert not logs.wants_color(Terminal(), "1")
    assert not logs.wants_color(io.StringIO(), None)


def test_a_terminal_gets_columns_and_everything_else_gets_json(out: io.StringIO) -> None:
    terminal = Terminal()
    logs.configure(stream=terminal, run=RUN)
    logs.emit("exchange.lost", error="no answer")
    logs.configure(stream=out, run=RUN)
    logs.emit("exchange.lost", error="no answer")

    assert terminal.getvalue().count("\x1b[") == 2, "the event is coloured"
    assert "exchange.lost" in terminal.getvalue()
    assert 'error="no answer"' in terminal.getvalue()
    assert lines_of(out)[0]["error"] == "no answer"


def test_columns_line_up_and_begin_with_market_time() -> None:
    terminal = Terminal()
    configured(terminal, format="console", has_color=False)

    for symbol in ("BTC/USDT", "A/B"):
        logs.emit(
            "feed.stale",
            exchange="binance",
            symbol=symbol,
            at="2024-01-01T01:00:00.412Z",
            silent_s=92.5,
            action="reconnect",
        )
    logs.release()

    first, second = terminal.getvalue().splitlines()
    assert first.startswith("2024-01-01 01:00:00 BTC/USDT   warning  feed.stale ")
    assert second.startswith("2024-01-01 01:00:00 A/B        warning  feed.stale ")
    assert first.endswith("feed.stale         silent_s=92.5 action=reconnect")


def test_columns_of_several_exchanges_tell_one_symbol_from_the_other() -> None:
    terminal = Terminal()
    configured(terminal, format="console", has_color=False, shows_exchange=True)

    for exchange in ("okx", "embedded-b"):
        at = "2024-01-01T01:00:00.412Z"
        logs.emit("feed.recovered", exchange=exchange, symbol="BTC/USDT", at=at)
    logs.emit("exchange.lost", exchange="okx", error="gone")
    logs.release()

    assert terminal.getvalue().splitlines() == [
        "2024-01-01 01:00:00 okx:BTC/USDT        info     feed.recovered",
        "2024-01-01 01:00:00 embedded-b:BTC/USDT info     feed.recovered",
        " " * 40 + "error    exchange.lost      exchange=okx error=gone",
    ]


def test_text_of_strangers_cannot_command_the_terminal() -> None:
    terminal = Terminal()
    configured(terminal, format="console", has_color=False)

    logs.emit("exchange.lost", error="\x1b[2J\r\nall is well")
    logs.release()

    assert "\x1b" not in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1


def test_libraries_are_heard_from_warnings_up(out: io.StringIO) -> None:
    configured(out)
    library = logging.getLogger("tests.library")

    library.info("not said")
    library.warning("slow answer: %d ms", 900)
    library.error("request failed", exc_info=caught(OSError("no route")))

    warned, failed = lines_of(out)
    assert warned["event"] == "library.warned"
    assert (warned["logger"], warned["message"]) == ("tests.library", "slow answer: 900 ms")
    assert failed["event"] == "library.failed"
    assert failed["level"] == "error"
    assert "OSError: no route" in failed["exception"]


def test_a_library_whose_arguments_do_not_fit_is_still_heard(out: io.StringIO) -> None:
    configured(out)
    record = logging.LogRecord(
        "tests.library", logging.ERROR, __file__, 1, "no %d", ("number",), exc_info=None
    )

    logs._handlers[0].handle(record)

    assert lines_of(out)[0]["message"] == "no %d"


def test_a_library_that_repeats_itself_is_heard_once_a_minute(out: io.StringIO) -> None:
    clock = ManualClock(NOW_NS)
    configured(out, clock=clock)
    library = logging.getLogger("tests.library")

    for _ in range(50):
        library.warning("still no answer")
    library.warning("something else")
    clock.advance_to(NOW_NS + 61 * NS_PER_S)
    library.warning("still no answer")
    library.warning("still no answer")

    assert [(line["event"], line.get("repeated")) for line in lines_of(out)] == [
        ("library.warned", None),
        ("library.warned", None),
        ("log.repeated", 49),
    ]


def test_only_so_many_messages_are_remembered(out: io.StringIO) -> None:
    configured(out)
    library = logging.getLogger("tests.library")

    for n in range(300):
        library.warning("message %d", n)
    library.warning("message 299")
    library.warning("message 0")

    assert [line["message"] for line in lines_of(out)[300:]] == ["message 0"]


def test_configuring_again_replaces_what_was_there(out: io.StringIO) -> None:
    before = io.StringIO()
    configured(before)
    configured(out)

    logging.getLogger("tests.library").warning("once")
    logs.emit("exchange.lost", error="gone")

    assert before.getvalue() == ""
    assert len(lines_of(out)) == 2


def test_released_logs_are_gone(out: io.StringIO) -> None:
    configured(out)
    logs.release()

    with pytest.raises(AssertionError, match="before they are configured"):
        logs.emit("exchange.lost", error="gone")
    assert out.getvalue() == ""


def test_a_stream_that_cannot_be_written_does_not_stop_the_daemon(out: io.StringIO) -> None:
    configured(out)
    out.close()

    logs.emit("exchange.lost", error="nobody hears this")

    assert out.closed


def test_a_stream_with_fewer_characters_gets_escapes() -> None:
    raw = io.BytesIO()
    ascii_stream = io.TextIOWrapper(raw, encoding="ascii")
    logs.configure(stream=ascii_stream, run=RUN)

    logs.emit("exchange.lost", error="zu spät 🕐")
    logs.release()

    assert json.loads(raw.getvalue())["error"] == "zu spät 🕐"


def test_a_reader_that_leaves_does_not_end_the_program() -> None:
    program = (
        "import sys\n"
        "from daemon.logs import writing as logs\n"
        "logs.configure()\n"
        "sys.stdin.readline()\n"
        "for n in range(3):\n"
        "    logs.emit('run.resumed', events=n, steps=n)\n"
        "sys.stderr.write('done')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        said = process.stderr.read()
        code = process.wait()

    assert (code, said) == (0, b"done")
