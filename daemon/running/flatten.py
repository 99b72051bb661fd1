"""Closes what a run holds while its daemon is down: its journal, its venues and the same core, no
feed and no model.

Belongs here: recovering, asking for the flatten, and working it off until nothing moves. What is
cancelled and sold, and in which order, belongs to the core.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.app import build_core
from daemon.core.errors import ExchangeUnreachable, JournalBroken, LiveRefused
from daemon.core.events import (
    AskQuotes,
    CancelOrder,
    FlattenRequested,
    LookUpOrder,
    OrdersTicked,
    RunOpened,
    Started,
    SubmitOrder,
)
from daemon.core.inbox import Inbox
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import timeframe_ns
from daemon.feature_config import feature_set_of
from daemon.routes import routes
from daemon.running.bar_keeper import BarKeeper
from daemon.running.books.holdings import holding
from daemon.running.books.reconcile import Books
from daemon.running.books.recovery import booked, settle
from daemon.running.books.watch import BookWatch, Hands, Restless, Rules
from daemon.running.listing_watch import news_of_rules
from daemon.running.quotes import QuoteDesk
from daemon.running.racing import first_of
from daemon.running.runner import Runner
from daemon.store.bars import BarStore
from daemon.store.code_version import code_version
from daemon.store.journal import SqliteJournal
from daemon.venues.outbox import Outbox
from daemon.venues.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.app import Core
    from daemon.config import Settings
    from daemon.core.events import Command, Event
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths

CHECK_EVERY_S = 0.05
TICK_EVERY_S = 0.5


class Flattened(Struct, frozen=True, kw_only=True):
    """What is left of a run's book, and what its venues say about it, by exchange."""

    held: dict[str, object]
    differences: dict[str, list[str]]

    @property
    def is_flat(self) -> bool:
        """Nothing that an order could move, and nothing on its way; rests may stay."""
        return not (self.held["positions"] or self.held["open_orders"])


