"""A live run on an exchange of its own, killed again and again: what then must be true of both.

Belongs here: killing, and reading both sides' books. How often, and with which settings, belongs to
the tests and to the soak.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.core.instruments import plain
from daemon.core.orders import Leg
from daemon.running.holdings import books_of
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import ROOT, SMALL, Tradingd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.core.events import RunOpened
    from daemon.running.reconcile import Books

STOP_WITHIN_S = 60
OPEN = frozenset({"new", "partially_filled"})


@dataclass
class Killed:
    """One run and its exchange; `wrong` is what did not hold, in words."""

    tradingd: Tradingd
    ready: dict[str, Any]
    rng: random.Random
    lines_max: int = 90  # of one life
    kills: int = 0
    stops: int = 0
    wrong: list[str] = field(default_factory=list)

    def begin(self, *options: str, lines: int) -> None:
        live = ("--mode", "live", "--exchange-url", self.ready["rest"])
        self._killed_after(self.tradingd.start(*live, *options), lines)

    def resume(self) -> None:
        """Go on, and be killed: while it recovers, or after so many lines and a moment more."""
        process = self.tradingd.start("--resume", "last")
        if self.rng.random() < 0.2:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.rng.uniform(0.0, 4.0))
            self._kill(process)
        else:
            self._killed_after(process, self.rng.randrange(2, self.lines_max))

    def resume_and_stop(self) -> None:
        """Go on, and be asked to end: what is left behind then must be in order."""
        process = self.tradingd.start("--resume", "last")
        _read(process, self.rng.randrange(30, 120))
        process.send_signal(signal.SIGTERM)
        _read(process, None)
        self.stops += 1
        if process.wait(STOP_WITHIN_S) != 0:
            self.wrong.append(f"a graceful stop ended with {process.returncode}")
        assert process.stdout is not None
        process.stdout.close()
        self.check_at_rest()

    def check(self) -> None:
        """What holds at every moment: no order is doubled, none came that was not written down."""
        ledger, books = self.ledger(), self.books()
        ids = [each["client_order_id"] for each in ledger["orders"]]
        self._say("sent twice", [each for each, count in Counter(ids).items() if count > 1])
        self._say("never intended", [each for each in ids if each not in books.blotter.orders])

    def check_at_rest(self) -> None:
        """What holds once a daemon has ended in order: both sides are equal to the last digit."""
        self.check()
        ledger, books = self.ledger(), self.books()
        self.wrong += [
            *_orders_that_differ(ledger, books),
            *_fills_that_differ(ledger, books),
            *_money_that_differs(ledger, books),
            *_unprotected(ledger, books),
        ]

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.ready['rest']}/embedded/ledger") as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def books(self) -> Books:
        last = (self.tradingd.state / "runs" / "last").read_text("utf-8").strip()
        return books_of(JournalReader.open(self.tradingd.state / "runs" / last / "journal.db"))

    def _killed_after(self, process: subprocess.Popen[str], lines: int) -> None:
        _read(process, lines)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.rng.uniform(0.0, 0.1))
        self._kill(process)

    def _kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        self.kills += 1
        self.check()

    def _say(self, what: str, orders: list[str]) -> None:
        self.wrong += [f"after {self.kills} kills: {each} was {what}" for each in orders]


@contextlib.contextmanager
def killed(folder: Path, *, seed: int, config: str = "", speed: str = "max") -> Iterator[Killed]:
    """A run to be begun, and its exchange, which lives on through every kill."""
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "daemon", "exchange", "--speed", speed),
            *("--state", str(folder / "exchange"), "--seed", str(seed), "--edge", "0.4"),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        risk = '[risk]\ntrade_unknown_model = "always"\n'
        tradingd = Tradingd(folder, f"{SMALL}{risk}{config}")
        tradingd.environment |= {
            "TRADINGD__EXCHANGE__API_KEY": ready["key"],
            "TRADINGD__EXCHANGE__API_SECRET": ready["secret"],
        }
        yield Killed(tradingd, ready, random.Random(seed))
    finally:
        child.terminate()
        child.communicate(timeout=STOP_WITHIN_S)


def _read(process: subprocess.Popen[str], lines: int | None) -> None:
    """So many lines, or all there are."""
    assert process.stdout is not None
    while lines is None or lines > 0:
        if not process.stdout.readline():
            return
        lines = None if lines is None else lines - 1


# --- both sides' books ----------------------------------------------------------------------------


def _orders_that_differ(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    theirs = {each["client_order_id"]: each for each in ledger["orders"]}
    for ours, order in books.blotter.orders.items():
        there = theirs.get(ours)
        is_open = there is not None and there["status"] in OPEN
        if order.is_open != is_open:
            told = "nothing" if there is None else there["status"]
            yield f"order {ours} is {order.state} here and {told} there"
        filled = Decimal(there["filled_quantity"]) if there else Decimal(0)
        if filled != order.filled_quantity:
            yield f"order {ours}: {order.filled_quantity} filled here, {filled} there"
        if is_open and order.leg is not Leg.STOP:
            yield f"order {ours} ({order.leg}) was left resting"


def _fills_that_differ(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    theirs = sorted((each["symbol"], str(each["trade_id"])) for each in ledger["fills"])
    orders = books.blotter.orders.values()
    ours = sorted((each.instrument.symbol, trade) for each in orders for trade in each.trade_ids)
    if ours != theirs:
        yield f"{len(ours)} fills here, {len(theirs)} there: {set(ours) ^ set(theirs)}"


def _money_that_differs(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    opened: RunOpened = books.opened
    exchange = opened.instruments[0].id.exchange
    started = {name: Decimal(text) for name, text in ledger["balances_start"].items()}
    for currency, owned in books.owned_on(exchange).items():
        now = ledger["balances"].get(currency, {"free": "0", "locked": "0"})
        moved = Decimal(now["free"]) + Decimal(now["locked"]) - started.get(currency, Decimal(0))
        allotted = opened.allotted_quote if currency == opened.instruments[0].quote else 0
        if moved != owned - allotted:
            yield f"{currency}: {plain(moved)} came to the account, {owned - allotted} to the books"


def _unprotected(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    """Every position that an order could sell has its stop on the exchange, of its very size."""
    stops = [
        each
        for each in ledger["orders"]
        if each["status"] in OPEN and each["type"].startswith("stop")
    ]
    for instrument in books.opened.instruments:
        position = books.book.position(instrument.id)
        quantity = instrument.quantize_down(position.quantity)
        worth = position.average_price * Decimal("0.9")
        wanted = [quantity] if instrument.takes(quantity, worth) else []
        resting = [
            Decimal(each["quantity"]) - Decimal(each["filled_quantity"])
            for each in stops
            if each["symbol"] == instrument.id.symbol
        ]
        if resting != wanted and quantity > 0:
            yield f"{instrument.id.symbol}: {quantity} held, stops for {resting}"
        elif resting and not quantity:
            yield f"{instrument.id.symbol}: nothing held, stops for {resting}"
