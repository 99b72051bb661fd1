"""Watches the event loop from outside: a thread that names the stage at which it stands still.

Belongs here: noticing, and where it stands. Saying so belongs to whoever is called. systemd's
watchdog is fed from the loop itself (`sd_notify`), so a loop that is stuck feeds nobody.
"""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.clock import WireClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PACKAGE = str(Path(__file__).parents[1])
STACK_MAX = 12
LOOK_EVERY_S = 0.5
AGAIN_AFTER_S = 60.0
# Between a handler and the table that called it.
BETWEEN = ("StageTimes._timed.", "Pipeline.")


class Stuck(Struct, frozen=True):
    """The loop has not turned for `silent_s`: in which stage, and the frames, innermost first."""

    stage: str
    silent_s: float
    stack: tuple[str, ...]


class LoopWatchdog:
    """`beat` is called by the loop; `on_stuck` from the thread, once, then every minute."""

    def __init__(
        self,
        on_stuck: Callable[[Stuck], None],
        *,
        after_s: float,
        monotonic_s: Callable[[], float] | None = None,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._on_stuck = on_stuck
        self._after_s = after_s
        self._monotonic_s = monotonic_s or WireClock().monotonic_s
        self._wait = wait
        self._beaten_s = self._monotonic_s()
        self._end = threading.Event()
        self._watched = threading.get_ident()
        self._told_s: float | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the thread that calls this."""
        self._watched = threading.get_ident()
        self.beat()
        self._thread = threading.Thread(target=self._run, name="loop-watchdog", daemon=True)
        self._thread.start()

    def beat(self) -> None:
        self._beaten_s = self._monotonic_s()

    def stop(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        looked_s = self._monotonic_s()
        while not self._wait(self._end, LOOK_EVERY_S):
            now_s = self._monotonic_s()
            if now_s - looked_s > LOOK_EVERY_S + self._after_s / 2:
                self.beat()  # this thread did not run either: the process was stopped
            looked_s = now_s
            self.look(now_s)

    def look(self, now_s: float) -> None:
        """Tell when it stands still, and once more when it has done so for long."""
        silent_s = now_s - self._beaten_s
        if silent_s < self._after_s:
            self._told_s = None
        elif self._told_s is None or now_s - self._told_s >= AGAIN_AFTER_S:
            self._told_s = now_s
            stage, stack = where(sys._current_frames().get(self._watched))  # noqa: SLF001
            self._on_stuck(Stuck(stage, silent_s, stack))


def where(frame: FrameType | None) -> tuple[str, tuple[str, ...]]:
    """The stage that a thread is in, and its frames, innermost first."""
    frames = list(_outward(frame))
    stack = tuple(_named(each) for each in frames[:STACK_MAX])
    return _stage(frames), stack


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _stage(frames: list[FrameType]) -> str:
    """The handler that the route table called; without one the innermost function of ours."""
    names = [each.f_code.co_qualname for each in frames]
    for inner, outer in pairwise(names):
        if outer.startswith(BETWEEN) and not inner.startswith(BETWEEN):
            return inner
    ours = (each for each in frames if each.f_code.co_filename.startswith(PACKAGE))
    innermost = next(ours, frames[0] if frames else None)
    return "unknown" if innermost is None else innermost.f_code.co_qualname


def _named(frame: FrameType) -> str:
    path = frame.f_code.co_filename.removeprefix(str(Path(PACKAGE).parent) + "/")
    return f"{path}:{frame.f_lineno} {frame.f_code.co_qualname}"
