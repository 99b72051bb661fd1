"""The go-live gate beside a daemon that runs: the drill of its kill switch, and what it proves."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.command import SMALL, Tradingd
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from pathlib import Path


def _item(status: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in status["items"] if each["id"] == name]
    return dict(found)


@pytest.mark.timeout(300)
def test_a_drill_tries_the_kill_switch_and_the_gate_sees_it_in_the_journal(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, SMALL)
    tradingd.command("golive", "drill", "--confirm", code=3)
    daemon = Watched(tradingd.start("--market", "synthetic", "--speed", "1"))
    try:
        daemon.until(is_line("order.filled", side="buy"))
        before = tradingd.query("golive", "status", code=4)
        tradingd.command("golive", "drill", code=2)
        drilled = tradingd.query("golive", "drill", "--confirm", "--wait-s", "60")
        heard = daemon.until(is_line("trading.state", state="active"))
        code, _ = daemon.end(signal.SIGTERM)
        after = tradingd.query("golive", "status", code=4)
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGKILL)
        tradingd.stop_exchange()

    assert drilled["passed"]
    assert any(map(is_line("trading.state", state="reducing"), heard))
    assert code == 0
    assert _item(before, "kill_switch")["measured"] == "halt never, flatten never"
    assert _item(after, "kill_switch")["met"]
    assert _item(after, "journal")["met"]
    assert after["exempt"]
    assert "kill_switch" not in after["unmet"]
    assert {"paper_days", "paper_outcomes"} <= set(after["unmet"])
