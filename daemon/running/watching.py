"""Whoever watches a running daemon from within: its steps, its process, its queues, each second.

Belongs here: what is watched, and who hears of it: status file, service manager, log. How it is
judged belongs to `progress` and `process.health`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.timeframes import NS_PER_S, timeframe_ns
from daemon.running.process.health import ProcessHealth
from daemon.running.process.progress import Progress
from daemon.running.process.reading import read_process
from daemon.running.process.stage_times import StageTimes
from daemon.venues.outbox import IN_FLIGHT_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.config import Settings
    from daemon.core.clock import WireClock
    from daemon.core.inbox import Inbox
    from daemon.running.reporting import Reporter
    from daemon.running.site_tasks import SiteTasks
    from daemon.store.runs import RunPaths

STUCK_AFTER_S = 20.0
WATCH_EVERY_S = 1.0
# Without a step for so many bars, and so many seconds more, nothing comes any more.
QUIET_BARS, QUIET_S = 2, 120.0


class Watching:
    """Sees everything and decides nothing; too little room on the disk is an input like others."""

    def __init__(
        self,
        settings: Settings,
        paths: RunPaths,
        *,
        wire: WireClock,
        market_ns: Callable[[], int],
        reporter: Reporter,
        inbox: Inbox,
        sites: Mapping[str, SiteTasks],
        is_idle: Callable[[], bool],
        each_second: Callable[[], Awaitable[None]],
    ) -> None:
        self._reporter = reporter
        self._inbox = inbox
        self._sites = sites
        self._each_second = each_second
        self._overflowed = (0, 0)  # waits for room and messages let go, as last told
        self.times = StageTimes()
        self.progress = Progress(
            wire.monotonic_s,
            lambda: len(inbox) + (not is_idle()),
            stuck_after_s=STUCK_AFTER_S,
        )
        self._process = ProcessHealth(
            settings.process,
            lambda: asyncio.to_thread(read_process, paths.state_dir, paths.journal),
            times=self.times,
            progress=self.progress,
            depths=self._depths,
            monotonic_s=wire.monotonic_s,
            market_ns=market_ns,
            put=inbox.put,
            emit=reporter.emit,
        )
        reporter.watch_process(self._process.status)
        self._beat_every_s = settings.alerts.heartbeat_every_s
        bar_s = timeframe_ns(settings.data.timeframe) / NS_PER_S
        self._quiet_max_s = QUIET_BARS * bar_s + QUIET_S

    async def check(self) -> None:
        """Look once, before anything is decided: whether there is room for it."""
        await self._process.check()

    async def run(self) -> None:
        """Say every second how it goes, and feed the service manager's watchdog while steps are
        made.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reporter.notifier.feed_watchdog(self.progress.is_made))
            tasks.create_task(self._process.run())
            if self._reporter.alerts.has_heart:
                tasks.create_task(self._beat())
            while True:
                await self._each_second()
                self._reporter.write_status()
                self._tell_overflow()
                await asyncio.sleep(WATCH_EVERY_S)

    def is_alive(self) -> bool:
        """What a sign of life stands for: bars come, steps are made, nothing is critical."""
        return (
            self.progress.is_made()
            and self.progress.quiet_s() <= self._quiet_max_s
            and self._process.is_well
        )

    async def _beat(self) -> None:
        """On the loop, so that a loop that hangs gives no sign of life."""
        while True:
            if self.is_alive():
                self._reporter.alerts.beat()
            await asyncio.sleep(self._beat_every_s)

    def _depths(self) -> dict[str, tuple[int, int]]:
        in_flight = sum(each.outbox.in_flight for each in self._sites.values())
        return self._inbox.depths | {"outbox": (in_flight, IN_FLIGHT_MAX * len(self._sites))}

    def _tell_overflow(self) -> None:
        """Bars came faster than steps: told each second in which one had to wait."""
        now = self._inbox.waits_for_room, sum(each.coalesced for each in self._sites.values())
        waits, coalesced = (new - old for new, old in zip(now, self._overflowed, strict=True))
        if waits:
            waiting = len(self._inbox)
            self._reporter.emit("queue.overflow", waiting=waiting, coalesced=coalesced)
        self._overflowed = now
