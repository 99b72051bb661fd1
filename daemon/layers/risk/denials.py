"""A gate's no, with its numbers, and the event that tells it.

Belongs here: the form of a no. Saying it belongs to the gates and to sizing.
"""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

from daemon.core.events import DenyReason, OrderDenied, SignalEmitted

T = TypeVar("T")


class Valuation(Struct, frozen=True):
    """How a currency is valued: the age of the oldest mark, None where there is no price at all."""

    currency: str
    age_ns: int | None
    age_max_ns: int
    is_fed: bool  # the feeds behind it live


class Denial(Struct, frozen=True):
    """A gate's no, with the number that was looked at and the limit it met."""

    reason: DenyReason
    value: str = ""
    limit: str = ""


def told(denial: Denial, signal: SignalEmitted, ts_ns: int) -> OrderDenied:
    """The answer to a signal."""
    return OrderDenied(
        ts_ns=ts_ns,
        instrument=signal.instrument,
        trace=signal.trace,
        close_ns=signal.close_ns,
        reason=denial.reason,
        direction=signal.direction,
        value=denial.value,
        limit=denial.limit,
    )


def of_all(troubles: Iterable[T | None]) -> T | None:
    """The first trouble where every exchange that an order may go to has one; they are few."""
    found = list(troubles)
    return None if any(each is None for each in found) else found[0]
