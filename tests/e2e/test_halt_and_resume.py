"""A halt from outside outlives kill -9, ends by a resume alone, and is in the journal by name."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from typing import TYPE_CHECKING, Any

from daemon.core.events import HaltRequested, ResumeRequested
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import Tradingd, finished

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Line = dict[str, Any]

LINES_MAX = 20_000
LINE_WITHIN_S = 60


class Watched:
    """A running daemon whose lines are read as they come: a full pipe would hold it up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.pid = self.until(_is("run.started"))[-1]["pid"]

    def until(self, is_wanted: Callable[[Line], bool]) -> list[Line]:
        """All lines from here to the first one that is wanted, with it."""
        seen: list[Line] = []
        for _ in range(LINES_MAX):
            text = self._lines.get(timeout=LINE_WITHIN_S)
            assert text is not None, f"the daemon ended: {seen[-3:]}"
            seen.append(json.loads(text))
            if is_wanted(seen[-1]):
                return seen
        msg = f"not among {LINES_MAX} lines"
        raise AssertionError(msg)

    def end(self, number: signal.Signals) -> tuple[int, list[Line]]:
        """Signal it; its exit code and its last lines."""
        os.kill(self.pid, number)
        code = self.process.wait(LINE_WITHIN_S)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        rest = [json.loads(text) for text in iter(self._lines.get, None)]
        return code, rest

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(text)
        self._lines.put(None)


def _is(event: str, **fields: object) -> Callable[[Line], bool]:
    return lambda line: line["event"] == event and fields.items() <= line.items()


def _entries(lines: list[Line]) -> list[Line]:
    return [line for line in lines if _is("order.submitted", side="buy")(line)]


def _after(lines: list[Line], event: str) -> list[Line]:
    (where,) = (number for number, line in enumerate(lines) if line["event"] == event)
    return lines[where:]


IS_DENIED = _is("order.denied", reason="halted")


def test_a_halt_outlives_a_kill_and_ends_by_a_resume_alone(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    daemon = Watched(tradingd.start("--market", "synthetic", "--speed", "20"))
    try:
        daemon.until(_is("order.filled"))
        halted = tradingd.query("halt", "--reason", "looks wrong")
        first = daemon.until(IS_DENIED) + daemon.until(IS_DENIED)
        _, rest = daemon.end(signal.SIGKILL)

        daemon = Watched(tradingd.start("--resume", "last"))
        second = daemon.until(IS_DENIED)
        status = tradingd.query("status")
        resumed = tradingd.query("resume", "--reason", "seen why", "--confirm")
        third = daemon.until(_is("daemon.resumed"))
        fourth = daemon.until(_is("order.submitted", side="buy"))
        code, last = daemon.end(signal.SIGTERM)
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGKILL)
        tradingd.stop_exchange()

    assert halted["trading"] == "halted"
    assert _entries(_after(first + rest, "daemon.halted")) == []
    assert _entries(second) == []
    assert status["trading"] == "halted"
    assert list(status["halts"]) == ["operator"]
    assert "looks wrong" in status["halts"]["operator"]
    assert (resumed["trading"], resumed["caused"]) == ("active", ["TradingResumed"])
    assert _entries(third) == []
    assert not any(map(IS_DENIED, fourth + last))
    assert code == 0
    assert finished(last)["fills"] >= 2
    _assert_audited(tradingd, [halted, resumed])
    assert tradingd.query("parity")["identical"]


def _assert_audited(tradingd: Tradingd, answers: list[Line]) -> None:
    """The journal says who asked for what, as the answers did."""
    last = (tradingd.state / "runs" / "last").read_text("utf-8").strip()
    journal = JournalReader.open(tradingd.state / "runs" / last / "journal.db")
    ((_, halt),) = journal.read_kinds(HaltRequested)
    ((_, resume),) = journal.read_kinds(ResumeRequested)
    assert (halt.reason, resume.reason) == ("looks wrong", "seen why")
    assert [halt.who, resume.who] == [answer["who"] for answer in answers]
    assert all(who.startswith(f"uid {os.getuid()} pid ") for who in (halt.who, resume.who))


def test_commands_that_nobody_can_hear_or_that_say_too_little_are_refused_in_one_line(
    tmp_path: Path,
) -> None:
    tradingd = Tradingd(tmp_path)
    for code, arguments in (
        (3, ("halt", "--reason", "anybody there")),
        (3, ("resume", "--reason", "anybody there", "--confirm")),
        (2, ("halt",)),
        (2, ("halt", "--reason", "")),
        (2, ("resume", "--confirm")),
        (2, ("resume", "--reason", "not confirmed")),
    ):
        done = tradingd.command(*arguments, code=code)

        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
