"""kill -9 of a daemon at any moment, and a resume that loses nothing and doubles nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.command import Tradingd, finished
from tests.e2e.kills import kill_after, killed

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
