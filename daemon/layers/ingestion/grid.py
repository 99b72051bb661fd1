"""The time grid: says which slots lie between the bar that was expected and the bar that came.

Belongs here: arithmetic on open times. Why a slot is empty is decided by `feed` and `history`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.layers.ingestion.gate import open_time_ns, slot_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.bars import RawBar


def missing_slots(next_open_ns: int, open_ns: int, timeframe_ns: int) -> range:
    """Open times (ns UTC) from the next expected slot up to, not including, the slot that came."""
    return range(next_open_ns, open_ns, timeframe_ns)


def slots_between(first_open_ns: int, end_ns: int, timeframe_ns: int) -> int:
    """How many whole slots there are from `first_open_ns` on that close at or before `end_ns`."""
    return max(0, (end_ns - first_open_ns) // timeframe_ns)


def closed_rows(rows: Sequence[RawBar], timeframe_ns: int, by_ns: int) -> list[RawBar]:
    """Rows that are over: a later row exists, or they close at or before market time `by_ns`.

    Rows without a readable open time pass too, for the gate to refuse.
    """
    newest_ns = max((slot_of(raw, timeframe_ns) or 0 for raw in rows), default=0)
    latest_ns = max(newest_ns, by_ns)
    return [raw for raw in rows if (open_time_ns(raw) or 0) + timeframe_ns <= latest_ns]
