"""A disk for one journal: commits that may be the last thing a process does, before or after.

Belongs here: what survives a kill and what a power cut. The real journal belongs to the store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.simulation.virtual_loop import VirtualLoop
    from daemon.simulation.world import World

COMMIT_S = 0.004


class _Kept(Struct, frozen=True):
    at_s: float
    events: tuple[Event, ...]
    is_durable: bool


class Disk:
    """Outlives processes; each has a `ModelJournal` on it."""

    def __init__(self) -> None:
        self.steps: list[_Kept] = []

    def cut_power(self) -> None:
        """What was not flushed is gone."""
        while self.steps and not self.steps[-1].is_durable:
            self.steps.pop()

    def events(self) -> Iterator[Event]:
        for step in self.steps:
            yield from step.events


class ModelJournal:
    """The journal of one process, which dies at `dies_at`: two counts for each commit."""

    def __init__(self, disk: Disk, world: World, loop: VirtualLoop, dies_at: int) -> None:
        self._disk = disk
        self._world = world
        self._loop = loop
        self._dies_at = dies_at
        self._points = 0

    async def append(self, events: Sequence[Event], *, is_durable: bool) -> None:
        await asyncio.sleep(COMMIT_S if is_durable else 0)
        await self._point()
        self._disk.steps.append(_Kept(self._world.timeline.now_s, tuple(events), is_durable))
        kinds = " ".join(type(each).__name__ for each in events)
        self._world.note(f"{self._world.timeline.now_s:.6f} STEP {kinds}")
        await self._point()

    def read(self) -> list[tuple[int, Event]]:
        return [
            (number, event)
            for number, step in enumerate(self._disk.steps, 1)
            for event in step.events
        ]

    async def _point(self) -> None:
        self._points += 1
        if self._points == self._dies_at:
            self._loop.kill()
            await asyncio.get_running_loop().create_future()
