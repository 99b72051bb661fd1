"""An event loop whose clock jumps to the next timer, and which can end between any two callbacks.

Belongs here: virtual time. What happens at a time belongs to whoever asked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import sys
from asyncio import _set_running_loop  # named by asyncio for those who write loops
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from daemon.core.clock import WireClock
from daemon.core.timeframes import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Timeline:
    """The time of one simulated world, and what the world outside the bot does at which time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, delay_s: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._numbers), happens))

    @property
    def next_s(self) -> float:
        """When the next thing happens; infinity when nothing will."""
        return self._due[0][0] if self._due else float("inf")

    def advance(self, until_s: float) -> None:
        """Let everything happen up to then, one thing after the other."""
        while self._due and self._due[0][0] <= until_s:
            at_s, _, happens = heapq.heappop(self._due)
            self.now_s = max(self.now_s, at_s)
            happens()
        self.now_s = max(self.now_s, until_s)


class VirtualWire(WireClock):
    """The wire clock of a simulated world."""

    def __init__(self, timeline: Timeline, epoch_ns: int) -> None:
        self._timeline = timeline
        self._epoch_ns = epoch_ns

    def now_ns(self) -> int:
        return self._epoch_ns + round(self._timeline.now_s * NS_PER_S)

    def monotonic_s(self) -> float:
        return self._timeline.now_s


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs one process of the bot: its tasks and timers, and nothing that touches a real machine.

    `kill` is a SIGKILL: not one callback runs any more, and what a task would do in a `finally`
    reaches nothing. `troubles` are exceptions that nobody took.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._tasks: list[tuple[asyncio.Task[Any], Context]] = []
        self._kill_at = -1
        self.is_dead = False
        self.was_killed = False
        self.callbacks = 0
        self.troubles: list[str] = []

    # --- running --------------------------------------------------------------------------------

    def kill(self) -> None:
        self.is_dead = self.was_killed = True

    def kill_at(self, callback: int) -> None:
        """Die right before this callback, counted from the start of this loop."""
        self._kill_at = callback

    def run(self, main: Coroutine[Any, Any, None], until_s: float) -> bool:
        """True when `main` came to its end, False when the process died or time was over."""
        hooks = sys.get_asyncgen_hooks()
        # A generator that is left alone ends without its `finally`, as in a process that is killed.
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave_alone)
        _set_running_loop(self)
        try:
            task = self.create_task(main)
            while not (self.is_dead or task.done()):
                if self._ready:
                    self._run_next()
                elif not self._jump(until_s):
                    break
            if task.done() and not self.is_dead:
                task.result()
            return task.done() and not self.is_dead
        finally:
            self._bury()  # still in this loop: what is closed may ask for one
            _set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _run_next(self) -> None:
        handle = self._ready.popleft()
        self.callbacks += 1
        if self.callbacks == self._kill_at:
            self.kill()
        elif not handle.cancelled():
            handle._run()  # noqa: SLF001  # what a loop does with a handle

    def _jump(self, until_s: float) -> bool:
        """To the next timer, or to what the world does before; False when neither is in time."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        timer_s = self._timers[0][0] if self._timers else float("inf")
        at_s = min(timer_s, self._timeline.next_s)
        if at_s > until_s:
            assert at_s < float("inf"), "everything waits and nothing will ever happen"
            return False
        self._timeline.advance(at_s)
        while self._timers and self._timers[0][0] <= self._timeline.now_s:
            self._ready.append(heapq.heappop(self._timers)[2])
        return True

    def _bury(self) -> None:
        """Close every coroutine now and here, not whenever the collector comes by.

        Tasks that failed unheard say so as they go.
        """
        self._tasks = [each for each in self._tasks if not each[0].done()]
        self.is_dead = True
        self._ready.clear()
        self._timers.clear()
        for task, context in self._tasks:
            if not task.done():
                with contextlib.suppress(Exception):
                    context.run(task.get_coro().close)
        self._tasks.clear()

    # --- what asyncio asks of a loop ------------------------------------------------------------

    def time(self) -> float:
        return self._timeline.now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.is_dead:
            self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **named: Any) -> asyncio.Task[Any]:
        context = named.pop("context", None) or copy_context()
        task = asyncio.Task(coro, loop=self, context=context, **named)
        self._tasks.append((task, context))
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            error = context.get("exception")
            self.troubles.append(f"{context.get('message')}: {error!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return self.is_dead

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are left out when their time comes."""


def new_loop(timeline: Timeline) -> VirtualLoop:
    """A loop on this timeline."""
    return VirtualLoop(timeline)  # type: ignore[abstract]  # sockets and signals it has none


def _leave_alone(_generator: Any) -> None:
    """Nothing is done for a generator of a process that is gone."""
