"""Gaps of a series as slots without a bar: lays newer knowledge over older, and finds holes.

Belongs here: arithmetic on gaps. Keeping them on disk belongs to `bars`, finding out why a slot is
empty to layer 1.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from daemon.core.bars import MissCause

Span: TypeAlias = tuple[int, int]  # since and until, in ns UTC, half-open


class Gap(Struct, frozen=True):
    """`count` slots from `first_open_ns` on that had no bar when this was recorded.

    `found` of them have one by now; a cause of None means that nobody ever said why.
    """

    first_open_ns: int
    count: int
    cause: MissCause | None
    found: int = 0

    def until_ns(self, timeframe_ns: int) -> int:
        """Open time of the first slot behind the gap."""
        return self.first_open_ns + self.count * timeframe_ns

    @property
    def is_filled(self) -> bool:
        return self.found >= self.count


def overlaid(older: Iterable[Gap], newer: Gap, timeframe_ns: int) -> list[Gap]:
    """Gaps in order that never overlap: the newer cause holds where it speaks, the older beside it.

    Neighbours of one cause become one gap, so an outage of a day is one row and not 1440.
    """
    first_ns, until_ns = newer.first_open_ns, newer.until_ns(timeframe_ns)
    pieces = [newer]
    for gap in older:
        before = (first_ns - gap.first_open_ns) // timeframe_ns
        if before > 0:
            pieces.append(Gap(gap.first_open_ns, min(before, gap.count), gap.cause))
        behind = (gap.until_ns(timeframe_ns) - until_ns) // timeframe_ns
        if behind > 0:
            count = min(behind, gap.count)
            pieces.append(Gap(gap.until_ns(timeframe_ns) - count * timeframe_ns, count, gap.cause))
    pieces.sort(key=lambda gap: gap.first_open_ns)
    joined: list[Gap] = []
    for gap in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.cause is gap.cause
            and last.until_ns(timeframe_ns) >= gap.first_open_ns
        ):
            until = max(last.until_ns(timeframe_ns), gap.until_ns(timeframe_ns))
            count = (until - last.first_open_ns) // timeframe_ns
            joined[-1] = Gap(last.first_open_ns, count, last.cause)
        else:
            joined.append(gap)
    return joined


def untold(opens: npt.NDArray[np.int64], known: Sequence[Gap], timeframe_ns: int) -> list[Gap]:
    """Holes between stored bars for which no gap was recorded: nobody asked, or nobody noted it."""
    holes = np.flatnonzero(np.diff(opens) > timeframe_ns)
    found: list[Gap] = []
    for hole in holes.tolist():
        first_ns, until_ns = int(opens[hole]) + timeframe_ns, int(opens[hole + 1])
        for gap in known:  # in order and apart
            if gap.until_ns(timeframe_ns) <= first_ns:
                continue
            if gap.first_open_ns >= until_ns:
                break
            if gap.first_open_ns > first_ns:
                count = (gap.first_open_ns - first_ns) // timeframe_ns
                found.append(Gap(first_ns, count, None))
            first_ns = max(first_ns, gap.until_ns(timeframe_ns))
        if first_ns < until_ns:
            found.append(Gap(first_ns, (until_ns - first_ns) // timeframe_ns, None))
    return found


def without_bars(
    opens: npt.NDArray[np.int64], since_ns: int, until_ns: int, timeframe_ns: int
) -> list[Span]:
    """Stretches of since_ns <= slot < until_ns in which no slot has a bar."""
    inside = opens[(opens >= since_ns) & (opens < until_ns)]
    edges = np.concatenate(([since_ns - timeframe_ns], inside, [until_ns]))
    before = np.flatnonzero(np.diff(edges) > timeframe_ns).tolist()
    return [(int(edges[n]) + timeframe_ns, int(edges[n + 1])) for n in before]


def clipped(gaps: Iterable[Gap], spans: Sequence[Span], timeframe_ns: int) -> list[Gap]:
    """The parts of gaps that lie in one of the spans; these are in order and on the grid."""
    parts: list[Gap] = []
    for gap in gaps:
        for since_ns, until_ns in spans:
            first_ns = max(gap.first_open_ns, since_ns)
            count = (min(gap.until_ns(timeframe_ns), until_ns) - first_ns) // timeframe_ns
            if count > 0:
                parts.append(Gap(first_ns, count, gap.cause))
    return parts
