"""kill -9 of a daemon at any moment, and a resume that loses nothing and doubles nothing."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from daemon.core.events import ModelActivated, Started
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import Tradingd, finished
from tests.e2e.kills import kill_after, killed
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 10  # of each story
BARS = 150
STORIES = {
    "market": "[execution]\nstop_loss_ratio = 0.03\n",
    "limit": '[execution]\nstop_loss_ratio = 0.02\nentry_order = "limit"\nexit_order = "limit"\n',
}


# The daemon is started a good ten times in each.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("story", list(STORIES))
def test_a_killed_live_daemon_resumes_with_no_order_doubled_lost_or_left(
    tmp_path: Path, story: str
) -> None:
    with killed(tmp_path, seed=7, config=STORIES[story]) as run:
        run.begin("--bars", str(BARS), lines=120)
        for _ in range(KILLS - 1):
            run.resume()

        lines = run.tradingd.run("--resume", "last")
        run.check_at_rest()
        books = run.tradingd.query("reconcile")
        exported = run.tradingd.query("export", "fills", "--run", "last")["fills"]

    result = finished(lines)
    assert run.wrong == []
    assert (run.kills, result["mode"], result["bars"]) == (KILLS, "live", 2 * BARS)
    assert books["equal"]
    assert len(exported) == len({row["trade_id"] for row in exported}) == books["venue_fills"] > 0
    assert run.tradingd.query("parity")["identical"]


def test_a_killed_paper_run_finds_the_exchange_that_it_left_running(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    try:
        kill_after(tradingd.start("--market", "synthetic", "--bars", "60"), 100)
        for lines in (4, 60):
            kill_after(tradingd.start("--resume", "last"), lines)
        result = finished(tradingd.run("--resume", "last"))
        books = tradingd.query("reconcile")
    finally:
        tradingd.stop_exchange()

    assert (result["mode"], result["bars"]) == ("paper", 120)
    assert books["equal"]
    assert books["venue_fills"] > 0


STARTS_MAX = 5  # a machine that is busy may kill late


def test_a_run_that_was_killed_between_its_model_and_its_history_goes_on(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    try:
        assert any(_killed_before_its_history(tradingd) for _ in range(STARTS_MAX))
        result = finished(tradingd.run("--resume", "last"))
        identical = tradingd.query("parity")["identical"]
    finally:
        tradingd.stop_exchange()

    assert (result["bars"], result["decisions"], identical) == (24, 24, True)


def _killed_before_its_history(tradingd: Tradingd) -> bool:
    """Whether the kill came before anything was told the exchange; what came of it is cut off."""
    daemon = Watched(tradingd.start("--market", "synthetic", "--bars", "12", "--new"))
    daemon.until(is_line("model.activated"))
    daemon.end(signal.SIGKILL)
    last = (tradingd.state / "runs" / "last").read_text("utf-8").strip()
    path = tradingd.state / "runs" / last / "journal.db"
    journal = JournalReader.open(path)
    if journal.latest(Started) is not None:
        tradingd.stop_exchange()
        return False
    ((step, _),) = journal.read_kinds(ModelActivated)
    with contextlib.closing(sqlite3.connect(path)) as rows:
        rows.execute("DELETE FROM event WHERE step > ?", (step,))
        rows.commit()
    return True
