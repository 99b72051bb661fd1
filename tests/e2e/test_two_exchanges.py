"""Two exchanges in one daemon, with the same symbol on both: kept apart, and neither holds the
other up.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.command import SMALL, Tradingd, finished
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

BARS = 40
NAMES = ["embedded", "embedded-b"]
CONFIG = SMALL.replace("[data]", '[data]\nalso = {embedded-b = ["BTC/USDT"]}')
RUN = ("--market", "synthetic", "--bars", str(BARS))
pytestmark = pytest.mark.timeout(300)

Line = dict[str, Any]


class Desk:
    """The command on a state directory that has seen one whole run, so that a model is there."""

    def __init__(self, tradingd: Tradingd) -> None:
        self.tradingd = tradingd
        self.lines = tradingd.run(*RUN)
        self.fills = self.exported()

    def exported(self) -> list[Line]:
        return list(self.tradingd.query("export", "fills")["fills"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    tradingd = Tradingd(tmp_path_factory.mktemp("two"), CONFIG)
    yield Desk(tradingd)
    tradingd.stop_exchange()


@contextmanager
def watched(process: subprocess.Popen[str]) -> Iterator[Watched]:
    """A daemon that does not outlive its test."""
    daemon = Watched(process)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGKILL)


def _assert_books(tradingd: Tradingd) -> None:
    """Equal on both exchanges, each with fills of its own, and nothing doubled."""
    books = tradingd.query("reconcile")
    assert books["equal"]
    assert list(books["accounts"]) == NAMES
    exported = tradingd.query("export", "fills")["fills"]
    for name, account in books["accounts"].items():
        trades = [row["trade_id"] for row in exported if row["exchange"] == name]
        assert len(trades) == len(set(trades)) == account["venue_fills"] > 0
    assert tradingd.query("parity")["identical"]


def test_one_symbol_on_two_exchanges_is_kept_apart_everywhere(desk: Desk) -> None:
    started, result = desk.lines[0], finished(desk.lines)

    names = ["embedded:BTC/USDT", "embedded:ETH/USDT", "embedded-b:BTC/USDT"]
    assert started["symbols"] == result["symbols"] == names
    assert list(started["exchanges"]) == list(result["exchanges"]) == NAMES
    assert started["exchanges"]["embedded"] == started["exchange"] != started["exchanges"][NAMES[1]]
    assert result["bars"] == 3 * BARS
    assert [each["bars"] for each in result["exchanges"].values()] == [2 * BARS, BARS]
    assert sum(each["orders"] for each in result["exchanges"].values()) == result["orders"]
    closes = [
        {line["bar"]: line["close"] for line in desk.lines if is_line("bar.closed", **bar)(line)}
        for bar in ({"exchange": name, "symbol": "BTC/USDT"} for name in NAMES)
    ]
    assert closes[0].keys() == closes[1].keys()
    assert not any(closes[0][bar] == closes[1][bar] for bar in closes[0])
    traces = [line["trace"] for line in desk.lines if line["event"] == "bar.closed"]
    assert len(traces) == len(set(traces)) == 3 * BARS
    _assert_books(desk.tradingd)


def _decided(lines: list[Line]) -> list[Line]:
    """What was decided and what came of it, line by line; ids of orders name the account."""
    kinds, untold = ("signal", "risk", "order", "position", "bar"), ("ts", "run", "order", "source")
    return [
        {name: value for name, value in line.items() if name not in untold}
        for line in lines
        if line["event"].partition(".")[0] in kinds
    ]


def test_the_same_seed_gives_the_same_run_on_both(desk: Desk) -> None:
    lines = desk.tradingd.run(*RUN)
    result = finished(lines)

    told = ("ts", "run")
    before = {name: value for name, value in finished(desk.lines).items() if name not in told}
    assert {name: value for name, value in result.items() if name not in told} == before
    assert _decided(lines) == _decided(desk.lines)
    without_ids = [{**row, "client_order_id": ""} for row in desk.exported()]
    assert without_ids == [{**row, "client_order_id": ""} for row in desk.fills]


def test_the_daemon_and_one_exchange_are_killed_and_nothing_is_lost_or_doubled(desk: Desk) -> None:
    tradingd = desk.tradingd
    with watched(tradingd.start(*RUN)) as daemon:
        daemon.until(is_line("order.filled", exchange="embedded-b"))
        daemon.end(signal.SIGKILL)

    with watched(tradingd.start("--resume", "last")) as daemon:
        daemon.until(is_line("order.submitted"))
        tradingd.kill_exchange("exchange-b", signal.SIGKILL)
        lines = daemon.until(is_line("run.finished"))

    assert any(map(is_line("exchange.started", exchange="embedded-b"), lines))
    assert not any(map(is_line("exchange.lost", exchange="embedded"), lines))
    assert lines[-1]["bars"] == 3 * BARS
    assert (lines[-1]["outage_slots"], lines[-1]["halted"]) == (0, {})
    _assert_books(tradingd)


def test_one_exchange_goes_on_while_the_other_is_away(desk: Desk) -> None:
    tradingd = desk.tradingd
    with watched(tradingd.start("--market", "synthetic", "--speed", "10")) as daemon:
        daemon.until(is_line("order.filled", exchange="embedded-b"))
        tradingd.kill_exchange("exchange-b", signal.SIGKILL)

        away = daemon.until(is_line("exchange.started", exchange="embedded-b"))
        status = tradingd.query("status")
        daemon.until(is_line("feed.recovered", exchange="embedded-b"))
        daemon.until(is_line("order.filled", exchange="embedded-b"))
        code, _ = daemon.end(signal.SIGTERM)

    assert code == 0
    behind = away[[line["event"] for line in away].index("exchange.lost") :]
    closed = [line["exchange"] for line in behind if line["event"] == "bar.closed"]
    assert closed.count("embedded") > 10 * (closed.count("embedded-b") + 1)
    assert {line["exchange"] for line in away if line["event"] == "feed.stale"} == {"embedded-b"}
    assert list(status["exchanges"]) == NAMES
    _assert_books(tradingd)
