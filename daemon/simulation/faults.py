"""What can go wrong, and how often in this run: a random subset of faults, drawn from its seed.

Belongs here: kinds and chances. What a fault does belongs to the part of the world that has it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Fault(StrEnum):
    """One thing that exchanges, networks, libraries and machines do."""

    # an order on its way
    REQUEST_LOST = "request_lost"  # time-out, and the exchange never hears of it
    REPLY_LOST = "reply_lost"  # accepted, and then a time-out
    ACCEPTED_LATE = "accepted_late"  # a time-out or 5xx first, accepted up to its validity later
    BUSY_ACCEPTED = "busy_accepted"  # 503, and accepted all the same
    REFUSED = "refused"  # a definite no
    EMPTY_REPLY = "empty_reply"  # accepted; the reply has an id and None everywhere else
    LIBRARY_RAISES = "library_raises"  # accepted; building the result fails
    HTML_REPLY = "html_reply"  # status 200 with a page; accepted or not
    # how it fills
    PARTIAL_EXPIRED = "partial_expired"  # a part fills, the rest expires
    FILLS_SLOWLY = "fills_slowly"  # accepted first, filled in pieces afterwards
    # what is told when asked
    NOT_VISIBLE = "not_visible"  # "does not exist" right after it was accepted
    TRADES_LATE = "trades_late"  # the list of trades lags behind
    SAID_CANCELED = "said_canceled"  # canceled, nothing filled: and it has filled
    STALE_BALANCE = "stale_balance"  # balances of a while ago
    READ_FAILS = "read_fails"  # time-outs, 5xx and pages instead of answers
    RATE_LIMITED = "rate_limited"  # 429 for a while, orders included
    # the stream
    PUSH_LOST = "push_lost"
    PUSH_TWICE = "push_twice"
    PUSH_LATE = "push_late"  # and so behind later ones
    STREAM_BREAKS = "stream_breaks"
    # a cancel
    CANCEL_LOST = "cancel_lost"  # it never arrives
    CANCEL_REPLY_LOST = "cancel_reply_lost"  # it did, and then a time-out
    CANCEL_RACES = "cancel_races"  # the order fills, wholly or in part, just before
    # our own machine
    CRASH = "crash"  # SIGKILL between any two steps, and around every commit
    POWER_CUT = "power_cut"  # and what was not flushed is gone


RATES = (0.05, 0.15, 0.4)


class Faults:
    """The faults of one run; none any more once they are `calmed`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.rates = {each: rng.choice(RATES) for each in Fault if rng.random() < 0.5}
        self.fired: Counter[str] = Counter()
        self._is_calm = False

    def hits(self, fault: Fault) -> bool:
        """Whether it happens now."""
        rate = self.rates.get(fault, 0.0)
        if self._is_calm or not rate or self._rng.random() >= rate:
            return False
        self.fired[fault.value] += 1
        return True

    def has(self, fault: Fault) -> bool:
        return fault in self.rates

    def calm(self) -> None:
        self._is_calm = True
