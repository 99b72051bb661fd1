"""kill -9 of the daemon at any moment, and a resume that loses nothing and doubles nothing."""

from __future__ import annotations

import json
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.command import Tradingd, finished

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

KILLS = 20
BARS = 300
# The daemon is started a good twenty times.
pytestmark = pytest.mark.timeout(600)


def _kill_after(process: subprocess.Popen[str], lines: int) -> None:
    """Read so many lines, then SIGKILL the pid the daemon itself has named."""
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["event"] == "run.started"
    for _ in range(lines):
        if not process.stdout.readline():
            break
    if process.poll() is None:
        os.kill(first["pid"], signal.SIGKILL)
    process.stdout.close()
    process.wait()


def test_a_killed_daemon_resumes_with_books_equal_to_the_exchange(tmp_path: Path) -> None:
    rng = random.Random(7)
    tradingd = Tradingd(tmp_path)
    try:
        _kill_after(tradingd.start("--market", "synthetic", "--bars", str(BARS)), 120)
        for _ in range(KILLS - 1):
            _kill_after(tradingd.start("--resume", "last"), rng.randrange(2, 90))

        lines = tradingd.run("--resume", "last")
    finally:
        tradingd.stop_exchange()

    result = finished(lines)
    assert result["bars"] == 2 * BARS
    books = tradingd.query("reconcile")
    assert books["equal"]
    exported = tradingd.query("export", "fills", "--run", "last")["fills"]
    assert len(exported) == len({row["trade_id"] for row in exported}) == books["venue_fills"]
    assert tradingd.query("parity")["identical"]
