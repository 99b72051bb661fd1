"""Waits for one thing while tasks run that must not end by themselves.

Belongs here: that race. What is waited for, and what a stop means, belong to the caller.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def first_of(
    wanted: Coroutine[object, object, object],
    running: list[asyncio.Task[None]],
    stop: asyncio.Event,
) -> None:
    """Wait for `wanted` or for a stop; a running task that ends is an error and is raised here."""
    goal, stopped = asyncio.ensure_future(wanted), asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({goal, stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task in done:
                task.result()
                msg = f"{task.get_name()} ended by itself"
                raise AssertionError(msg)
        if goal in done:
            goal.result()
    finally:
        goal.cancel()
        stopped.cancel()
        await asyncio.gather(goal, stopped, return_exceptions=True)
