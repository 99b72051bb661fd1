"""The waiting room between a stream and the task that takes its candles, one message at a time.

Belongs here: what may be forgotten while the task is busy. What a candle means belongs to `track`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeGuard

from daemon.core.bars import RawBar

if TYPE_CHECKING:
    from daemon.layers.ingestion.feed_config import FeedCounts

WAITING_MAX = 128  # messages of one instrument: memory for hundreds of them stays small


class Waiting:
    """Stream messages that were not taken yet; partial candles of one slot replace each other."""

    def __init__(self, counts: FeedCounts) -> None:
        self._items: deque[RawBar | str] = deque()
        self._arrived = asyncio.Event()
        self._counts = counts

    def put(self, raw: RawBar) -> None:
        newest = self._items[-1] if self._items else None
        if _is_partial(newest) and newest.open_ms == raw.open_ms:
            self._items.pop()
        elif len(self._items) >= WAITING_MAX:
            # A hole that the next bar makes good by REST. That a stream broke is never forgotten.
            oldest = next(n for n, item in enumerate(self._items) if isinstance(item, RawBar))
            del self._items[oldest]
            self._counts.dropped += 1
        self._items.append(raw)
        self._arrived.set()

    def put_broken(self, reason: str) -> None:
        """The stream has ended; one notice is enough."""
        if not (self._items and self._items[-1] == reason):
            self._items.append(reason)
        self._arrived.set()

    async def get(self, timeout_s: float) -> RawBar | str | None:
        """The oldest message, or None after `timeout_s` without one."""
        if not self._items:
            self._arrived.clear()
            try:
                async with asyncio.timeout(max(0.0, timeout_s)):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        return self._items.popleft()


def _is_partial(item: RawBar | str | None) -> TypeGuard[RawBar]:
    return isinstance(item, RawBar) and not item.is_closed
