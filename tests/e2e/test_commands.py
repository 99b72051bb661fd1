"""The commands beside `run`: what they load, what they print, with which exit code they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daemon.core.errors import DaemonNotRunning
from tests.e2e.command import ROOT, Tradingd, finished
from tests.e2e.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {
    "ccxt",
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "aiohttp",
    "joblib",
    "pyarrow",
}
RESEARCH = {"pandas", "sklearn", "scipy", "joblib", "pyarrow"}
SHOW_MODULES = """
import sys
from daemon.cli import main
sys.argv = ["tradingd", *{arguments!r}]
try:
    main()
except SystemExit:
    pass
print("\\n" + " ".join(name for name in sys.modules if "." not in name))
"""


def _loaded_by(tmp_path: Path, *arguments: str) -> set[str]:
    script = SHOW_MODULES.format(arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("check",), ("status",), ("version",)])
def test_commands_that_only_look_load_nothing_heavy(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert not _loaded_by(tmp_path, *arguments) & HEAVY


def test_a_trading_process_loads_neither_pandas_nor_scikit_learn(tmp_path: Path) -> None:
    loaded = _loaded_by(tmp_path, "run", "--market", "synthetic", "--bars", "2")

    assert "ccxt" in loaded
    assert not loaded & RESEARCH


def test_status_without_a_daemon_exits_3_in_one_line(tmp_path: Path) -> None:
    done = Tradingd(tmp_path).command("status", code=DaemonNotRunning.exit_code)

    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "no daemon is running" in done.stderr


def test_status_of_a_running_daemon_names_its_run_and_a_sigterm_ends_it_gracefully(
    tmp_path: Path,
) -> None:
    tradingd = Tradingd(tmp_path)
    process = tradingd.start("--market", "synthetic", "--speed", "20")
    assert process.stdout is not None
    started = json.loads(process.stdout.readline())
    for line in process.stdout:
        if json.loads(line)["event"] == "bar.closed":
            break

    status = tradingd.query("status")
    second = tradingd.command("run", "--market", "synthetic", code=75)
    process.send_signal(signal.SIGTERM)
    rest = [json.loads(line) for line in process.stdout]
    process.stdout.close()

    assert status["run"] == started["run"]
    assert status["pid"] == started["pid"]
    assert str(started["pid"]) in second.stderr
    assert finished(rest)["bars"] > 0
    assert process.wait() == 0
    assert tradingd.query("reconcile")["equal"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_right_after_the_first_line_is_graceful_and_leaves_nothing_held(
    tmp_path: Path, number: signal.Signals
) -> None:
    tradingd = Tradingd(tmp_path)
    daemon = Watched(tradingd.start("--market", "synthetic"))
    code, last = daemon.end(number)

    said = tradingd.command("status", code=3).stderr

    assert code == 0
    assert [line["event"] for line in last[-2:]] == ["daemon.stopping", "run.finished"]
    assert (last[-1]["bars"], last[-1]["orders"], last[-1]["edge_shown"]) == (0, 0, False)
    assert "ended before it could trade, and holds nothing" in said


def test_a_sigterm_before_the_first_line_leaves_no_run_and_no_exchange(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    process = tradingd.start("--market", "synthetic")
    assert process.stdout is not None
    begun = tradingd.state / "runs" / "last"
    while process.poll() is None and not begun.exists():
        os.sched_yield()

    process.send_signal(signal.SIGTERM)
    said = process.stdout.read()
    process.stdout.close()

    assert process.wait() == 0
    # A fast machine may have said its first line by then; a stop before it leaves nothing at all.
    assert said or list((tradingd.state / "runs").iterdir()) == []


def test_every_wrong_setting_is_told_at_once_with_file_and_line(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, "[risk]\nmax_position_ratio = 10\n[signal]\nconfidenc = 1\n")

    done = tradingd.command("check", code=78)

    assert "config.toml:2" in done.stderr
    assert "config.toml:4" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_exchange_is_refused_with_a_guess(tmp_path: Path) -> None:
    done = Tradingd(tmp_path).command("run", "--market", "binnance", code=2)

    assert "did you mean 'binance'" in done.stderr


def test_live_on_a_real_exchange_is_refused(tmp_path: Path) -> None:
    done = Tradingd(tmp_path).command("run", "--mode", "live", "--market", "kraken", code=77)

    assert "live trading on kraken needs its key" in done.stderr


def test_a_backtest_is_a_run_that_can_be_made_again_proven_and_shown(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    tradingd.run("--market", "synthetic", "--bars", "80")
    live = tradingd.query("parity")

    result = tradingd.query("backtest")

    assert result["decisions"] >= 140
    assert result["orders"] >= 2
    assert result["verdict"].startswith("No edge shown: ")
    assert (result["edge_shown"], len(result["failed"]) > 0) == (False, True)
    assert result["baseline_auc"] > 0.0
    assert tradingd.query("parity")["identical"] is True
    assert tradingd.query("parity")["compared"]["features"] == live["compared"]["features"]
    assert result == tradingd.query("backtest")  # its journal's last hash included
    tradingd.command("report", "-o", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").stat().st_size > 1_000_000
    tradingd.command("run", "--resume", result["run"], code=2)
    model = tradingd.query("train", "--promote", "to try it")
    states = {each["model"]: each["state"] for each in tradingd.query("models", "list")["models"]}
    assert states[model["model"]] == "active"
