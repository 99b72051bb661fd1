"""Watches signed requests leave: proves that an order was sent as intended, or that it never left.

Belongs here: the one look at a request between ccxt and the network. What an answer means belongs
to `ccxt_outcomes`.
"""

from __future__ import annotations

import contextlib
import json
import re
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN_NUMBER = re.compile(r"\d+(\.\d+)?")


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
            _check(departure.expected, fields_of(url, body))
            departure.left_s = monotonic_s()
        return await send(url, method, headers, body)

    client.fetch = fetch


def fields_of(url: str, body: Any) -> dict[str, list[str]]:
    """Every field of a request by its own name, however deep it stands: of the url and the body."""
    fields: dict[str, list[str]] = {}
    for name, values in parse_qs(urlsplit(url).query).items():
        fields.setdefault(name, []).extend(values)
    text = body if isinstance(body, str) else ""
    if text.startswith(("{", "[")):
        for name, value in _leaves(json.loads(text)):
            fields.setdefault(name, []).append(value)
    else:
        for name, values in parse_qs(text).items():
            fields.setdefault(name, []).extend(values)
    return fields


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            is_leaf = not isinstance(inner, dict | list)
            # JSON's true and null, as texts; what holds others stands for itself.
            yield name, (inner if isinstance(inner, str) else json.dumps(inner)) if is_leaf else ""
            if not is_leaf:
                yield from _leaves(inner)


def _check(expected: dict[str, str], fields: dict[str, list[str]]) -> None:
    for name, value in expected.items():
        found = fields.get(name, [])
        if len(found) != 1 or not _is_same(found[0], value):
            msg = (
                f"the request's {name} is {' and '.join(found) or 'missing'}, intended was {value}"
            )
            raise NotAsIntended(msg)


def _is_same(found: str, intended: str) -> bool:
    """Equal texts, or plain numbers of equal value; no exchange is sent an exponent."""
    if found == intended:
        return True
    is_plain = PLAIN_NUMBER.fullmatch(found) and PLAIN_NUMBER.fullmatch(intended)
    return is_plain is not None and Decimal(found) == Decimal(intended)
