"""One chaos run: an exchange process under a fault script; the daemon's ingestion, store, core.

Belongs here: joining the parts as the daemon joins them, and what is noted on the way. What must
hold at the end belongs to `ingestion`, the script to `_chaos_rules`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.app import build_core
from daemon.config import Settings, load
from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    Event,
    FeatureRows,
    HistoryLoaded,
    Predictions,
)
from daemon.core.inbox import Inbox
from daemon.feature_config import feature_set_of
from daemon.layers.ingestion import Feed, FeedConfig, load_history
from daemon.running.bar_keeper import BarKeeper
from daemon.running.process.strays import Strays
from daemon.running.runner import Runner
from daemon.running.world.embedded import embedded_site
from daemon.running.world.exchange_process import Endpoint, ExchangeProcess
from daemon.store.bars import BarStore
from daemon.store.journal import SqliteJournal
from tests.builders import a_model_activated, a_run_opened
from tests.exchange.processes import serving
from tests.soak._chaos_market import HISTORY_BARS, MINUTE_NS, Plan, write_recordings
from tests.soak._chaos_rules import BLOCKED_S, blocked_at, script
from tests.unit.core.simulation import MODEL, a_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.running.world.sites import Site

SETTLE_S: Final = 4.0  # what closed last is read again, perhaps in vain at first
TICK_S: Final = 0.05
PROGRESS_STEPS: Final = 20
PATIENT: Final = FeedConfig(
    stale_after_s=1.0,
    poll_min_s=0.05,
    poll_max_s=1.0,
    ask_limit_s=600.0,
    revision_check_s=0.5,
    reconnect_max_s=2.0,
    ready_after_s=5.0,
    page_limit=1_000,
)


@dataclass
class Story:
    """What was seen of one run; `holes` are slots told as missed, by symbol."""

    market_key: str = ""
    first_open_ns: int = 0
    holes: dict[str, set[int]] = field(default_factory=dict)
    closed: dict[str, set[int]] = field(default_factory=dict)
    reached_ns: dict[str, int] = field(default_factory=dict)  # all slots before are accounted for
    decided_over_holes: list[str] = field(default_factory=list)
    decisions: int = 0
    rows: int = 0
    events: dict[str, int] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    dead_tasks: list[str] = field(default_factory=list)
    history: list[Bar] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)  # alive at a quarter, a half, ... of the run
    polls: int = 0
    reconnects: int = 0

    def note(self, events: Sequence[Event], lookback: int) -> None:
        """Hear of a committed step."""
        for event in events:
            name = type(event).__name__
            self.events[name] = self.events.get(name, 0) + 1
            if isinstance(event, HistoryLoaded):
                self.history += event.bars
            if isinstance(event, BarsClosed | HistoryLoaded):
                for bar in event.bars:
                    symbol = bar.instrument.symbol
                    self.closed.setdefault(symbol, set()).add(bar.open_ns)
                    self.reached_ns[symbol] = bar.close_ns
            elif isinstance(event, BarsMissed):
                last_ns = event.first_open_ns + event.count * MINUTE_NS
                missed = range(event.first_open_ns, last_ns, MINUTE_NS)
                self.holes.setdefault(event.instrument.symbol, set()).update(missed)
                self.reached_ns[event.instrument.symbol] = last_ns
            elif isinstance(event, FeatureRows):
                self.rows += len(event.rows)
                for row in event.rows:
                    self._check(row.instrument, row.close_ns, lookback)
            elif isinstance(event, Predictions):
                self.decisions += len(event.rows)

    def _check(self, instrument: InstrumentId, close_ns: int, lookback: int) -> None:
        window = range(close_ns - lookback * MINUTE_NS, close_ns, MINUTE_NS)
        if not self.closed.get(instrument.symbol, set()).issuperset(window):
            self.decided_over_holes.append(f"{instrument.symbol} at {close_ns}")


def settings_of(plan: Plan, folder: Path) -> Settings:
    return load(
        None,
        {
            "run.state_dir": folder / "state",
            "data.exchange": "embedded",
            "data.timeframe": "1m",
            "data.symbols": plan.names,
        },
        {},
    )


async def run(plan: Plan, folder: Path) -> Story:
    """Bars end up in `folder`/bars.db; raises only for what is wrong with the run itself."""
    rules = folder / "faults.json"
    rules.write_text(json.dumps(script(plan.seed, plan.bars)))
    recordings = write_recordings(plan, folder / "market")
    arguments = [
        *(("--data", str(path)) for path in recordings),
        ("--symbols", ",".join(plan.names)),
        ("--speed", str(plan.bars_per_s)),
        ("--history-bars", str(HISTORY_BARS)),
        ("--weight-limit", "100000000"),
        ("--faults", str(rules)),
    ]
    words = (word for pair in arguments for word in pair)
    async with serving(folder / "exchange", *words) as child:
        names = ("rest", "stream", "ws_api", "key", "secret", "fingerprint")
        endpoint = Endpoint(**{name: child.ready[name] for name in names})
        settings = settings_of(plan, folder)
        site = await embedded_site(
            ExchangeProcess(endpoint, None),
            settings,
            exchange="embedded",
            symbols=plan.names,
            market="synthetic",
            state_dir=None,
        )
        try:
            return await _ingest(plan, site, settings, folder)
        finally:
            await site.close()


async def _ingest(plan: Plan, site: Site, settings: Settings, folder: Path) -> Story:
    story = Story(site.market_key, site.first_open_ns)
    strays = Strays(story.strays.append)
    strays.listen(asyncio.get_running_loop())
    features = feature_set_of(settings)
    ids = [each.id for each in site.instruments]
    core = build_core(settings, features, a_model(features), ids)
    journal = SqliteJournal.open(folder / "journal.db")
    bars = BarStore.open(folder / "bars.db")
    inbox = Inbox()
    runner = Runner(core.pipeline, journal, inbox, act=lambda _command: None)
    keeper = BarKeeper(bars, {site.exchange: site.market_key}, MINUTE_NS)
    runner.observers += [lambda events: story.note(events, features.lookback), keeper.note]
    last = await _load_history(site, runner, features.fingerprint, ids)
    bars.append(site.market_key, MINUTE_NS, story.history)
    feed = Feed(
        site.market_data,
        ids,
        timeframe_ns=MINUTE_NS,
        market_clock=site.clock,
        wire=WireClock(),
        publish=inbox.put,
        rng=random.Random(plan.seed),
        config=_patient(plan),
        last=last,
    )
    tasks = {
        name: asyncio.create_task(work, name=name)
        for name, work in (
            ("feed", feed.run()),
            ("runner", runner.run()),
            ("clock", _follow_clock(site)),
        )
    }
    try:
        await _until_over(plan, site, story, tasks)
        story.dead_tasks = [_death(task) for task in tasks.values() if task.done()]
        counts = [feed.counts(each) for each in ids]
        story.polls = sum(each.polls for each in counts)
        story.reconnects = sum(each.reconnects for each in counts)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await journal.close()
        bars.close()
    gc.collect()
    return story


def _patient(plan: Plan) -> FeedConfig:
    return msgspec.structs.replace(PATIENT, market_rate=plan.bars_per_s * MINUTE_NS / 1e9)


async def _load_history(
    site: Site, runner: Runner, fingerprint: str, ids: Sequence[InstrumentId]
) -> dict[InstrumentId, Bar]:
    """History as the daemon loads it: its holes are told, its bars go into the windows."""
    last: dict[InstrumentId, Bar] = {}
    loaded: list[Bar] = []
    opened = a_run_opened(
        timeframe="1m",
        timeframe_ns=MINUTE_NS,
        instruments=site.instruments,
        first_open_ns=site.first_open_ns,
        end_ns=None,
    )
    await runner.take(opened)
    await runner.take(a_model_activated(model=MODEL, feature_fingerprint=fingerprint))
    for each in ids:
        history = await load_history(
            site.history_data,
            each,
            timeframe_ns=MINUTE_NS,
            since_ns=site.first_open_ns - HISTORY_BARS * MINUTE_NS,
            until_ns=site.first_open_ns,
            page_limit=site.page_limit,
        )
        loaded += history.bars
        last[each] = history.bars[-1]
        for missed in history.missed:
            await runner.take(missed)
    loaded.sort(key=lambda bar: (bar.close_ns, bar.instrument))
    await runner.take(HistoryLoaded(ts_ns=site.first_open_ns, bars=tuple(loaded)))
    return last


def _death(task: asyncio.Task[None]) -> str:
    error = None if task.cancelled() else task.exception()
    return f"{task.get_name()}: {error!r}"


async def _follow_clock(site: Site) -> None:
    """Keep the market clock on the exchange's, as a running daemon does."""
    assert site.link is not None
    while True:
        await asyncio.sleep(1.0)
        try:
            now = await site.link.clock()
        except ExchangeUnreachable:
            continue
        site.clock.anchor(now.market_ns, now.rate)


