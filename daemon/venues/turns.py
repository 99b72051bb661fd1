"""First come, first served: turns the order of asking into the order of answers.

Belongs here: whose turn it is. What is done in a turn belongs to whoever asked for it: orders to
the outbox, books to the quote desk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self


class Turns:
    """Places in one line. Where it `is_ordered`, each waits until all before it have left; else
    everybody goes at once.

    Requests that are on their way together are answered in an order of chance, and so would be what
    is decided on the answers. In lock-step the same seed must give the same run, so every request
    of it waits in one line, in the order in which the steps asked for them.
    """

    def __init__(self, *, is_ordered: bool) -> None:
        self.is_ordered = is_ordered
        self._line: deque[Place] = deque()

    def place(self) -> Place:
        """The last place of the line, to be entered or left by whoever asked for it."""
        place = Place(self._line)
        if self.is_ordered:
            self._line.append(place)
        return place


class Place:
    """One turn: entered when all before it have left, and left at the end or without a turn."""

    def __init__(self, line: deque[Place]) -> None:
        self._line = line
        self._is_free = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            while self in self._line and self._line[0] is not self:
                await self._is_free.wait()
        except asyncio.CancelledError:
            self.leave()
            raise
        return self

    async def __aexit__(self, *_how: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Let the next one in; said twice it is said once."""
        if self in self._line:
            self._line.remove(self)
        if self._line:
            self._line[0]._is_free.set()  # noqa: SLF001  # of its own kind
