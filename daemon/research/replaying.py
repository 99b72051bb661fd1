"""Says where a replay parts from its journal: the bar, the event, the field, and both values.

Belongs here: naming a difference. Finding it belongs to `parity`, whose engine both share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import rfc3339

if TYPE_CHECKING:
    from daemon.core.events import Event
    from daemon.research.parity import Difference

MISSING = "(not there)"


def named(difference: Difference, timeframe: str) -> dict[str, object]:
    """The difference as one row: where it is, what it is, and what was said on either side."""
    was, now = difference.recorded, difference.recomputed
    told = was if was is not None else now
    assert told is not None, "a difference has two sides, or one"
    path, recorded, recomputed = _first_field(_built(was), _built(now), ())
    instrument, close_ns = _decided_on(_built(told), path)
    bar_ns = difference.bar_ns if close_ns is None else close_ns
    row: dict[str, object] = {
        "step": difference.step,
        "bar": None if bar_ns is None else rfc3339(bar_ns),
        "at": rfc3339(told.ts_ns),
        "symbol": None if instrument is None else instrument.symbol,
        "exchange": None if instrument is None else instrument.exchange,
        "trace": None,
        "event": type(told).__name__,
        "field": _spelled(path) or "(the whole event)",
        "recorded": recorded,
        "recomputed": recomputed,
    }
    if instrument is not None and close_ns is not None:
        row["trace"] = trace_for(instrument, timeframe, close_ns)
    return row


def _built(event: Event | None) -> object:
    return MISSING if event is None else msgspec.to_builtins(event, str_keys=True)


def _first_field(
    was: object, now: object, path: tuple[str | int, ...]
) -> tuple[tuple[str | int, ...], object, object]:
    """The first place, depth first, at which two trees of plain values differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in [*was, *(each for each in now if each not in was)]:
            one, other = was.get(name, MISSING), now.get(name, MISSING)
            if one != other:
                return _first_field(one, other, (*path, name))
    if isinstance(was, list | tuple) and isinstance(now, list | tuple):
        for place in range(max(len(was), len(now))):
            one = was[place] if place < len(was) else MISSING
            other = now[place] if place < len(now) else MISSING
            if one != other:
                return _first_field(one, other, (*path, place))
    return path, was, now


def _decided_on(
    told: object, path: tuple[str | int, ...]
) -> tuple[InstrumentId | None, int | None]:
    """Instrument and bar close of the innermost part of the event that names them."""
    instrument: InstrumentId | None = None
    close_ns: int | None = None
    part = told
    for step in (None, *path):
        if step is not None:
            part = _within(part, step)
        if isinstance(part, dict):
            if isinstance(known := part.get("instrument"), dict):
                instrument = InstrumentId(**known)
            close_ns = part.get("close_ns", close_ns)
    return instrument, close_ns


def _within(part: object, step: str | int) -> object:
    if isinstance(part, dict):
        return part.get(step)
    if isinstance(part, list | tuple) and isinstance(step, int) and step < len(part):
        return part[step]
    return None


def _spelled(path: tuple[str | int, ...]) -> str:
    """Such as rows[1].values[3]."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
