"""The loop: takes one input from the queue, thinks, commits, then acts.

Belongs here: the order think, commit, act. What is thought belongs to the core, what is done to the
edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import DURABLE, Command, Event
from daemon.running.process.stage_times import StageTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.core.events import Input
    from daemon.core.inbox import Inbox
    from daemon.core.pipeline import Pipeline
    from daemon.core.ports import Journal


class Runner:
    """The one writer of state."""

    def __init__(
        self,
        pipeline: Pipeline,
        journal: Journal,
        inbox: Inbox,
        *,
        act: Callable[[Command], None],
        times: StageTimes | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._inbox = inbox
        self._act = act
        self._times = times or StageTimes()
        self.observers: list[Callable[[tuple[Event, ...]], None]] = []  # told after the commit
        self.is_idle = True
        self.steps = 0

    async def run(self) -> None:
        """Until cancelled; an exception in a step is a bug and ends the daemon, the journal stays
        whole.
        """
        while True:
            event = await self._inbox.get()
            await self.take(event)

    async def take(self, event: Input) -> None:
        """One step, start to end: its commands leave only after its events are on the disk."""
        self.is_idle = False
        self._times.begin(event)
        step = self._pipeline.step(event)
        is_durable = any(type(each) in DURABLE for each in step.events)
        self._times.thought(event)
        await self._journal.append(step.events, is_durable=is_durable)
        self._times.committed(event)
        for command in step.commands:
            self._act(command)
        self.steps += 1
        self.is_idle = True
        for observe in self.observers:
            observe(step.events)
        self._times.end(event)
