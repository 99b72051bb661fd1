"""Exits that risk itself asks for: makes the desire to hold less, which no model had.

Belongs here: the form of that signal. When there is one belongs to `policy`, `flattening` and the
handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import Direction, SignalEmitted

if TYPE_CHECKING:
    from decimal import Decimal

    from daemon.core.events import SignalReason
    from daemon.core.instruments import InstrumentId


def flat(
    instrument: InstrumentId,
    reason: SignalReason,
    mark: Decimal | None,
    *,
    ts_ns: int,
    trace: str,
    close_ns: int,
    close_ratio: float = 1.0,
) -> SignalEmitted:
    return SignalEmitted(
        ts_ns=ts_ns,
        instrument=instrument,
        trace=trace,
        close_ns=close_ns,
        direction=Direction.FLAT,
        reason=reason,
        model="",
        price=0.0 if mark is None else float(mark),
        probability_up=None,
        win_probability=None,
        confidence=None,
        edge_ratio=None,
        expires_ns=None,
        close_ratio=close_ratio,
    )
