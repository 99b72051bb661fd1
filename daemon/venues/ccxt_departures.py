"""Watches signed requests leave: proves that an order was sent as intended, or that it never left.

Belongs here: the one look at a request between ccxt and the network. What an answer means belongs
to `ccxt_outcomes`.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotAsIntended(ValueError):
    """ccxt was about to send another order than the one that was intended."""


class Departure:
    """One order on its way out; `left_s` is when its request was handed to the network, or None."""

    def __init__(self, expected: dict[str, str]) -> None:
        self.expected = expected
        self.left_s: float | None = None

    @property
    def has_left(self) -> bool:
        return self.left_s is not None


_DEPARTURE: ContextVar[Departure | None] = ContextVar("departure", default=None)


@contextlib.contextmanager
def departing(expected: dict[str, str]) -> Iterator[Departure]:
    """Requests of the current task that change something must carry these fields, and are timed."""
    departure = Departure(expected)
    token = _DEPARTURE.set(departure)
    try:
        yield departure
    finally:
        _DEPARTURE.reset(token)


def watch_departures(client: Any, monotonic_s: Any) -> None:
    """Have every request of this client pass here right before it is sent."""
    send = client.fetch

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        departure = _DEPARTURE.get()
        if departure is not None and method != "GET":
            _check(departure.expected, body)
            departure.left_s = monotonic_s()
        return await send(url, method, headers, body)

    client.fetch = fetch


def _check(expected: dict[str, str], body: Any) -> None:
    fields = parse_qs(body if isinstance(body, str) else "")
    for name, value in expected.items():
        if fields.get(name) != [value]:
            msg = f"the request's {name} is {fields.get(name)}, intended was {value}"
            raise NotAsIntended(msg)