async def _until_over(
    plan: Plan, site: Site, story: Story, tasks: dict[str, asyncio.Task[None]]
) -> None:
    """Until every slot of every symbol is a bar or told as missed; blocks the loop now and then."""
    end_ns = site.first_open_ns + plan.bars * MINUTE_NS
    blocks = blocked_at(plan.seed, plan.bars)
    marks = [plan.bars * quarter // 4 for quarter in (1, 2, 3, 4)]
    wire = WireClock()
    begun_s = wire.monotonic_s()
    slots = drawn = 0
    while slots < plan.bars and not any(task.done() for task in tasks.values()):
        await asyncio.sleep(TICK_S)
        reached_ns = min(story.reached_ns[name] for name in plan.names)
        slots = (min(reached_ns, end_ns) - site.first_open_ns) // MINUTE_NS
        while marks and slots >= marks[0]:
            marks.pop(0)
            gc.collect()
            story.objects.append(len(gc.get_objects()))
        if blocks and slots >= blocks[0]:
            blocks.pop(0)
            _block(BLOCKED_S)
        if slots * PROGRESS_STEPS // plan.bars != drawn:
            drawn = slots * PROGRESS_STEPS // plan.bars
            _draw(plan, slots, wire.monotonic_s() - begun_s)
    await asyncio.sleep(SETTLE_S)


def _block(seconds: float) -> None:
    """Keep the event loop from doing anything, as a fit or a full disk would."""
    wire = WireClock()
    until_s = wire.monotonic_s() + seconds
    while wire.monotonic_s() < until_s:
        sum(range(10_000))


def _draw(plan: Plan, slots: int, elapsed_s: float) -> None:
    text = (
        f"seed {plan.seed}: {slots}/{plan.bars} bars of {plan.symbols} symbols, {elapsed_s:.0f} s"
    )
    sys.stderr.write(f"\r{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()
