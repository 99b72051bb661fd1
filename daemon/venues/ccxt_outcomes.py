"""Says what a failed request means: from what ccxt raised to one of few outcomes, in safe words.

Belongs here: what an error stands for, and its text. ccxt's own texts hold signed urls, so they are
never passed on. Which codes are definite refusals is in `refusals`; everything else is UNKNOWN.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from msgspec import Struct

from daemon.core.errors import TradingdError
from daemon.core.events import Outcome
from daemon.core.instruments import exchange_behind
from daemon.venues.refusals import DEFINITE_REFUSALS, EXISTS, NO_SUCH_ORDER, codes_of, message_of

REASON_MAX = 200
NUMBER = re.compile(r"-?\d+")
BINANCE_LIKE = frozenset({"embedded", "binance", "binanceus"})
ASKS_FOR_SILENCE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, 418})

CLOCK_IS_OFF = -1021
KEY_REFUSED = frozenset({-1022, -2014, -2015})


class Reply(Struct, frozen=True):
    """What the venue itself answered when ccxt raised; ccxt keeps only parts of it in its texts."""

    status: int
    codes: tuple[str, ...]
    message: str

    @property
    def code(self) -> int | None:
        """The one code as a number, where the exchange has numbers."""
        told = self.codes[0] if self.codes else ""
        return int(told) if NUMBER.fullmatch(told) else None


def note_reply(error: BaseException, status: int, body: object) -> None:
    """Attach the venue's own answer to an error that ccxt raised about it."""
    codes, message = _parsed(body)
    vars(error)["venue_reply"] = Reply(int(status), codes, message)


def outcome_of(error: BaseException, exchange: str, *, has_left: bool) -> Outcome:
    """What is known of an order whose sending ended so; UNKNOWN unless proved otherwise."""
    if not has_left or _never_connected(error):
        return Outcome.NOT_SENT
    reply = reply_of(error)
    listed = DEFINITE_REFUSALS.get(exchange_behind(exchange), frozenset())
    is_definite = (
        reply is not None
        and _is_answer(reply.status, exchange)
        and not listed.isdisjoint(reply.codes)
        and not EXISTS.search(reply.message)
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
    if not reply.codes:
        return f"{name}, status {reply.status}"
    told = f": {reply.message}" if reply.message else ""
    return f"{name} {' '.join(reply.codes)}{told}"[:REASON_MAX]


def is_worth_repeating(error: BaseException) -> bool:
    """True for failures of a reading that may pass: network, bad moments, odd replies."""
    import ccxt

    if isinstance(error, ccxt.ExchangeClosedByUser) or is_key_refused(error):
        return False
    passing = (ccxt.OperationFailed, ccxt.BadResponse, TypeError, ValueError, LookupError)
    return isinstance(error, passing) or type(error) is ccxt.ExchangeError


def is_key_refused(error: BaseException) -> bool:
    """True when the exchange does not take the key, by whatever class it is told."""
    import ccxt

    return code_of(error) in KEY_REFUSED or isinstance(error, ccxt.AuthenticationError)


def is_no_such_order(error: BaseException) -> bool:
    """True when the venue answered that it has no such order: a reading, not a state."""
    import ccxt

    reply = reply_of(error)
    is_told = reply is not None and bool(reply.codes) and NO_SUCH_ORDER.issuperset(reply.codes)
    return is_told or isinstance(error, ccxt.OrderNotFound)


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


def _is_answer(status: int, exchange: str) -> bool:
    """Whether a reply of this status speaks about the order, and not of the exchange's trouble.

    Binance refuses with a 4xx only; most others refuse with a 200 and a code.
    """
    is_binance = exchange_behind(exchange) in BINANCE_LIKE
    least = HTTPStatus.BAD_REQUEST if is_binance else HTTPStatus.OK
    return least <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _parsed(body: object) -> tuple[tuple[str, ...], str]:
    """(codes, message) of an error body; nothing for anything else."""
    try:
        told = json.loads(body) if isinstance(body, str) else None
    except ValueError:
        return (), ""
    return codes_of(told), message_of(told)
