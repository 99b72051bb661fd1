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
import threading
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.core.clock import WireClock
from daemon.core.timeframes import NS_PER_MS
from daemon.running.books.holdings import books_of
from daemon.store.journal_reader import JournalReader
from tests.both_sides import differences, doubled_or_unintended, unprotected
from tests.e2e.command import LIVE, STOP_WITHIN_S, Tradingd, an_exchange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.running.books.reconcile import Books


LIFE_MAX_S = 300  # a few seconds are usual


@dataclass
class Killed:
    """One run and its exchange; `wrong` is what did not hold, in words."""

    tradingd: Tradingd
    ready: dict[str, Any]
    rng: random.Random
    is_waiting: bool  # the market, for the daemon
    lines_max: int = 90  # of one life
    kills: int = 0
    stops: int = 0
    mid_order: int = 0  # kills that left an order whose fate the journal does not know
    wrong: list[str] = field(default_factory=list)

    def begin(self, *options: str, lines: int) -> None:
        live = ("--mode", "live", "--exchange-url", self.ready["rest"])
        self._killed_after(self.tradingd.start(*live, *options), lines)

    def resume(self) -> None:
        """Go on, and be killed: while it recovers, or after so many lines and a moment more."""
        process = self.tradingd.start("--resume", "last")
        if self.rng.random() < 0.2:
            self._kill(process, wait_s=self.rng.uniform(0.0, 4.0))
        else:
            self._killed_after(process, self.rng.randrange(2, self.lines_max))

    def resume_and_stop(self) -> bool:
        """Go on, and be asked to end: what is left behind then must be in order. False when that
        cannot be said, as the market went on and filled what rests.
        """
        process = self.tradingd.start("--resume", "last")
        _read(process, self.rng.randrange(30, 120))
        asked_ms = WireClock().now_ns() // NS_PER_MS
        process.send_signal(signal.SIGTERM)
        last = _read(process, None)
        self.stops += 1
        if process.wait(STOP_WITHIN_S) != 0:
            self.wrong.append(f"a graceful stop ended with {process.returncode}: {last}")
        assert process.stdout is not None
        process.stdout.close()
        if not self.is_waiting and self._has_filled_since(asked_ms):
            self.check()
            return False
        self.check_at_rest()
        return True

    def check(self) -> None:
        """What holds at every moment: no order is doubled, none came that was not written down."""
        ledger, books = self.ledger(), self.books()
        self.mid_order += bool(books.blotter.unresolved())
        found = doubled_or_unintended(ledger, books.blotter.orders)
        self.wrong += [f"after {self.kills} kills: {text}" for text in found]

    def check_at_rest(self) -> None:
        """What holds once a daemon has ended in order: both sides are equal to the last digit."""
        self.check()
        ledger, books = self.ledger(), self.books()
        self.wrong += [*differences(ledger, books), *unprotected(ledger, books)]

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.ready['rest']}/embedded/ledger") as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def books(self) -> Books:
        last = (self.tradingd.state / "runs" / "last").read_text("utf-8").strip()
        return books_of(JournalReader.open(self.tradingd.state / "runs" / last / "journal.db"))

    def _has_filled_since(self, wire_ms: int) -> bool:
        return any(each["wire_ms"] >= wire_ms for each in self.ledger()["fills"])

    def _killed_after(self, process: subprocess.Popen[str], lines: int) -> None:
        self._kill(process, lines, self.rng.uniform(0.0, 0.1))

    def _kill(self, process: subprocess.Popen[str], lines: int = 0, wait_s: float = 0.0) -> None:
        code = kill_after(process, lines, wait_s)
        self.kills += 1
        if code == -signal.SIGKILL:
            self.wrong.append(f"after {self.kills} kills: it stood still for {LIFE_MAX_S} s")
        elif code:
            self.wrong.append(f"after {self.kills} kills: it ended by itself with {code}")
        self.check()


@contextlib.contextmanager
def killed(folder: Path, *, seed: int, config: str = "", speed: str = "max") -> Iterator[Killed]:
    """A run to be begun, and its exchange, which lives on through every kill."""
    with an_exchange(folder, "--speed", speed, "--edge", "0.4", seed=seed) as ready:
        tradingd = Tradingd(folder, LIVE + config).use(ready)
        yield Killed(tradingd, ready, random.Random(seed), is_waiting=speed == "max")


def kill_after(process: subprocess.Popen[str], lines: int, wait_s: float = 0.0) -> int | None:
    """SIGKILL after so many lines and a moment more; the code with which it had ended before, if it
    had: -SIGKILL when so many lines never came.
    """
    _read(process, lines)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)
    code = process.poll()
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    return code


def _read(process: subprocess.Popen[str], lines: int | None) -> str:
    """So many lines, or all there are; the last of them. One that stands still is killed."""
    assert process.stdout is not None
    last = ""
    limit = threading.Timer(LIFE_MAX_S, process.kill)
    limit.start()
    while lines is None or lines > 0:
        if not (line := process.stdout.readline()):
            process.wait(STOP_WITHIN_S)
            break
        last = line.strip()
        lines = None if lines is None else lines - 1
    limit.cancel()
    return last
