"""`tradingd flatten` closes what the bot holds, with a daemon and without one, and proves it."""

from __future__ import annotations

import json
import signal
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from daemon.core.events import FlattenRequested
from daemon.store.journal_reader import JournalReader
from daemon.store.lock import StateLock
from tests.e2e.command import LIVE, SMALL, Tradingd, an_exchange, finished
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from pathlib import Path

    Line = dict[str, Any]

STOPS = SMALL + "[execution]\nstop_loss_ratio = 0.05\n"
IS_BOUGHT = is_line("order.filled", side="buy")


def _orders(tradingd: Tradingd) -> list[Line]:
    exported: list[Line] = tradingd.query("export", "orders", "--run", "last")["orders"]
    return exported


# The daemon is started twice, and trained once.
@pytest.mark.timeout(300)
def test_everything_is_closed_with_a_daemon_and_after_it_was_killed(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, STOPS)
    daemon = Watched(tradingd.start("--market", "synthetic", "--speed", "8"))
    try:
        daemon.until(IS_BOUGHT)
        planned = tradingd.query("flatten", code=2)
        asked = tradingd.query("flatten", "--reason", "looks wrong", "--confirm")
        heard = daemon.until(is_line("trading.state", state="reducing"))
        tradingd.query("resume", "--reason", "seen why", "--confirm")
        daemon.until(IS_BOUGHT)
        daemon.until(is_line("order.submitted", leg="stop"))
        daemon.until(is_line("bar.closed"))  # by then the exchange has it
        daemon.end(signal.SIGKILL)

        dry = tradingd.query("flatten", "--dry-run")
        alone = tradingd.query("flatten", "--confirm")
        again = tradingd.query("flatten", "--confirm")
        books = tradingd.query("reconcile")
        orders = _orders(tradingd)
        resumed = Watched(tradingd.start("--resume", "last"))
        denied = resumed.until(is_line("order.denied", reason="halted"))
        code, last = resumed.end(signal.SIGTERM)
    finally:
        tradingd.stop_exchange()

    assert planned["dry_run"]
    assert (asked["daemon"], asked["flat"], asked["books_equal"]) == ("running", True, True)
    assert any("looks wrong" in line.get("reason", "") for line in heard)
    assert dry["would"]["positions"]
    assert {each["leg"] for each in dry["would"]["open_orders"]} >= {"stop"}
    for told in (alone, again):
        assert (told["daemon"], told["flat"], told["books_equal"]) == ("down", True, True)
        assert told["left"]["positions"] == {}
        assert told["left"]["open_orders"] == []
    assert books["equal"]
    assert {each["state"] for each in orders} <= {"filled", "canceled"}
    assert 1 <= Decimal(books["balances"]["BTC"]) < Decimal("1.0001")  # one was there before us
    assert not any(map(is_line("order.submitted", side="buy"), denied + last))
    assert (code, finished(last)["halted"].keys() >= {"operator"}) == (0, True)
    assert tradingd.query("parity")["identical"]


def test_a_flatten_says_why_it_cannot_be_done(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    nothing = tradingd.command("flatten", "--confirm", code=2)
    with an_exchange(tmp_path, "--speed", "max") as ready:
        tradingd = Tradingd(tmp_path, LIVE).use(ready)
        tradingd.run("--mode", "live", "--exchange-url", ready["rest"], "--bars", "3")
        with StateLock.acquire(tradingd.state, started_ns=0):
            locked = tradingd.command("flatten", "--confirm", code=75)
    away = tradingd.command("flatten", "--confirm", code=69)

    for done in (nothing, locked, away):
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert done.stderr
    last = (tradingd.state / "runs" / "last").read_text("utf-8").strip()
    journal = JournalReader.open(tradingd.state / "runs" / last / "journal.db")
    assert not any(True for _ in journal.read_kinds(FlattenRequested))


@pytest.mark.timeout(300)
def test_a_symbol_in_a_break_keeps_nobody_from_closing_the_rest_nor_from_going_on(
    tmp_path: Path,
) -> None:
    with an_exchange(tmp_path, "--speed", "8") as ready:
        tradingd = Tradingd(tmp_path, LIVE).use(ready)
        there = ("--mode", "live", "--exchange-url", ready["rest"])
        daemon = Watched(tradingd.start(*there))
        daemon.until(is_line("bar.closed"))
        daemon.end(signal.SIGTERM)
        _break(ready["rest"], "ETH/USDT")

        refused = tradingd.command("run", "--new", *there, code=2)
        closed = tradingd.query("flatten", "--confirm")
        resumed = Watched(tradingd.start("--resume", "last"))
        heard = resumed.until(is_line("exchange.listing", symbol="ETH/USDT"))
        code, _ = resumed.end(signal.SIGTERM)

    assert "does not trade ETH/USDT" in refused.stderr
    assert (closed["daemon"], closed["books_equal"]) == ("down", True)
    assert heard
    assert code == 0


def _break(rest: str, symbol: str) -> None:
    rule = json.dumps({"kind": "market_closed", "symbol": symbol}).encode()
    asked = urllib.request.Request(  # loopback
        f"{rest}/embedded/faults", data=rule, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:  # loopback
        assert json.load(answer) == {"added": 1}
