"""Holds what was measured of the rules of health against what docs/health.md says of them.

Belongs here: the bounds, and whether the stored figures are those found. What is measured belongs
to `skill`.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from daemon.layers.monitoring.measured import lines_of
from daemon.layers.monitoring.sequential import DOUBT_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.config import HealthSection
    from daemon.layers.monitoring.measured import Measured

DEVIATIONS = 3.0  # of one kind of model beyond a bound are chance
SAME_WITHIN_RATIO = 0.05  # another processor rounds otherwise
SAME_WITHIN = 0.01


def beyond(
    rows: Iterable[Measured], warned: Sequence[float], config: HealthSection, *, is_whole: bool
) -> Iterator[str]:
    """Every bound of the default rule that does not hold, in words.

    `warned` are the shares of models that keep three quarters of their promise and saw a WARNING.
    Where all seeds were asked, no bound may be passed by the mean of all kinds of models either.
    """
    own = [row for row in rows if row.policy == "sequential"]
    seeds = min(row.seeds for row in own)
    alarms, health = config.false_alarm_ratio, config.false_health_ratio
    asked = (
        ("false alarms of models that hold", alarms, [row.alarms_ratio for row in own]),
        ("false alarms at three quarters", alarms, [row.alarms_kept_ratio for row in own]),
        ("warnings at three quarters", alarms / DOUBT_SHARE, warned),
        ("skill shown without any", health, [row.shown_wrongly_ratio or 0.0 for row in own]),
    )
    for what, limit, found in asked:
        room = DEVIATIONS * (limit * (1.0 - limit) / seeds) ** 0.5
        if max(found) > limit + room:
            yield f"{what}: {max(found):.1%} of one kind, at most {limit:.0%} and {room:.1%} chance"
        mean = sum(found) / len(found)
        if is_whole and mean > limit:
            yield f"{what}: {mean:.1%} of all kinds, at most {limit:.0%}"


def stored_otherwise(rows: Iterable[Measured], stored: Iterable[Measured]) -> Iterator[str]:
    """Every row that `tradingd health --explain` and docs/health.md tell otherwise."""
    for found, known in zip_longest(lines_of(rows), lines_of(stored), fillvalue=""):
        if not _is_like(found.split(), known.split()):
            yield f"found {found or 'nothing'}, stored is {known or 'nothing'}"


def _is_like(found: Sequence[str], known: Sequence[str]) -> bool:
    return len(found) == len(known) and all(
        one == other or _is_near(one, other) for one, other in zip(found, known, strict=True)
    )


def _is_near(one: str, other: str) -> bool:
    try:
        found, known = float(one), float(other)
    except ValueError:
        return False
    return abs(found - known) <= max(SAME_WITHIN, SAME_WITHIN_RATIO * abs(known))
