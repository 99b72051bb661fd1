"""Hears of exceptions that nobody waited for: turns each kind of them into one line of the log.

Belongs here: what a library's own tasks and callbacks died of. What the daemon's tasks die of
reaches whoever started them. Nothing is caught by this that could have been caught elsewhere.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

KINDS_MAX = 100


class Strays:
    """An event loop's exception handler; `count` is how many came since the start."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.count = 0
        self._tell = tell
        self._told: set[str] = set()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(self.hear)

    def hear(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        self.count += 1
        text = describe(context)
        if text not in self._told and len(self._told) < KINDS_MAX:
            self._told.add(text)
            self._tell(text)


def describe(context: Mapping[str, object]) -> str:
    """What happened and where; an exception's own words may hold a signed url and are left out."""
    error = context.get("exception")
    if not isinstance(error, BaseException):
        return str(context.get("message", "unknown"))
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: nobody waited for it"
