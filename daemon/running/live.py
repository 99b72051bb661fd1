"""The running part of a session: its tasks, from the first subscription to the last answer.

Belongs here: which tasks run side by side, when the run is over and how it stops. What must be done
before belongs to `session`, the steps themselves to `runner`, one exchange's tasks to `site_tasks`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from daemon.core.events import (
    AskQuotes,
    BarsClosed,
    CancelOrder,
    Command,
    Event,
    HealthTick,
    LookUpOrder,
    RunClosed,
    StartTraining,
    StopRequested,
    SubmitOrder,
)
from daemon.core.inbox import Inbox
from daemon.core.reasons import HaltReason
from daemon.core.timeframes import timeframe_ns
from daemon.running.books.holdings import holding, training_in_words
from daemon.running.books.reconcile import Books
from daemon.running.feature_check import FeatureCheck
from daemon.running.fence import Fence
from daemon.running.golive.gate import disarmed
from daemon.running.halt_file import HaltFile
from daemon.running.health import HealthTask
from daemon.running.lockstep import Lockstep
from daemon.running.models.retraining import Trainer
from daemon.running.order_tasks import follow_open, is_left_alone, tick_orders
from daemon.running.quotes import QuoteDesk
from daemon.running.racing import first_of, until
from daemon.running.runner import Runner
from daemon.running.site_tasks import SiteTasks
from daemon.running.slots import Slots
from daemon.running.watching import Watching
from daemon.venues.turns import Turns
from daemon.web.control import Control

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from daemon.app import Core
    from daemon.config import Settings
    from daemon.core.bars import Bar
    from daemon.core.clock import WireClock
    from daemon.core.events import Input, RunOpened
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Journal
    from daemon.running.books.watch import BookWatch
    from daemon.running.feature_check import Check
    from daemon.running.fine_bars import FineBars
    from daemon.running.models.retraining import Train, Use
    from daemon.running.reporting import Reporter
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths
    from daemon.web.control import Swap

DRAIN_WITHIN_S = 30.0
LAST_WITHIN_S = 45.0


class Live:
    """The queue, the loop around the core and the tasks at the edge of one run."""

    def __init__(  # noqa: PLR0917  # what a run is made of
        self,
        core: Core,
        world: World,
        journal: Journal,
        settings: Settings,
        paths: RunPaths,
        reporter: Reporter,
        wire: WireClock,
        *,
        train: Train,
        use: Use,
        check: Check | None,
        swap: Swap,
        fine: FineBars | None = None,
    ) -> None:
        self._core = core
        self._world = world
        self._settings = settings
        self._paths = paths
        self._reporter = reporter
        self._wire = wire
        self._fine = fine
        self._timeframe_ns = timeframe_ns(settings.data.timeframe)
        self._ids = [each.id for each in world.instruments]
        self._end_ns: int | None = None
        self._stop = asyncio.Event()
        self.slots = Slots(self._ids, self._timeframe_ns)
        self.inbox = Inbox(now_ns=None if world.is_lockstep else self._market_ns)
        self._halt_file = HaltFile(settings.run.state_dir)
        self._turns = Turns(is_ordered=world.is_lockstep)
        self.sites = self._site_tasks(reporter)
        self._quotes = QuoteDesk(
            {site.exchange: site for site in world.sites},
            self.inbox.put,
            within_s=settings.execution.quote_within_s,
            turns=self._turns,
        )
        self._health = HealthTask(
            self.inbox.put,
            every_bars=settings.health.sample_every_bars,
            timeframe_ns=self._timeframe_ns,
        )
        self._feature_check = FeatureCheck(check, self._put_checked)
        self._trainer = Trainer(self._put_trained, train=train, use=use, now_ns=world.now_ns)
        self._watching = self._watched()
        self._swap = swap
        self._control = self._door()
        times = self._watching.times
        timed = times.timed(core.pipeline)
        self.runner = Runner(timed, journal, self.inbox, act=self._act, times=times)
        self.runner.observers += [
            reporter.tap, self._health.note, self._feature_check.note, self._trainer.note,
            self._watching.progress.note, self.note, self._control.note,
            *(each.note for each in self.sites.values()),
        ]  # fmt: skip

    def stop(self) -> None:
        """Ask for a graceful end: no new bar enters, what is in flight gets its answer."""
        self._stop.set()

    def watch_books(self, opened: RunOpened) -> dict[str, BookWatch]:
        """Whoever compares the books of each exchange, from the start on."""
        core = self._core
        books = Books(opened, core.blotter, core.book, core.flows)
        return {name: each.watch_books(books) for name, each in self.sites.items()}

    def recall(self, event: Event) -> None:
        """Hear of an event found in the journal at a start."""
        self.note((event,))
        self._health.recall(event)
        self._feature_check.recall(event)

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a step, committed now or found in the journal."""
        self.slots.note(events[0])
        if self.is_over:
            self._stop.set()

    @property
    def is_over(self) -> bool:
        """Every slot of the run has come, or every market has ended before."""
        if all(each.is_over for each in self.sites.values()):
            return True
        return self._end_ns is not None and self.slots.are_over(self._end_ns)

    async def run(self, end_ns: int | None) -> None:
        """Until the slot that closes at `end_ns`, the end of the market or `stop`; then drain."""
        self._end_ns = end_ns
        if self.is_over or self._stop.is_set():
            return
        await self._obey_halt_file()
        await self._watching.check()
        for each in self.sites.values():
            await each.clock_watch.check()
        enter: Callable[[Input], Awaitable[None]] = self.inbox.put
        last: Mapping[InstrumentId, Bar] = self.slots.last
        recent: Mapping[InstrumentId, Iterable[Bar]] = self.slots.recent
        if self._fine is not None:
            enter = self._fine.entrance(self.inbox.put, self.slots.accounted_ns)
            last = self._fine.last_parts(self.slots.last)
            recent = self._fine.recent(last)
        lockstep = self._lockstep(enter) if self._world.is_lockstep else None
        publish = enter if lockstep is None else lockstep.publish
        feeds = [each.feed(publish, last, recent, end_ns) for each in self.sites.values()]
        work = [self.runner.run(), self._health.run(), self._watching.run(), self._control.run()]
        work += [self._quotes.run(), self._trainer.run(), self._feature_check.run()]
        work += [feed.run() for feed in feeds]
        work += [task for each in self.sites.values() for task in each.work()]
        work.append(self._ticks() if lockstep is None else lockstep.run())
        follow_open(self._core.blotter, {name: each.outbox for name, each in self.sites.items()})
        running = [asyncio.create_task(each) for each in work]
        try:
            for feed in feeds:
                await first_of(feed.ready.wait(), running, self._stop)
            self._reporter.ready()
            if lockstep is not None:
                lockstep.start({each: self.slots.last[each].close_ns for each in self._ids})
            await first_of(self._stop.wait(), running, self._stop)
            if lockstep is not None and self.is_over:
                # Or the last slot's answers would race with the stop.
                await self._drain(self._is_quiet)
            await self.inbox.put(StopRequested(ts_ns=self._world.now_ns()))
            await self._drain(self._is_left_alone)
            if self.is_over:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WITHIN_S):
                        await self._compare_books()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Account for slots nothing came for at the end, sample health once more, close the run."""
        now_ns = self._world.now_ns()
        if self._end_ns is not None:
            for missed in self.slots.missed(self._end_ns, now_ns):
                await self.runner.take(missed)
        await self.runner.take(HealthTick(ts_ns=now_ns))
        await self.runner.take(RunClosed(ts_ns=now_ns))

    # --- parts --------------------------------------------------------------------------------

    def _site_tasks(self, reporter: Reporter) -> dict[str, SiteTasks]:
        fence = Fence(
            self._halt_file,
            lambda: self._core.risk.halted,
            self._stop.is_set,
            is_lockstep=self._world.is_lockstep,
        )
        return {
            site.exchange: SiteTasks(
                site,
                self._settings,
                wire=self._wire,
                reporter=reporter,
                put=self.inbox.put,
                stop=self._stop,
                is_quiet=self._is_quiet,
                rest=self._rest,
                on_over=self._on_site_over,
                turns=self._turns,
                fence=fence,
            )
            for site in self._world.sites
        }

    def _door(self) -> Control:
        return Control(
            self._paths.state_dir,
            put=self.inbox.put,
            now_ns=self._world.now_ns,
            status=self._trading,
            reconcile=self._reconcile_soon,
            must_stay_halted=self._must_stay_halted,
            cancel_training=self._trainer.cancel,
            swap=self._swap,
        )

    def _watched(self) -> Watching:
        return Watching(
            self._settings,
            self._paths,
            wire=self._wire,
            market_ns=self._world.now_ns,
            reporter=self._reporter,
            inbox=self.inbox,
            sites=self.sites,
            is_idle=lambda: self.runner.is_idle,
            each_second=self._obey_halt_file,
        )

    def _lockstep(self, enter: Callable[[Input], Awaitable[None]]) -> Lockstep:
        lockstep = Lockstep(
            {site.exchange: site.link for site in self._world.sites if site.link is not None},
            self._paths.run,
            self._ids,
            enter,
            may_go_on=self._may_go_on,
            on_clock=lambda exchange, now: self.sites[exchange].on_clock(now),
            before_slot=self._look_at_resting,
            at_rest=self._compare_books,
        )
        self.runner.observers.append(lockstep.note)
        return lockstep

    def _ticks(self) -> Coroutine[object, object, None]:
        return tick_orders(
            self._core.is_due, self.inbox.put, self._world.now_ns, lambda: self.runner.is_idle
        )

    def _on_site_over(self) -> None:
        if self.is_over:
            self._stop.set()

    async def _obey_halt_file(self) -> None:
        if HaltReason.OPERATOR not in self._core.risk.halted:
            for halt in self._halt_file.asks(self._world.now_ns()):
                await self.inbox.put(halt)

    def _must_stay_halted(self) -> str:
        return self._halt_file.must_stay_halted() or disarmed(self._world, self._settings)

    def _trading(self) -> dict[str, object]:
        halts = {reason.value: detail for reason, detail in self._core.risk.halted.items()}
        return {
            "run": self._paths.run,
            "trading": self._core.risk.halts.state.value,
            "halts": halts,
            "training": training_in_words(self._core.retraining.open),
            **holding(self._core.book, self._core.blotter),
        }

    def _reconcile_soon(self) -> None:
        for each in self.sites.values():
            each.compare_soon()

    async def _compare_books(self) -> None:
        """One exchange after the other, as two that are asked at once answer in any order."""
        for each in self.sites.values():
            await each.compare_books()

    def _act(self, command: Command) -> None:
        if isinstance(command, AskQuotes):
            self._quotes.post(command)
        elif isinstance(command, SubmitOrder | LookUpOrder | CancelOrder):
            self.sites[command.instrument.exchange].outbox.post(command)
        elif isinstance(command, StartTraining):
            self._trainer.post(command)

    # --- tasks --------------------------------------------------------------------------------

    async def _look_at_resting(self) -> None:
        """In one turn, and until all that follows from it is answered: only then come bars."""
        async with self._turns.place():
            for each in self.sites.values():
                await each.outbox.look_at_resting()
        await self._quiet()

    async def _put_checked(self, event: Input) -> None:
        """In lock-step how long it took must not decide between which answers its own one comes."""
        if self._world.is_lockstep:
            await self._quiet()
        await self.inbox.put(event)

    async def _put_trained(self, event: Input) -> None:
        await self._feature_check.settled()  # or a check and a training of one slot would race
        await self._put_checked(event)

    def _market_ns(self, event: BarsClosed) -> int:
        return max(self.sites[bar.instrument.exchange].site.clock.now_ns() for bar in event.bars)

    # --- stopping -----------------------------------------------------------------------------

    def _may_go_on(self) -> bool:
        """The market that waits for us may; after a stop nobody would hear what it does."""
        is_working = self._trainer.is_busy or self._feature_check.is_due
        return self._is_quiet() and not is_working and not self._stop.is_set()

    def _is_quiet(self) -> bool:
        return (
            self.runner.is_idle
            and not len(self.inbox)
            and not self._quotes.in_flight
            and not any(each.outbox.in_flight for each in self.sites.values())
            and not self._health.is_due
        )

    async def _rest(self) -> None:
        await until(lambda: not len(self.inbox) and self.runner.is_idle)  # all that came is a step

    async def _quiet(self) -> None:
        """Until everything that was sent has its answer, and every answer is a step."""
        await until(self._is_quiet)

    def _is_left_alone(self) -> bool:
        # In lock-step no time passes any more in which a stop could be tried again.
        owed = () if self._world.is_lockstep else self._core.execution.unprotected
        return self._is_quiet() and is_left_alone(self._core.blotter) and not owed

    async def _drain(self, is_done: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(DRAIN_WITHIN_S):
                await until(is_done)
        except TimeoutError:
            left = [each.client_order_id for each in self._core.blotter.all_open()]
            bare = [str(each) for each in self._core.execution.unprotected]
            self._reporter.emit("daemon.stopping", unresolved=left, unprotected=bare)
