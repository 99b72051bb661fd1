"""Reads how a synthetic market changes while it runs: from when on, and what holds from then on.

Belongs here: the changes and what is in force at a moment. What the random process makes of them
belongs in process.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from daemon.core.timeframes import NS_PER_MS, timeframe_ns

FACTOR_MAX = 100.0


class Regime(Struct, frozen=True, kw_only=True):
    """What holds in a market for a while.

    `edge` in [-1, 1]: below zero the pattern is the opposite one, as strong and as knowable. The
    others multiply what is usual: the level of volume, the spread of its noise in logarithms, and
    the deviation of returns.
    """

    edge: float
    volume: float = 1.0
    volume_noise: float = 1.0
    volatility: float = 1.0


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is different from `after_ms` of streaming on; None stays as it was."""

    after_ms: int
    edge: float | None = None
    volume: float | None = None
    volume_noise: float | None = None
    volatility: float | None = None


NAMES = tuple(each for each in Change.__struct_fields__ if each != "after_ms")


class Regimes:
    """The regimes of a market, in order of time."""

    def __init__(self, first: Regime, changes: Sequence[Change], from_ms: int) -> None:
        self._starts_ms: list[int] = []
        self._regimes = [first]
        for change in changes:
            told = {name: getattr(change, name) for name in NAMES}
            new = {name: value for name, value in told.items() if value is not None}
            self._starts_ms.append(from_ms + change.after_ms)
            self._regimes.append(replace(self._regimes[-1], **new))

    def at(self, open_ms: int) -> Regime:
        """What holds in the bar that opens then."""
        return self._regimes[bisect_right(self._starts_ms, open_ms)]


def changes_of(texts: Iterable[str]) -> tuple[Change, ...]:
    """Changes out of texts like "30d edge=0 volume=3", in order of time; ValueError, one line."""
    changes = sorted((_change_of(text) for text in texts), key=lambda each: each.after_ms)
    for earlier, later in pairwise(changes):
        if earlier.after_ms == later.after_ms:
            raise ValueError("two changes at one moment: write them as one")
    return tuple(changes)


def _change_of(text: str) -> Change:
    after, *assignments = text.split() or [""]
    try:
        after_ms = timeframe_ns(after) // NS_PER_MS
    except ValueError:
        raise ValueError(f"change {text!r}: {_EXPECTED}") from None
    told: dict[str, float] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in NAMES or name in told:
            raise ValueError(f"change {text!r}: {_EXPECTED}")
        told[name] = _number(text, name, value)
    if not told:
        raise ValueError(f"change {text!r}: {_EXPECTED}")
    return Change(after_ms=after_ms, **told)


def _number(text: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if name == "edge":
        if not -1.0 <= number <= 1.0:
            raise ValueError(f"change {text!r}: edge is a number from -1 to 1")
    elif not 0.0 < number <= FACTOR_MAX:
        raise ValueError(f"change {text!r}: {name} is a factor above 0, at most {FACTOR_MAX:g}")
    return number


_EXPECTED = f'expected for example "30d edge=0 volume=3", with any of {", ".join(NAMES)}'
