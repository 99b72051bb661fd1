"""A halt from outside outlives kill -9, ends by a resume alone, and is in the journal by name."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from daemon.core.events import HaltRequested, ResumeRequested
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import Tradingd, finished
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from pathlib import Path

    Line = dict[str, Any]


def _entries(lines: list[Line]) -> list[Line]:
    return [line for line in lines if is_line("order.submitted", side="buy")(line)]


def _after(lines: list[Line], event: str) -> list[Line]:
    (where,) = (number for number, line in enumerate(lines) if line["event"] == event)
    return lines[where:]


IS_DENIED = is_line("order.denied", reason="halted")


def test_a_halt_outlives_a_kill_and_ends_by_a_resume_alone(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    daemon = Watched(tradingd.start("--market", "synthetic", "--speed", "20"))
    try:
        daemon.until(is_line("order.filled"))
        halted = tradingd.query("halt", "--reason", "looks wrong")
        first = daemon.until(IS_DENIED) + daemon.until(IS_DENIED)
        _, rest = daemon.end(signal.SIGKILL)

        daemon = Watched(tradingd.start("--resume", "last"))
        second = daemon.until(IS_DENIED)
        status = tradingd.query("status")
        resumed = tradingd.query("resume", "--reason", "seen why", "--confirm")
        third = daemon.until(is_line("daemon.resumed"))
        fourth = daemon.until(is_line("order.submitted", side="buy"))
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
    assert (resumed["trading"], resumed["caused"]) == (
        "active",
        ["TradingResumed", "TradingStateChanged"],
    )
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
