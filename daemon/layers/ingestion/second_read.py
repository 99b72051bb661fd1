"""The second read: says what to believe of a slot once a suspicious bar of it was asked for again.

Belongs here: comparing two tellings of one slot. Asking belongs to `publisher` and `history`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from daemon.core.bars import Suspicion

if TYPE_CHECKING:
    from daemon.core.bars import Bar
    from daemon.layers.ingestion.suspicion import Doubt

# A reply may lag behind the stream, and an exchange may be away for a moment, in a crash above all.
SECOND_READ_WAITS_S = (0.0, 0.5, 1.5)
NEAR = math.log(1.05)  # a stream's last word and REST's first may miss each other's last trades
REVISION_MAX = math.log(1.25)  # a venue that settles a bar does not change its prices by more


def judged(first: Bar, second: Bar, doubt: Doubt | None) -> Bar | None:
    """The bar to believe: the second when nothing is odd about it, or when both tell one spike.

    A line or a unit of volume does not become true by being told twice.
    """
    if doubt is None:
        return second
    if doubt.suspicion is Suspicion.SPIKE and is_near(first, second):
        return confirmed(second)
    return None


def confirmed(bar: Bar) -> Bar:
    """A spike that was told twice: genuine, and marked."""
    return msgspec.structs.replace(bar, suspicion=Suspicion.SPIKE)


def is_near(one: Bar, other: Bar, within: float = NEAR) -> bool:
    """Whether two bars of one slot tell about the same prices, up to a log."""
    return all(
        abs(math.log(getattr(one, name) / getattr(other, name))) <= within
        for name in ("open", "high", "low", "close")
    )
