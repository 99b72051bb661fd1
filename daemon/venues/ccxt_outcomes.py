"""Says what a failed request means: from what ccxt raised to one of few outcomes, in safe words.

Belongs here: the one table of definite refusals and the texts of errors. ccxt's own texts hold
signed urls, so they are never passed on. Everything that is not on the list is UNKNOWN.
"""

from __future__ import annotations

import json
import re
from typing import Any

from daemon.core.events import Outcome

REASON_MAX = 200

# Codes after which Binance's documentation excludes that the order exists. Two texts are excepted
# below.
_BINANCE_REFUSALS = frozenset(
    {
        -1002,  # not authorised
        -1003,  # too many requests: stopped before the engine
        -1013,  # a filter: lot size, price, notional
        -1014,  # unsupported order combination
        -1015,  # too many orders: stopped before the engine
        -1020,  # unsupported operation
        -1021,  # timestamp outside the receive window
        -1022,  # bad signature
        *range(-1106, -1099),  # illegal, missing or unread parameters
        -1108,
        -1111,  # too much precision
        *range(-1118, -1113),  # time in force, order type, side, ids
        -1121,  # invalid symbol
        -1128,
        -1130,  # invalid parameter data
        -1131,  # receive window too long
        -1145,
        -1151,
        -2010,  # new order rejected: balance, market closed and other conditions
        -2014,  # API key format
        -2015,  # API key, address or permissions
    }
)
DEFINITE_REFUSALS: dict[str, frozenset[int]] = {
    "embedded": _BINANCE_REFUSALS,
    "binance": _BINANCE_REFUSALS,
    "binanceus": _BINANCE_REFUSALS,
}
# The first order with this id is there, perhaps filled.
_EXISTS = re.compile("duplicate", re.IGNORECASE)
CLOCK_IS_OFF = -1021
KEY_REFUSED = frozenset({-1022, -2014, -2015})
NO_SUCH_ORDER = -2013
_CODE = re.compile(r'"code"\s*:\s*"?(-?\d+)')
_STATUS = re.compile(r"\s(\d{3})\s")


def outcome_of(error: BaseException, exchange: str, *, has_left: bool) -> Outcome:
    """What is known of an order whose sending ended so; UNKNOWN unless proved otherwise."""
    if not has_left or _never_connected(error):
        return Outcome.NOT_SENT
    code, message = code_of(error), message_of(error)
    refusals = DEFINITE_REFUSALS.get(exchange, frozenset())
    if code in refusals and not _EXISTS.search(message):
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def code_of(error: BaseException) -> int | None:
    """The venue's own code in the text of a ccxt error, like -2010."""
    found = _CODE.search(str(error)) if _is_of_ccxt(error) else None
    return int(found[1]) if found else None


def message_of(error: BaseException) -> str:
    """The venue's own message in the text of a ccxt error; empty when there is none."""
    text = str(error) if _is_of_ccxt(error) else ""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return ""
    try:
        body = json.loads(text[start : end + 1])
    except ValueError:
        return ""
    message = body.get("msg") if isinstance(body, dict) else None
    return str(message) if message is not None else ""


def explain(error: BaseException) -> str:
    """Class, code and the venue's message, nothing of the request; at most 200 characters."""
    name, code = type(error).__name__, code_of(error)
    if code is not None:
        return f"{name} {code}: {message_of(error)}"[:REASON_MAX].rstrip(": ")
    status = _STATUS.search(str(error)) if _is_of_ccxt(error) else None
    if status is not None:
        return f"{name} {status[1]}"
    cause = error.__cause__
    return name if cause is None else f"{name} ({type(cause).__name__})"


def is_worth_repeating(error: BaseException) -> bool:
    """True for failures of a reading that may pass: network, bad moments, odd replies."""
    import ccxt

    if isinstance(error, ccxt.ExchangeClosedByUser) or code_of(error) in KEY_REFUSED:
        return False
    passing = (ccxt.OperationFailed, ccxt.BadResponse, TypeError, ValueError, LookupError)
    return isinstance(error, passing) or type(error) is ccxt.ExchangeError


def is_no_such_order(error: BaseException) -> bool:
    """True when the venue answered that it has no such order: a reading, not a state."""
    import ccxt

    return isinstance(error, ccxt.OrderNotFound)


def is_rate_limit(error: BaseException) -> bool:
    import ccxt

    return isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded)


def _never_connected(error: BaseException) -> bool:
    """True when the connection could not be made, so that no byte of the request was written."""
    import aiohttp

    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _is_of_ccxt(error: Any) -> bool:
    return type(error).__module__.startswith("ccxt.")
