"""Leads a ccxt client through a request budget, and hears what the exchange says about it.

Belongs here: ccxt's costs, limits, headers and the words of a ban. When a request may leave belongs
to `budget`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from daemon.core.clock import WireClock
from daemon.core.instruments import exchange_behind
from daemon.venues.budget import Budget, Limit, Spent, Use
from daemon.venues.ccxt_outcomes import ASKS_FOR_SILENCE
from daemon.venues.single_file import wait_in_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINUTE_S = 60.0
MS_PER_S = 1_000
# Weight per minute by Binance's own documentation, and how much of it one of ccxt's costs stands
# for. The limit that exchangeInfo lists replaces the first.
BINANCE = (Limit(6_000, MINUTE_S), 5.0)
KNOWN = {"embedded": BINANCE, "binance": BINANCE, "binanceus": (Limit(1_200, MINUTE_S), 1.0)}
USED_HEADER = "x-mbx-used-weight-1m"
SILENCE_MIN_S = 60.0  # for a refusal that does not say how long, or names a moment of the past
SILENCE_MAX_S = 86_400.0
TOO_MANY_ORDERS = re.compile(r'"code":\s*-1015\b')  # everything else may still be asked
BANNED_UNTIL = re.compile(r"banned until (\d{9,19})", re.IGNORECASE)
SECONDS_MAX = 10**11  # as seconds that is the year 5138, as milliseconds 1973

# Kept alive by the clients that use them.
_SHARED: WeakValueDictionary[tuple[str, str], Budget] = WeakValueDictionary()
_USE: ContextVar[Use | None] = ContextVar("use", default=None)
_SPENT: ContextVar[Spent | None] = ContextVar("spent", default=None)


def budget_of(exchange: str, rate_limit_ms: float = 0.0) -> Budget:
    """A budget as the exchange counts; where that is not known here, as ccxt's pace implies."""
    known = KNOWN.get(exchange_behind(exchange))
    limit = known[0] if known else _paced(rate_limit_ms or MS_PER_S)
    return Budget(limit, wire=WireClock())


def shared_budget(exchange: str, address: str, rate_limit_ms: float) -> Budget:
    """The one budget of everything in this process that asks this exchange at this address.

    Exchanges count by our address, so two accounts on one of them share what it allows.
    """
    key = (exchange_behind(exchange), address)
    budget = _SHARED.get(key)
    if budget is None:
        budget = _SHARED[key] = budget_of(exchange, rate_limit_ms)
    return budget


@contextlib.contextmanager
def using(use: Use) -> Iterator[None]:
    """Requests of the current task are for this, whatever their client is for."""
    token = _USE.set(use)
    try:
        yield
    finally:
        _USE.reset(token)


def keep_budget(client: Any, budget: Budget, exchange: str, use: Use) -> None:
    """Have every REST request of this client wait for the budget instead of ccxt's own bucket."""
    known = KNOWN.get(exchange_behind(exchange))
    weight_per_cost = known[1] if known else 1.0
    send, judge = client.fetch, client.handle_errors

    async def throttle(cost: float | None = None) -> None:
        # A turn of the loop first: a connection that died meanwhile is noticed before it is used.
        await asyncio.sleep(0)
        weight = weight_per_cost * float(1 if cost is None else cost)
        asked_for = _USE.get()
        use_now = use if asked_for is None else asked_for
        spent = await budget.spend(weight, use_now)
        try:
            await wait_in_line(use_now)
        except asyncio.CancelledError:
            budget.settle(spent)
            raise
        _SPENT.set(spent)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        spent = _SPENT.get()
        _SPENT.set(None)
        try:
            reply = await send(url, method, headers, body)
        finally:
            if spent is not None:
                budget.settle(spent)
        if known is not None and isinstance(reply, dict) and "rateLimits" in reply:
            _learn(budget, reply["rateLimits"])
        return reply

    def handle_errors(status: int, reason: Any, url: Any, method: Any, *rest: Any) -> Any:
        headers, text = rest[0] or {}, rest[1]
        _hear(budget, int(status), headers, text)
        return judge(status, reason, url, method, *rest)

    client.enableRateLimit = True
    client.throttle = throttle
    client.fetch = fetch
    client.handle_errors = handle_errors
    if known is not None:
        client.nonce = budget.wall_ms  # elsewhere a nonce counts, it is no time
    client.budget = budget


def silence_s(status: int, headers: Mapping[str, str], text: str, wall_ms: int) -> float | None:
    """For how long a reply asks for silence, or None when it does not.

    Both ways of saying it count, the longer one holds. What says nothing usable means a minute at
    least, and nothing means more than a day.
    """
    if status not in ASKS_FOR_SILENCE:
        return None
    wishes_s = [_retry_after_s(_header(headers, "retry-after"), wall_ms)]
    if found := BANNED_UNTIL.search(text or ""):
        wishes_s.append(_epoch_ms(int(found[1])) / MS_PER_S - wall_ms / MS_PER_S)
    wish_s = max(wishes_s)
    return min(wish_s, SILENCE_MAX_S) if wish_s > 0 else SILENCE_MIN_S


def _retry_after_s(value: str | None, wall_ms: int) -> float:
    if value is None:
        return 0.0
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return seconds if seconds < SECONDS_MAX else 0.0
    with contextlib.suppress(ValueError):  # a date is allowed too
        return parsedate_to_datetime(value).timestamp() - wall_ms / MS_PER_S
    return 0.0


def _epoch_ms(number: int) -> int:
    """Milliseconds since the epoch, of what may be seconds, milliseconds or microseconds."""
    if number < SECONDS_MAX:
        return number * MS_PER_S
    while number >= SECONDS_MAX * MS_PER_S:
        number //= MS_PER_S
    return number


def _hear(budget: Budget, status: int, headers: Mapping[str, str], text: Any) -> None:
    said = str(text or "")
    wish_s = silence_s(status, headers, said, budget.wall_ms())
    if wish_s is not None:
        budget.silence(wish_s, is_orders_only=TOO_MANY_ORDERS.search(said) is not None)
    date = _header(headers, "date")
    if date is not None:
        with contextlib.suppress(ValueError):
            budget.note_date(parsedate_to_datetime(date).timestamp())
    used = _header(headers, USED_HEADER)
    if used is not None and used.isdigit():
        budget.heard(float(used))


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _learn(budget: Budget, rows: object) -> None:
    for row in rows if isinstance(rows, list) else ():
        is_weight = isinstance(row, dict) and row.get("rateLimitType") == "REQUEST_WEIGHT"
        if is_weight and row.get("interval") == "MINUTE" and row.get("intervalNum") == 1:
            limit = row.get("limit")
            if isinstance(limit, int) and limit > 0:
                budget.learn(limit)


def _paced(rate_limit_ms: float) -> Limit:
    """ccxt's pace of one cost per `rate_limit_ms`, over a second, or over what one cost takes."""
    window_s = max(1.0, rate_limit_ms / MS_PER_S)
    return Limit(max(1.0, window_s * MS_PER_S / rate_limit_ms), window_s)
