"""Watches what the key of a live account may do: before the first order, and every day after it.

Belongs here: when it is asked and what follows. What makes a key unfit belongs to `key_scope`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.events import HaltRequested, KeyChecked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.core.events import Input

EVERY_S = 86_400.0
AGAIN_S = 600.0  # after a day on which nothing was answered
WHO = "the daily check of the key"


class KeyWatch:
    """Asks `ask` every day; a key that has become unfit halts, which lasts until a resume."""

    def __init__(
        self,
        exchange: str,
        ask: Callable[[], Awaitable[Sequence[str]]],
        *,
        market_ns: Callable[[], int],
        put: Callable[[Input], Awaitable[None]],
        emit: Callable[..., None],
        every_s: float = EVERY_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self._exchange = exchange
        self._ask = ask
        self._market_ns = market_ns
        self._put = put
        self._emit = emit
        self._every_s = every_s
        self._again_s = again_s

    async def run(self, remarks: Sequence[str]) -> None:
        """Until cancelled; `remarks` are what the start has heard."""
        await self._tell(remarks)
        wait_s, is_refused = self._every_s, False
        while True:
            await asyncio.sleep(wait_s)
            wait_s = self._every_s
            try:
                remarks = await self._ask()
            except ExchangeUnreachable:
                wait_s = self._again_s
            except LiveRefused as error:
                if not is_refused:  # a halt was lifted by a person, who has been told
                    await self._halt(str(error))
                is_refused = True
            else:
                is_refused = False
                await self._tell(remarks)

    async def _tell(self, remarks: Sequence[str]) -> None:
        ts_ns, told = self._market_ns(), tuple(remarks)
        await self._put(KeyChecked(ts_ns=ts_ns, exchange=self._exchange, remarks=told))

    async def _halt(self, why: str) -> None:
        self._emit("key.refused", exchange=self._exchange, error=why)
        await self._put(HaltRequested(ts_ns=self._market_ns(), reason=why, who=WHO))