class Flattener:
    """One flatten of one run, whose state's lock the caller holds."""

    def __init__(
        self, settings: Settings, paths: RunPaths, world: World, hear: Callable[[Event], None]
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._world = world
        self._hear = hear
        features = feature_set_of(settings)
        self._core = build_core(settings, features, None, [each.id for each in world.instruments])
        self._core.pipeline = _without_model(self._core)
        self._inbox = Inbox()
        self._outboxes = {
            site.exchange: Outbox(site.venue, self._inbox.put, is_following=False)
            for site in world.sites
        }
        self._quotes = QuoteDesk(
            {site.exchange: site for site in world.sites},
            self._inbox.put,
            within_s=settings.execution.quote_within_s,
            turns=Turns(is_ordered=world.is_lockstep),
        )

    async def run(self, reason: str, who: str, *, within_s: float) -> Flattened:
        """Until nothing is left, or `within_s` is over; ExchangeUnreachable before the first order.

        What the journal then holds is what a daemon would have written: a resumed run goes on from
        there, halted.
        """
        journal = SqliteJournal.open(self._paths.journal)
        store = BarStore.open(self._paths.bars)
        try:
            runner = Runner(self._core.pipeline, journal, self._inbox, act=self._act)
            watches = await self._recover(journal, store, runner)
            runner.observers.append(self._tell)
            work = [runner.run(), self._quotes.run()]
            work += [each.run() for each in self._outboxes.values()]
            running = [asyncio.create_task(each) for each in work]
            try:
                now_ns = self._world.now_ns()
                await self._inbox.put(FlattenRequested(ts_ns=now_ns, reason=reason, who=who))
                end = self._worked_off(runner, within_s)
                await first_of(end, running, asyncio.Event())
                differences = {
                    name: await self._compared(watch, runner) for name, watch in watches.items()
                }
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        finally:
            await journal.close()
            store.close()
        return Flattened(held=holding(self._core.book, self._core.blotter), differences=differences)

    async def _recover(
        self, journal: SqliteJournal, store: BarStore, runner: Runner
    ) -> dict[str, BookWatch]:
        """State as the journal has it, then what became of every order, as at any start."""
        core, now_ns = self._core, self._world.now_ns()
        core.pipeline.recover(self._recorded(journal, store))
        opened = [event for _, event in journal.read_kinds(RunOpened)]
        if not opened:
            msg = f"run {self._paths.run} was killed before its first step: it never held anything"
            raise JournalBroken(msg)
        await runner.take(Started(ts_ns=now_ns, version=code_version()))
        for event in news_of_rules(core.book.instruments, self._world.instruments, now_ns):
            await runner.take(event)
        for site in self._world.sites:
            if site.paper is not None:
                site.paper.charge_by(partial(core.turnover.of, site.exchange))
                site.paper.restore(*booked(core.blotter, journal, site.exchange))
        config = self._settings.execution
        books = Books(opened[-1], core.blotter, core.book, core.flows)
        rules = Rules(patience_s=config.reconcile_patience_s, foreign=config.foreign)
        venues = {site.exchange: site.venue for site in self._world.sites}
        watches = {name: BookWatch(name, each, books, rules) for name, each in venues.items()}
        await settle(core.blotter, venues, watches, runner.take, now_ns, on_away=_give_up)
        return watches

    def _recorded(self, journal: SqliteJournal, store: BarStore) -> Iterator[Event]:
        keys = {site.exchange: site.market_key for site in self._world.sites}
        keeper = BarKeeper(store, keys, timeframe_ns(self._settings.data.timeframe))
        yield from keeper.recovered(event for _, event in journal.read())

    def _act(self, command: Command) -> None:
        if isinstance(command, AskQuotes):
            self._quotes.post(command)
        elif isinstance(command, SubmitOrder | LookUpOrder | CancelOrder):
            self._outboxes[command.instrument.exchange].post(command)

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._hear(event)

    # --- working --------------------------------------------------------------------------------

    async def _worked_off(self, runner: Runner, within_s: float) -> None:
        """Let time pass for what is being worked, until nothing is left or nothing can be done.

        In lock-step no time passes without a daemon that plays the market on.
        """
        loop = asyncio.get_running_loop()
        until_s, ticked_s = loop.time() + within_s, loop.time()
        while loop.time() < until_s:
            await asyncio.sleep(CHECK_EVERY_S)
            if not self._is_quiet(runner):
                continue
            held = holding(self._core.book, self._core.blotter)
            if not held["positions"] and not held["open_orders"]:
                return
            now_ns = self._world.now_ns()
            is_due = self._core.is_due(now_ns)
            if is_due and loop.time() - ticked_s >= TICK_EVERY_S:
                ticked_s = loop.time()
                await self._inbox.put(OrdersTicked(ts_ns=now_ns))
            elif not is_due and self._world.is_lockstep:
                return

    async def _compared(self, watch: BookWatch, runner: Runner) -> list[str]:
        """Ask the venue once more: what its account says now is the proof."""

        async def look_up(command: LookUpOrder) -> None:
            self._outboxes[command.instrument.exchange].post(command)

        async def rest() -> None:
            while not self._is_quiet(runner):  # noqa: ASYNC110  # several parties
                await asyncio.sleep(CHECK_EVERY_S)

        hands = Hands(enter=self._inbox.put, look_up=look_up, rest=rest, now_ns=self._world.now_ns)
        within_s = self._settings.execution.reconcile_patience_s * 4 + 30.0
        try:
            async with asyncio.timeout(within_s):
                await watch.check(hands)
                await rest()
        except (ExchangeUnreachable, LiveRefused, Restless, TimeoutError) as error:
            return [f"not compared: {str(error) or type(error).__name__}"]
        told = watch.status()["differences"]
        assert isinstance(told, list)
        return told

    def _is_quiet(self, runner: Runner) -> bool:
        is_idle = runner.is_idle and not len(self._inbox) and not self._quotes.in_flight
        return is_idle and not any(each.in_flight for each in self._outboxes.values())


def _without_model(core: Core) -> Pipeline:
    """Every route but the model's: nothing is predicted here, and its file may be lost."""
    table = routes(core)
    return Pipeline(
        [each for each in table if getattr(each.handler, "__self__", None) is not core.inference]
    )


async def _give_up(_exchange: str, error: ExchangeUnreachable) -> None:
    raise error
