"""How the process is: samples of the event loop, queues, memory and disk become levels and figures.

Belongs here: when it is looked at, what is too much, who is told. Reading the system belongs to
`process.reading`, times to `stage_times`, a loop that stands still to `loop_watchdog`. Only too
little room on the disk reaches the core, as an input.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from msgspec import to_builtins

from daemon.core.events import DiskChecked
from daemon.running.process.growth import Growth
from daemon.running.process.levels import Figures, Level, Levels
from daemon.running.process.loop_watchdog import LoopWatchdog, Stuck
from daemon.running.process.reading import MEGABYTE, Reading
from daemon.running.process.stage_times import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.config import ProcessSection
    from daemon.core.events import Input
    from daemon.running.process.progress import Progress
    from daemon.running.process.stage_times import StageTimes

TICK_S = 0.1
LAG_WINDOW_S = 60.0
TOLD_EVERY_S = 900.0
HOUR_S, DAY_S = 3_600.0, 86_400.0
# So much more than the limit must be there again before it is believed that there is room.
ENOUGH_RATIO = 1.2


class ProcessHealth:
    """Samples on the monotonic clock, from the loop that it watches."""

    def __init__(
        self,
        config: ProcessSection,
        read: Callable[[], Awaitable[Reading]],
        *,
        times: StageTimes,
        progress: Progress,
        depths: Callable[[], dict[str, tuple[int, int]]],
        monotonic_s: Callable[[], float],
        market_ns: Callable[[], int],
        put: Callable[[Input], Awaitable[None]],
        emit: Callable[..., None],
    ) -> None:
        """`depths` are the queues by name: how many wait, and how many may."""
        self._config = config
        self._read = read
        self._times = times
        self._progress = progress
        self._depths = depths
        self._monotonic_s = monotonic_s
        self._market_ns = market_ns
        self._put = put
        self._emit = emit
        self._lags_s: deque[float] = deque(maxlen=round(LAG_WINDOW_S / TICK_S))
        self._levels = Levels(config)
        self._memory, self._journal = Growth(HOUR_S), Growth(DAY_S)
        self._has_room = True  # as the core knows it
        self._is_standing: str | None = None  # the stage of a step that does not end
        self._stuck: Stuck | None = None  # as the watchdog's thread saw it
        self._told_s = monotonic_s()
        self._figures: Figures | None = None
        self._watchdog = LoopWatchdog(self._on_stuck, after_s=config.stuck_after_s)

    def status(self) -> dict[str, object]:
        """For people and machines: the newest sample, and where time goes."""
        if self._figures is None:
            return {}
        told = self._figures.told()
        return {
            "level": self._levels.worst.value,
            "unwell": self._levels.unwell(),
            "summary": self._figures.sentence(self._levels),
            **told,
            "times": to_builtins(self._figures.times),
        }

    @property
    def is_well(self) -> bool:
        """Steps are made, and nothing is critical: what a sign of life stands for."""
        return self._is_standing is None and self._levels.worst is not Level.CRITICAL

    async def check(self) -> None:
        """Sample once, tell people what changed, and the core whether there is room."""
        reading = await self._read()
        figures = self._figured(reading)
        self._figures = figures
        self._look_at_progress()
        changed = self._levels.note(figures, is_standing=self._is_standing is not None)
        now_s = self._monotonic_s()
        if changed or now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            self._tell(figures)
        await self._tell_room(reading)

    async def run(self) -> None:
        """Until cancelled."""
        self._watchdog.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._turn())
                while True:
                    await asyncio.sleep(self._config.sample_every_s)
                    await self.check()
        finally:
            self._watchdog.stop()

    async def _turn(self) -> None:
        """How late the loop comes to what is due, ten times a second."""
        while True:
            due_s = self._monotonic_s() + TICK_S
            await asyncio.sleep(TICK_S)
            now_s = self._monotonic_s()
            self._lags_s.append(max(0.0, now_s - due_s))
            self._watchdog.beat()
            if self._stuck is not None:
                stage, self._stuck = self._stuck.stage, None
                self._emit("process.turning", stage=stage, silent_s=round(now_s - due_s, 1))

    # --- figures --------------------------------------------------------------------------------

    def _figured(self, reading: Reading) -> Figures:
        now_s = self._monotonic_s()
        if reading.memory_bytes is not None:
            self._memory.note(now_s, reading.memory_bytes)
        self._journal.note(now_s, reading.journal_bytes)
        lags_s = sorted(self._lags_s)
        return Figures(
            lag_p50_ms=1e3 * percentile(lags_s, 0.50),
            lag_p99_ms=1e3 * percentile(lags_s, 0.99),
            lag_max_ms=1e3 * max(lags_s, default=0.0),
            waiting_s=self._progress.standing_s(),
            times=self._times.summary(),
            depths=self._depths(),
            reading=reading,
            memory_growth=_per(self._memory.a_second(), HOUR_S),
            journal_growth=_per(self._journal.a_second(), DAY_S),
        )

    def _tell(self, figures: Figures) -> None:
        self._emit("process.sampled", unwell=self._levels.unwell(), **figures.line())

    # --- standing still -------------------------------------------------------------------------

    def _on_stuck(self, stuck: Stuck) -> None:
        """From the watchdog's thread."""
        self._stuck = stuck
        self._emit(
            "process.stuck",
            stage=stuck.stage,
            silent_s=round(stuck.silent_s, 1),
            stack=list(stuck.stack),
        )

    def _look_at_progress(self) -> None:
        """A loop that turns may have a step that does not end: on a disk that does not answer."""
        silent_s = round(self._progress.standing_s(), 1)
        if self._progress.is_made():
            if self._is_standing is not None:
                stage, self._is_standing = self._is_standing, None
                self._emit("process.turning", stage=stage, silent_s=silent_s)
        elif self._is_standing is None:
            self._is_standing = self._times.doing or "nothing: inputs wait, and no step begins"
            self._emit("process.stuck", stage=self._is_standing, silent_s=silent_s, stack=[])

    # --- the disk -------------------------------------------------------------------------------

    async def _tell_room(self, reading: Reading) -> None:
        limit = self._config.disk_stop_megabytes
        if not limit or reading.disk_free_bytes is None:
            return
        free = reading.disk_free_bytes // MEGABYTE
        has_room = free >= (limit if self._has_room else limit * ENOUGH_RATIO)
        if has_room != self._has_room:
            self._has_room = has_room
            told = DiskChecked(
                ts_ns=self._market_ns(),
                is_enough=has_room,
                free_megabytes=free,
                limit_megabytes=limit,
            )
            await self._put(told)


def _per(a_second: float | None, seconds: float) -> float | None:
    return None if a_second is None else a_second * seconds
