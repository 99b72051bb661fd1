"""A kill after every step of a start and of the first orders, each followed by a resume.

The session runs in this process, on an exchange that outlives it, as it does a kill.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from daemon.cli.connecting import connect
from daemon.cli.exchange_options import market_of
from daemon.cli.exchange_state import MarketOptions
from daemon.config import config_hash, load
from daemon.core.events import OrderIntended, OrderReported, RunClosed, TradingHalted
from daemon.core.timeframes import NS_PER_S
from daemon.running.books.holdings import books_of
from daemon.running.reporting import Reporter
from daemon.running.session import Session
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunSpec, new_run, run_id_for
from tests.both_sides import differences, doubled_or_unintended, unprotected
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.events import CancelOrder, Event, SubmitOrder
    from daemon.store.runs import RunPaths

pytestmark = pytest.mark.timeout(300)
BARS = 4
HISTORY_BARS = 1_000
STEPS = 14  # a start, an entry with its stop, and an exit
ANSWERS = 3
SYMBOLS = ("BTC/USDT",)


class Killed(Exception):
    """Stands for a SIGKILL: nothing of the daemon comes after it."""


class Mortal:
    """A venue to which nothing leaves any more once its daemon is dead."""

    def __init__(self, venue: Any) -> None:
        self._venue = venue
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def submit(self, order: SubmitOrder) -> OrderReported:
        self._outlive()
        told: OrderReported = await self._venue.submit(order)
        return told

    async def cancel(self, order: CancelOrder) -> OrderReported:
        self._outlive()
        told: OrderReported = await self._venue.cancel(order)
        return told

    def _outlive(self) -> None:
        if self.is_dead:
            raise Killed


class Witness(Reporter):
    """Dies with the daemon once so many steps are committed, before their commands have left."""

    steps_left = -1
    venue: Mortal

    def tap(self, events: tuple[Event, ...]) -> None:
        super().tap(events)
        self.steps_left -= 1
        if not self.steps_left:
            self.venue.is_dead = True
            raise Killed


class Lab:
    """Runs of one state directory, each on its own account, all with the first one's model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self.kills = 0
        self.settings: Settings = load(
            None,
            {
                "run.state_dir": folder / "state",
                "run.mode": "live",
                "data.exchange": "embedded",
                "data.symbols": SYMBOLS,
                "data.history_bars": HISTORY_BARS,
                "model.trees": 10,
                "model.folds": 3,
                "signal.confidence_min_ratio": 0.1,
                "signal.cost_margin_bps": 0.0,
                "execution.fee_bps": 1.0,
                "execution.slippage_bps": 0.0,
                "risk.trade_unknown_model": "always",
                "execution.stop_loss_ratio": 0.02,
                "execution.validity_ms": 200,  # of what was never sent one knows it soon
                "execution.grace_s": 0.1,
            },
            {
                "TRADINGD__EXCHANGE__API_KEY": CREDENTIALS.key,
                "TRADINGD__EXCHANGE__API_SECRET": CREDENTIALS.secret,
            },
        )

    def exchange(self) -> contextlib.AbstractAsyncContextManager[Loopback]:
        self._runs += 1
        folder = self._folder / f"exchange-{self._runs}"
        folder.mkdir()
        options = MarketOptions(
            symbols=SYMBOLS, timeframe="1h", seed=42, edge=0.4, history_bars=HISTORY_BARS
        )
        return loopback(folder, market=market_of(options))

    def begin(self, rest: str) -> tuple[RunSpec, RunPaths]:
        created_ns = self._runs * NS_PER_S
        spec = RunSpec(
            run=run_id_for(created_ns, "killed"),
            created_ns=created_ns,
            mode="live",
            market="synthetic",
            symbols=SYMBOLS,
            timeframe="1h",
            seed=42,
            config_hash=config_hash(self.settings),
            edge=0.4,
            bars=BARS,
            options={"exchange_url": rest},
            exchange_name="embedded",
        )
        return spec, new_run(self.settings.run.state_dir, spec)

    async def dies(self, spec: RunSpec, paths: RunPaths, steps: int) -> None:
        """One process of the daemon, to its death, or to its end where that comes before."""
        with contextlib.suppress(Killed):
            await self.lives(spec, paths, steps)
            return
        self.kills += 1

    async def lives(self, spec: RunSpec, paths: RunPaths, steps: int = -1) -> dict[str, object]:
        """One process of the daemon, to its end."""
        world = await connect(self.settings, spec, paths, speed=None)
        try:
            reporter = Witness(self.settings, spec, paths, world)
            reporter.steps_left = steps
            told: Any = Mortal(world.sites[0].venue)
            world.sites[0].venue = reporter.venue = told
            return await Session(self.settings, spec, paths, world, reporter).run()
        finally:
            await world.close()


def forget_last_step(paths: RunPaths) -> None:
    with contextlib.closing(sqlite3.connect(paths.journal)) as rows:
        rows.execute("DELETE FROM event WHERE step = (SELECT max(step) FROM event)")
        rows.commit()


async def wrong_after(lab: Lab, steps: int, *, is_forgotten: bool) -> list[str]:
    """What does not hold once a run that was killed there has been gone on with to its end.

    `is_forgotten`: the kill came before the last of these steps was committed, and after what it
    tells of had happened on the exchange.
    """
    async with lab.exchange() as there:
        spec, paths = lab.begin(there.endpoints.rest)
        await lab.dies(spec, paths, steps)
        if is_forgotten:
            forget_last_step(paths)
        result = await lab.lives(spec, paths)
        ledger: dict[str, Any] = await there.get("ledger")
    journal = JournalReader.open(paths.journal)
    books = books_of(journal)
    intents = [each.client_order_id for _, each in journal.read_kinds(OrderIntended)]
    found = [
        *doubled_or_unintended(ledger, books.blotter.orders),
        *differences(ledger, books),
        *unprotected(ledger, books),
        *(f"{each} was intended twice" for each in set(intents) if intents.count(each) > 1),
        *(f"halted: {each.detail}" for _, each in journal.read_kinds(TradingHalted)),
    ]
    if (result["bars"], journal.counts().get(RunClosed.__name__)) != (BARS, 1):
        found.append(f"not at its end: {result}")
    return [f"killed after {steps} steps: {text}" for text in found]


async def test_a_run_that_is_killed_after_any_of_its_steps_goes_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    async with lab.exchange() as there:
        spec, paths = lab.begin(there.endpoints.rest)
        await lab.lives(spec, paths)
    steps = dict(reversed(list(JournalReader.open(paths.journal).read())))  # the first of each
    answers = [step for step, event in steps.items() if isinstance(event, OrderReported)]

    wrong = []
    for step in sorted(steps)[:STEPS]:
        wrong += await wrong_after(lab, step, is_forgotten=False)
        if step in answers:
            wrong += await wrong_after(lab, step, is_forgotten=True)

    assert "\n".join(wrong) == ""
    assert lab.kills >= STEPS + ANSWERS
