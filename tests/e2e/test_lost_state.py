"""The journal is gone, or an old copy of it came back, while the account has our later orders."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.command import ROOT, Tradingd
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Line = dict[str, Any]


LOT = Decimal("0.001")
pytestmark = pytest.mark.timeout(300)


class Desk:
    """An exchange that outlives its daemons, and the daemons that trade there in turn."""

    def __init__(self, folder: Path, ready: Line) -> None:
        self.tradingd = Tradingd(folder)
        self.tradingd.environment |= {
            "TRADINGD__EXCHANGE__API_KEY": ready["key"],
            "TRADINGD__EXCHANGE__API_SECRET": ready["secret"],
        }
        self._url = ready["rest"]

    def begins(self, *arguments: str) -> Watched:
        url = ("--exchange-url", self._url)
        return Watched(self.tradingd.start("--market", "synthetic", *url, *arguments))

    def goes_on(self, *arguments: str) -> Watched:
        return Watched(self.tradingd.start("--resume", "last", *arguments))


@contextlib.contextmanager
def desk(folder: Path, speed: str) -> Iterator[Desk]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "daemon", "exchange", "--state", str(folder / "exchange")),
            *("--speed", speed, "--seed", "42", "--edge", "0.4", "--history-bars", "1500"),
            *("--timeframe", "1h", "--symbols", "BTC/USDT,ETH/USDT"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Desk(folder, json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def is_held(line: Line) -> bool:
    return line["event"] == "position.changed" and Decimal(line["quantity"]) > LOT


def submitted(lines: list[Line]) -> list[str]:
    return [line["order"] for line in lines if line["event"] == "order.submitted"]


IS_HALTED = is_line("daemon.halted", reason="foreign_order")
IS_DECIDING = is_line("bar.closed")
IS_ADOPTED: Callable[[Line], bool] = is_line("books.adopted")


def test_a_lost_journal_is_made_again_from_the_exchange_once_somebody_says_so(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, "4") as lab:
        daemon = lab.begins()
        held = daemon.until(is_held)[-1]
        daemon.end(signal.SIGKILL)
        shutil.rmtree(lab.tradingd.state / "runs")

        daemon = lab.begins()
        second = daemon.until(IS_HALTED)
        status = lab.tradingd.query("status")
        code, rest = daemon.end(signal.SIGTERM)
        second += rest
        daemon = lab.goes_on("--adopt-books")
        third = daemon.until(is_line("books.reconciled"))
        lab.tradingd.query("resume", "--reason", "adopted", "--confirm")
        daemon.until(is_line("order.filled", side="sell", symbol=held["symbol"]))
        daemon.end(signal.SIGTERM)
        books = lab.tradingd.query("reconcile")

        assert (status["trading"], list(status["halts"])) == ("halted", ["foreign_order"])
        assert "--adopt-books" in status["halts"]["foreign_order"]
        assert (code, submitted(second)) == (0, [])
        assert any(map(IS_ADOPTED, third))
        (adopted,) = (line for line in third if is_held(line))
        assert adopted["symbol"] == held["symbol"]
        assert adopted["quantity"] == held["quantity"]
        assert adopted["average_price"] == held["average_price"]
        assert books["equal"]
        assert lab.tradingd.query("parity")["identical"]


def test_an_old_copy_of_the_journal_halts_until_what_came_after_it_is_adopted(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, "10") as lab:
        daemon = lab.begins()
        daemon.until(is_line("order.filled"))
        daemon.end(signal.SIGKILL)
        runs, copy = lab.tradingd.state / "runs", tmp_path / "copy"
        shutil.copytree(runs, copy)
        daemon = lab.goes_on()
        later = daemon.until(is_line("order.filled", side="buy")) + daemon.until(is_held)
        _, rest = daemon.end(signal.SIGKILL)
        later += rest
        shutil.rmtree(runs)
        shutil.copytree(copy, runs)

        daemon = lab.goes_on()
        third = daemon.until(is_line("books.differed"))
        status = lab.tradingd.query("reconcile", code=4)
        daemon.end(signal.SIGTERM)
        daemon = lab.goes_on("--adopt-books")
        fourth = daemon.until(is_line("books.reconciled"))
        daemon.end(signal.SIGTERM)
        books = lab.tradingd.query("reconcile")

        filled = {line["order"] for line in later if line["event"] == "order.filled"}
        assert filled <= set(third[-1]["foreign"])
        assert not any(line["event"] in {"daemon.halted", "funds.moved"} for line in fourth)
        assert submitted(third) == []
        assert not status["equal"]
        assert any(map(IS_ADOPTED, fourth))
        assert books["equal"]
        assert books["unresolved"] == books["missed_fills"] == []
        assert lab.tradingd.query("parity")["identical"]

        (journal,) = runs.glob("*/journal.db")
        with contextlib.closing(sqlite3.connect(journal)) as connection, connection:
            connection.execute("UPDATE event SET body = body || ' ' WHERE seq = 5")
        refused = lab.tradingd.command("run", "--resume", "last", code=1)
        assert refused.stderr.count("\n") == 1
        assert "--adopt-books" in refused.stderr


def test_a_new_run_on_the_account_of_a_halted_one_begins_halted(tmp_path: Path) -> None:
    with desk(tmp_path, "1") as lab:
        # Orders before the halt would be a second reason to be halted.
        lab.tradingd.environment["TRADINGD__SIGNAL__CONFIDENCE_MIN_RATIO"] = "0.999"
        daemon = lab.begins()
        daemon.until(IS_DECIDING)
        lab.tradingd.query("halt", "--reason", "looks wrong")
        daemon.end(signal.SIGTERM)

        daemon = lab.begins("--new")
        daemon.until(IS_DECIDING)
        status = lab.tradingd.query("status")
        lab.tradingd.query("resume", "--reason", "seen why", "--confirm")
        daemon.end(signal.SIGKILL)
        daemon = lab.goes_on()
        daemon.until(IS_DECIDING)
        after = lab.tradingd.query("status")
        daemon.end(signal.SIGTERM)

        assert (status["trading"], list(status["halts"])) == ("halted", ["operator"])
        assert "looks wrong" in status["halts"]["operator"]
        assert after["trading"] == "active"
        assert lab.tradingd.query("parity", "--allow-no-orders")["identical"]
