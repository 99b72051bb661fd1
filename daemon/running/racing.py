"""Waits for one thing while tasks run that must not end by themselves, or for a state of several.

Belongs here: the waiting. What is waited for, and what a stop means, belong to the caller.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CHECK_S = 0.005


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


async def until(is_done: Callable[[], bool]) -> None:
    """Wait for what is a matter of several parties, of which none knows it all."""
    while not is_done():  # noqa: ASYNC110  # none of them could set an event
        await asyncio.sleep(CHECK_S)
