"""Names that are computed, never drawn: the trace of a bar and the client id of an order.

Belongs here: pure functions from facts to identifiers, so that a bar decided twice collides with
itself.
"""

import hashlib
from base64 import b32encode

from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import rfc3339

# The most that every exchange takes (kraken: 18). What is left of the hash of a decision, 60 bits,
# is enough: among a million orders of one bot two collide with a chance of one in two millions.
CLIENT_ORDER_ID_LENGTH = 18
CLIENT_ORDER_ID_PREFIX = "td"
MARK_LENGTH = 6


def trace_for(instrument: InstrumentId, timeframe: str, close_ns: int) -> str:
    """32 hex digits naming one bar's decision; equal in backtest, paper and live."""
    text = f"{instrument.exchange}|{instrument.symbol}|{timeframe}|{rfc3339(close_ns)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def trace_of_order(client_order_id: str) -> str:
    """32 hex digits for an order whose decision nobody knows any more."""
    return hashlib.blake2b(client_order_id.encode(), digest_size=16).hexdigest()


def mark_of(*, bot: str, account: str) -> str:
    """What every order id of this bot on this account begins with, and no other bot's there.

    So an order that is not in the journal can be told from those of other bots and people.
    """
    body = _base32(repr((bot, account)))
    return (CLIENT_ORDER_ID_PREFIX + body)[:MARK_LENGTH]


def client_order_id_for(
    *, bot: str, account: str, instrument: InstrumentId, close_ns: int, leg: str, ordinal: int
) -> str:
    """18 lower-case letters and digits, made of nothing but the decision they stand for."""
    # As a tuple's text, so that no name can reach over its border into the next.
    parts = (bot, account, instrument.exchange, instrument.symbol, close_ns, leg, ordinal)
    return (mark_of(bot=bot, account=account) + _base32(repr(parts)))[:CLIENT_ORDER_ID_LENGTH]


def _base32(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return b32encode(digest).decode().rstrip("=").lower()
