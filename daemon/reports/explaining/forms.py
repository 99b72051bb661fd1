"""Times, sums and durations in the one form that all lines share.

Belongs here: the form of a value. What it means belongs to the lines it stands in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.instruments import plain
from daemon.core.timeframes import DAY_NS, HOUR_NS, NS_PER_MS, NS_PER_S, rfc3339

if TYPE_CHECKING:
    from decimal import Decimal

BPS = 10_000
MINUTE_NS = 60 * NS_PER_S


def moment(ts_ns: int) -> str:
    """UTC, to the second where it has no milliseconds."""
    text = rfc3339(ts_ns).replace("T", " ").removesuffix("Z")
    return text.removesuffix(".000")


def money(amount: Decimal) -> str:
    """To the cent; less than one of it is another currency, or not much."""
    return f"{amount:.2f}" if not amount or abs(amount) >= 1 else plain(round(amount, 6))


def duration(length_ns: int) -> str:
    """In the largest unit of which there is at least one."""
    units = ((DAY_NS, "d"), (HOUR_NS, "h"), (MINUTE_NS, "min"), (NS_PER_S, "s"))
    for unit_ns, name in units:
        if length_ns >= unit_ns:
            return f"{length_ns / unit_ns:.3g} {name}"
    return f"{length_ns / NS_PER_MS:.3g} ms"


def with_capital(text: str) -> str:
    """As a sentence begins, unless it begins with a name."""
    is_word = text.split(" ", 1)[0].isalpha()
    return f"{text[:1].upper()}{text[1:]}" if is_word else text


def signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}"
