"""One run of the daemon from start to end: recover, load, train, go, and say how it went.

Belongs here: the order of those things. The tasks of a running daemon belong to `live`.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from daemon.app import build_core
from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, JournalBroken
from daemon.core.events import (
    BarsClosed,
    CanaryBegun,
    HistoryLoaded,
    ModelActivated,
    RunClosed,
    RunOpened,
    Started,
)
from daemon.core.timeframes import rfc3339, timeframe_ns
from daemon.feature_config import bars_needed, feature_set_of
from daemon.layers.features.golden import golden_check
from daemon.running.bar_keeper import BarKeeper
from daemon.running.books.earlier_halts import halts_left
from daemon.running.books.leftovers import Leftovers, told_by
from daemon.running.books.recovery import booked, settle, was_cut_off
from daemon.running.feature_check import check_of
from daemon.running.fine_bars import FineBars
from daemon.running.golive.canary import canaries, tell_other
from daemon.running.history import load_bars
from daemon.running.listing_watch import news_of_rules
from daemon.running.live import Live
from daemon.running.models.desk import model_desk
from daemon.running.models.following import Following
from daemon.running.models.loading import activation
from daemon.running.models.trainings import Trainings
from daemon.running.models.use import let_go_unfit, use_candidate, use_model, use_models
from daemon.running.opening import as_balances, opening
from daemon.running.process.sd_notify import EXTEND_S
from daemon.running.process.strays import Strays
from daemon.running.summary import summarise
from daemon.running.world.listed import untraded_now
from daemon.store.bars import BarStore
from daemon.store.code_version import code_version
from daemon.store.journal import SqliteJournal
from daemon.store.models import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.config import Settings
    from daemon.core.bars import Bar
    from daemon.core.events import Event
    from daemon.core.manifests import Manifest
    from daemon.running.reporting import Reporter
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths, RunSpec

LOOK_AGAIN_S = 10.0
WHEN_BROKEN = (
    "put back an older copy of the run that `tradingd parity` accepts, or move the run away, and "
    "start with --adopt-books: what the copy lacks is taken over from the exchange"
)


class StoppedEarly(Exception):  # not an error: somebody asked for it
    """A stop came before the first decision; there is nothing to sum up."""


class Session:
    """A run; what it needs from outside is in `world`, what it says goes to `reporter`."""

    def __init__(  # what a run is made of
        self,
        settings: Settings,
        spec: RunSpec,
        paths: RunPaths,
        world: World,
        reporter: Reporter,
        *,
        is_adopting: bool = False,
    ) -> None:
        self._is_adopting = is_adopting
        self._waited_for: set[str] = set()  # exchanges that did not answer at the start
        self._left = Leftovers(world, paths, settings.run.name, is_adopting=is_adopting)
        self._settings = settings
        self._spec = spec
        self._paths = paths
        self._world = world
        self._reporter = reporter
        self._wire = WireClock()
        self._timeframe_ns = timeframe_ns(settings.data.timeframe)
        self._features = feature_set_of(settings)
        self._registry = ModelRegistry(paths.models)
        self._trainings = Trainings(
            settings, self._features, self._registry, paths, world, reporter, self._wire
        )
        self._live: Live | None = None
        self._is_stopping = False
        self._starting: asyncio.Task[tuple[RunOpened, Live]] | None = None
        self.is_closed = False  # the run reached its end, and a resume only shows it again

    def stop(self) -> None:
        """Ask for a graceful end, wherever the run stands."""
        self._is_stopping = True
        self._reporter.stopping()
        if self._starting is not None:
            self._starting.cancel()
        if self._live is not None:
            self._live.stop()

    async def run(self) -> dict[str, object]:
        """To the end of the run, or until `stop`; returns the fields of `run.finished`."""
        strays = Strays(lambda text: self._reporter.emit("task.failed", error=text))
        strays.listen(asyncio.get_running_loop())
        self._journal = SqliteJournal.open(self._paths.journal)
        self._bars = BarStore.open(self._paths.bars)
        try:
            try:
                opened, live = await self._start()
            except StoppedEarly:
                if not any(True for _ in self._journal.read_kinds(RunOpened)):
                    raise
                return self._summary()
            self.is_closed = any(True for _ in self._journal.read_kinds(RunClosed))
            if not self._is_stopping and not self.is_closed:
                await live.run(opened.end_ns)
                if live.is_over:
                    await live.close()
                    self.is_closed = True
            return self._summary()
        finally:
            await self._journal.close()
            self._bars.close()

    def nothing(self) -> dict[str, object]:
        """The fields of `run.finished` for a run that was stopped before it opened: all zero."""
        first, settings = self._world.sites[0], self._settings
        opened = RunOpened(
            ts_ns=self._world.now_ns(),
            run=self._spec.run,
            bot=settings.run.name,
            mode=self._spec.mode,
            market=first.market,
            account=first.account,
            timeframe=settings.data.timeframe,
            timeframe_ns=self._timeframe_ns,
            instruments=self._world.instruments,
            allotted_quote=settings.allotted.get(settings.reporting_currency, Decimal(0)),
            balances=(),
            config_hash=self._spec.config_hash,
            first_open_ns=first.first_open_ns,
            end_ns=None,
            reporting_currency=settings.reporting_currency,
            leverage=Decimal(repr(settings.risk.max_leverage)),
            allotted=as_balances(settings.allotted),
        )
        return summarise([opened], lookback=self._features.lookback)

    def _summary(self) -> dict[str, object]:
        events = (event for _, event in self._journal.read())
        return summarise(events, lookback=self._features.lookback)

    async def _start(self) -> tuple[RunOpened, Live]:
        """Recover, unless a stop comes first: history and training are given up at once."""
        self._starting = asyncio.ensure_future(self._recover())
        try:
            return await self._starting
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            raise StoppedEarly from None
        finally:
            self._starting = None

    async def _recover(self) -> tuple[RunOpened, Live]:
        """The one way to begin: journal, then whatever of history, model and books is missing."""
        known = [event for _, event in self._journal.read_kinds(RunOpened)]
        activated = [event for _, event in self._journal.read_kinds(ModelActivated)]
        golden_check(self._features)
        # A kill may have come between the model and the history, which is the next step.
        is_loaded = any(True for _ in self._journal.read_kinds(HistoryLoaded, BarsClosed))
        bars = () if is_loaded else await self._load_bars()
        live = self._live = self._build()
        core, take = self._core, live.runner.take
        unfit = use_models(core, self._registry, self._features, self._journal, is_resuming=True)
        try:
            count = core.pipeline.recover(self._recorded(live))
        except JournalBroken as error:
            msg = f"{error}; {WHEN_BROKEN}"
            raise JournalBroken(msg) from error
        self._following.mend(self._journal)
        self._reporter.use(core)
        await self._look_for_left(known[-1].ts_ns if known else None)
        opened = known[-1] if known else await self._open(live)
        now_ns = self._world.now_ns()
        await let_go_unfit(core, unfit, take, now_ns)
        if not activated or self._trainings.is_no_use(activated[-1], now_ns, unfit):
            until_ns = live.slots.newest_close_ns or self._world.first_open_ns
            model_id = await self._trainings.first(until_ns)
            await take(activation(self._use(model_id), now_ns))
        if not is_loaded:
            await take(HistoryLoaded(ts_ns=now_ns, bars=bars))
        self._tell_resumed(count)
        self._reporter.state("reconciling with the venue")
        for halt in halts_left(self._paths, self._world, self._journal, now_ns):
            await take(halt)
        await take(Started(ts_ns=now_ns, version=code_version()))
        news = news_of_rules(core.book.instruments, self._world.instruments, now_ns)
        for event in (*news, *untraded_now(self._world, now_ns)):
            await take(event)
        for canary in canaries(self._world, self._journal.read_kinds(CanaryBegun), now_ns):
            await take(canary)
        for site in self._world.sites:
            if site.paper is not None:
                site.paper.charge_by(partial(core.turnover.of, site.exchange))
                site.paper.restore(*booked(core.blotter, self._journal, site.exchange))
        venues = {site.exchange: site.venue for site in self._world.sites}
        watches = live.watch_books(opened)
        await self._left.take_over(take, now_ns)
        unsettled = await settle(
            core.blotter,
            venues,
            watches,
            take,
            now_ns,
            on_away=self._wait_for,
            is_adopting=self._is_adopting,
        )
        self._compare_later(live, unsettled)
        self._tell_back(now_ns)
        tell_other(self._world, core.roles.active, self._reporter)
        return opened, live

    async def _look_for_left(self, opened_ns: int | None) -> None:
        orders, told = self._core.blotter.orders, told_by(self._journal)
        await self._left.look(orders, opened_ns, told=told, on_away=self._wait_for)

    def _tell_resumed(self, count: int) -> None:
        if count:
            steps = self._journal.last_step()
            if was_cut_off(self._journal):
                self._reporter.emit("run.unclean", steps=steps)
            self._reporter.emit("run.resumed", events=count, steps=steps)

    def _compare_later(self, live: Live, unsettled: Iterable[str]) -> None:
        for exchange in unsettled:
            self._reporter.emit("books.unsettled", exchange=exchange)
            live.sites[exchange].compare_soon()

    def _tell_back(self, now_ns: int) -> None:
        for exchange in sorted(self._waited_for):
            self._reporter.emit("exchange.back", exchange=exchange, at=rfc3339(now_ns))

    async def _wait_for(self, exchange: str, error: ExchangeUnreachable) -> None:
        """A service waits for its exchange and says so; at a terminal that is an error."""
        if not self._reporter.notifier.is_managed:
            raise error
        self._waited_for.add(exchange)
        self._reporter.emit("exchange.lost", exchange=exchange, error=str(error))
        self._reporter.state(f"waiting for {exchange}")
        self._reporter.notifier.extend_timeout(EXTEND_S)
        await asyncio.sleep(LOOK_AGAIN_S)

    def _build(self) -> Live:
        ids = [each.id for each in self._world.instruments]
        core = self._core = build_core(self._settings, self._features, None, ids)
        live = Live(
            self._core,
            self._world,
            self._journal,
            self._settings,
            self._paths,
            self._reporter,
            self._wire,
            train=self._trainings.candidate,
            use=partial(use_candidate, core, self._registry, self._features),
            check=check_of(self._paths, self._world, self._settings, self._features),
            swap=model_desk(
                core, self._registry, self._features, self._world, self._settings
            ).wanted,
            fine=self._fine_bars(),
        )
        keys = {site.exchange: site.market_key for site in self._world.sites}
        told_ns = timeframe_ns(self._settings.data.fetched_timeframe)
        self._keeper = BarKeeper(self._bars, keys, self._timeframe_ns, told_ns)
        self._following = Following(
            self._registry, self._paths, core.inference, self._reporter, self._wire
        )
        live.runner.observers += [self._keeper.note, self._following.note]
        return live

    def _fine_bars(self) -> FineBars | None:
        if self._settings.data.parts_per_bar == 1:
            return None
        keys = {site.exchange: site.market_key for site in self._world.sites}
        fine_ns = timeframe_ns(self._settings.data.fetched_timeframe)
        return FineBars(self._bars, keys, fine_ns=fine_ns, coarse_ns=self._timeframe_ns)

    def _use(self, model_id: str) -> Manifest:
        """Hand a verified model to the core, ready for its activation."""
        return use_model(self._core, self._registry, self._features, model_id)

    def _recorded(self, live: Live) -> Iterator[Event]:
        for event in self._keeper.recovered(event for _, event in self._journal.read()):
            live.recall(event)
            yield event

    async def _open(self, live: Live) -> RunOpened:
        opened = await opening(self._world, self._settings, self._spec, self._left.tied_up)
        await live.runner.take(opened)
        return opened

    async def _load_bars(self) -> tuple[Bar, ...]:
        return await load_bars(
            self._world,
            self._bars,
            timeframe_ns=self._timeframe_ns,
            fetched_ns=timeframe_ns(self._settings.data.fetched_timeframe),
            history_bars=self._settings.data.history_bars,
            keep=bars_needed(self._settings, self._features),
            spike_scale=self._settings.data.spike_scale,
            report=self._reporter.progress,
        )
