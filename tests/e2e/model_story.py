"""Ninety days in the life of a model, on an exchange whose market dies and comes back turned over.

Belongs here: the market, the settings, running it with or without kills, and reading from the
journal what the daemon thought of its model and when. What must be true of it belongs to the tests
and to the soak.
"""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.core import events as e
from daemon.core.timeframes import DAY_NS, HOUR_NS, NS_PER_MS, parse_time
from daemon.embedded.factors import HOUR_MS
from daemon.embedded.synthetic import DEFAULT_FROM_MS
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import Tradingd, an_exchange

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

DAYS = 90
EDGE = 0.7
DIES, SHIFTS, TURNS = 30, 50, 60  # days after the beginning
CHANGES = (f"{DIES}d edge=0", f"{SHIFTS}d volume=3 volume_noise=4", f"{TURNS}d edge=-{EDGE}")
HISTORY_BARS = 2_400
# A forest this small is trained in a second or two; what is decided on is as shipped.
CONFIG = f"""
[data]
history_bars = {HISTORY_BARS}
[model]
trees = 40
folds = 4
[retraining]
max_gap_hours = 72
windows_bars = [480, 240]
[risk]
successor_ends_model_halt = true
"""


@dataclass(frozen=True, order=True)
class State:
    """What the daemon came to think or do about its model, and in which bar of the stream."""

    bar: int
    what: str

    @property
    def day(self) -> float:
        return self.bar / 24


class Story:
    """One run of all the days, on an exchange that outlives every kill."""

    def __init__(self, tradingd: Tradingd, rest: str) -> None:
        self.tradingd = tradingd
        self._rest = rest

    def told(self, kill_bars: Iterable[int] = ()) -> dict[str, Any]:
        """Run to the end, killed at these bars; the line run.finished."""
        options = ["--exchange-url", self._rest, "--bars", str(DAYS * 24), "--speed", "max"]
        for bar in sorted(kill_bars):
            _read_until(self.tradingd.start(*options), bar)
            options = ["--resume", "last"]
        last = _read_until(self.tradingd.start(*options), None)
        assert last["event"] == "run.finished", last
        return last

    def events(self) -> Iterator[e.Event]:
        last = (self.tradingd.state / "runs" / "last").read_text("utf-8").strip()
        reader = JournalReader.open(self.tradingd.state / "runs" / last / "journal.db")
        for _, event in reader.read():
            yield event

    def day_of(self, event: e.Event) -> float:
        """Days of market time since the first bar of the stream opened."""
        return (event.ts_ns - DEFAULT_FROM_MS * NS_PER_MS) / DAY_NS

    def states(self) -> list[State]:
        """Changes of mind in the order of the journal."""
        return list(_states(self.events()))


def _states(events: Iterator[e.Event]) -> Iterator[State]:
    bar, status = 0, None
    for event in events:
        if isinstance(event, e.BarsClosed):
            close_ns = max(each.close_ns for each in event.bars)
            bar = (close_ns - DEFAULT_FROM_MS * NS_PER_MS) // HOUR_NS - 1
        elif isinstance(event, e.HealthSampled):
            if event.status is not status:
                yield State(bar, event.status.value)
            status = event.status
        elif (what := TOLD.get(type(event))) is not None:
            yield State(bar, what(event))


TOLD: dict[type[e.Event], Callable[[Any], str]] = {
    e.TradingHalted: lambda event: f"halted: {event.reason.value}",
    e.TradingResumed: lambda _: "resumed",
    e.RetrainingOpened: lambda event: f"retraining: {event.reason.value}",
    e.TrainingFailed: lambda event: f"refused: {event.fault.value}",
    e.ChallengerOpened: lambda _: "challenger",
    e.ChallengerDropped: lambda event: f"dropped: {event.reason.value}",
    e.ModelPromoted: lambda event: f"promoted: {event.reason.value}",
    e.ModelRolledBack: lambda _: "rolled back",
}


def random_bars(kills: int, seed: int) -> list[int]:
    """Bars to be killed at, wherever they fall."""
    return random.Random(seed).sample(range(24, DAYS * 24), kills)


@contextlib.contextmanager
def story(folder: Path, *, seed: int, config: str = "") -> Iterator[Story]:
    """An exchange with that market, and a daemon to be run on it."""
    market = (
        *("--speed", "max", "--timeframe", "1h", "--edge", str(EDGE)),
        *("--symbols", "BTC/USDT,ETH/USDT", "--history-bars", str(HISTORY_BARS)),
        *(part for change in CHANGES for part in ("--change", change)),
    )
    with an_exchange(folder, *market, seed=seed) as ready:
        yield Story(Tradingd(folder, CONFIG + config).use(ready), ready["rest"])


def _read_until(process: subprocess.Popen[str], bar: int | None) -> dict[str, Any]:
    """The last line before its end, or the line of this bar, at which it is killed."""
    assert process.stdout is not None
    line: dict[str, Any] = {}
    for text in process.stdout:
        line = json.loads(text)
        if bar is not None and line["event"] == "bar.closed" and _bar(line) >= bar:
            process.kill()
            break
    process.wait()
    process.stdout.close()
    return line


def _bar(line: dict[str, Any]) -> int:
    """How many bars of the stream had closed before this one."""
    return (parse_time(line["bar"]) // NS_PER_MS - DEFAULT_FROM_MS) // HOUR_MS - 1
