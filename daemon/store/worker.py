"""One thread behind awaits: turns blocking functions into coroutines that run one after another.

Belongs here: the hand-over between event loop and thread. What runs there belongs to the stores.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

WAITING_MAX = 1_000

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs functions in call order in its own thread; each function is one whole transaction."""

    def __init__(self, name: str, *, waiting_max: int = WAITING_MAX) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._room = asyncio.Semaphore(waiting_max)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises.

        Waits while the queue is full. A function that was queued runs to its end even when its
        caller is cancelled, so no transaction is split and none is skipped between two others.
        RuntimeError after `close`.
        """
        await self._room.acquire()
        try:
            future = asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.shield(future)

    def close(self) -> None:
        """Finish what is queued and end the thread; blocks until then."""
        self._executor.shutdown(wait=True)
