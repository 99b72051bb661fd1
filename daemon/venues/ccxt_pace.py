"""Paces what a ccxt client says on its connections: so many messages a second on each, no burst.

Belongs here: when a message may leave. Which messages there are belongs to `ccxt_streams`, requests
over REST to `ccxt_budget`.
"""

from __future__ import annotations

import asyncio
from typing import Any

FOR_PINGS_PER_S = 1.0  # pings and pongs pass by here and count at the exchange


class Pace:
    """Lets one after the other pass; a wait that lasted too long is not made up for.

    Evenly and not in a burst: however the exchange cuts its seconds, none holds too many.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._turn = asyncio.Lock()
        self._last_s = float("-inf")

    async def __call__(self, _cost: float | None = None) -> None:
        now_s = asyncio.get_running_loop().time
        async with self._turn:
            await asyncio.sleep(max(0.0, self._last_s + self._every_s - now_s()))
            self._last_s = now_s()


def pace_messages(client: Any, per_s: float | None) -> None:
    """Have every connection of this client, and each that replaces it, keep a pace of its own.

    With None ccxt's own pace stays, which is one of requests.
    """
    if per_s is None or not hasattr(client, "client"):
        return
    make_socket, every_s = client.client, 1.0 / (per_s - FOR_PINGS_PER_S)

    def paced(url: str) -> Any:
        socket = make_socket(url)
        if not isinstance(socket.throttle, Pace):
            socket.throttle = Pace(every_s)
        return socket

    client.client = paced
