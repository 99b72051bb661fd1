"""Says what a failed request means: from what ccxt raised to one of few outcomes, in safe words.

Belongs here: the one table of definite refusals and the texts of errors. ccxt's own texts hold
signed urls, so they are never passed on. Everything that is not on the list is UNKNOWN.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from msgspec import Struct

from daemon.core.errors import TradingdError
from daemon.core.events import Outcome

REASON_MAX = 200
ASKS_FOR_SILENCE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, 418})

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


class Reply(Struct, frozen=True):
    """What the venue itself answered when ccxt raised; ccxt keeps only parts of it in its texts."""

    status: int
    code: int | None
    message: str


def note_reply(error: BaseException, status: int, body: object) -> None:
    """Attach the venue's own answer to an error that ccxt raised about it."""
    code, message = _parsed(body)
    vars(error)["venue_reply"] = Reply(int(status), code, message)


def outcome_of(error: BaseException, exchange: str, *, has_left: bool) -> Outcome:
    """What is known of an order whose sending ended so; UNKNOWN unless proved otherwise."""
    if not has_left or _never_connected(error):
        return Outcome.NOT_SENT
    reply = reply_of(error)
    is_definite = (
        reply is not None
        and HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and reply.code in DEFINITE_REFUSALS.get(exchange, ())
        and not _EXISTS.search(reply.message)
    )
    return Outcome.REFUSED if is_definite else Outcome.UNKNOWN


def reply_of(error: BaseException) -> Reply | None:
    """The venue's answer behind an error; None when there was none, as for a timeout."""
    found = vars(error).get("venue_reply")
    return found if isinstance(found, Reply) else None


def code_of(error: BaseException) -> int | None:
    """The venue's own code, like -2010."""
    reply = reply_of(error)
    return None if reply is None else reply.code


def explain(error: BaseException) -> str:
    """Class, code and the venue's message, nothing of the request; at most 200 characters."""
    name, reply = type(error).__name__, reply_of(error)
    if isinstance(error, TradingdError):  # our own words
        return str(error)[:REASON_MAX]
    if reply is None:
        cause = error.__cause__
        return name if cause is None else f"{name} ({type(cause).__name__})"
    if reply.code is None:
        return f"{name}, status {reply.status}"
    return f"{name} {reply.code}: {reply.message}"[:REASON_MAX]


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

    reply = reply_of(error)
    is_told = reply is not None and reply.status in ASKS_FOR_SILENCE  # whatever class ccxt gives it
    return is_told or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded)


def _never_connected(error: BaseException) -> bool:
    """True when the connection could not be made, so that no byte of the request was written."""
    import aiohttp

    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _parsed(body: object) -> tuple[int | None, str]:
    """(code, message) of an error body; (None, "") for anything else."""
    try:
        told = json.loads(body) if isinstance(body, str) else None
    except ValueError:
        return None, ""
    if not isinstance(told, dict):
        return None, ""
    code, message = told.get("code"), told.get("msg")
    return (code if isinstance(code, int) else None), "" if message is None else str(message)
