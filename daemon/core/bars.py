"""Bars as they arrive and as they are believed: a RawBar is what somebody said, a Bar is what we
accept.

Belongs here: the shape of bars and their provenance. Deciding whether to accept one belongs to
layer 1.
"""

from enum import StrEnum

from msgspec import Struct

from daemon.core.instruments import InstrumentId


class BarSource(StrEnum):
    STREAM = "stream"
    POLL = "poll"
    BACKFILL = "backfill"
    RECORDING = "recording"


class BarQuality(StrEnum):
    OK = "ok"
    NO_TRADES = "no_trades"
    REVISED = "revised"


class MissCause(StrEnum):
    """Why a slot of the grid has no bar: nobody traded, or we (or the venue) were blind."""

    NO_TRADES = "no_trades"
    OUTAGE = "outage"


class BarRejectReason(StrEnum):
    MALFORMED = "malformed"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    INCONSISTENT = "inconsistent"
    OFF_GRID = "off_grid"
    IN_FUTURE = "in_future"
    DUPLICATE = "duplicate"
    CONFLICTING = "conflicting"
    OUT_OF_ORDER = "out_of_order"


class RawBar(Struct, frozen=True, gc=False):
    """One candle exactly as received: open time in ms UTC, floats or whatever came; `is_closed`
    when the source says.
    """

    open_ms: object
    open: object
    high: object
    low: object
    close: object
    volume: object
    is_closed: bool | None = None


class Bar(Struct, frozen=True, kw_only=True, gc=False):
    """A closed, validated bar; times in ns UTC, prices in quote units, volume in base units."""

    instrument: InstrumentId
    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    received_ns: int
    source: BarSource
    quality: BarQuality = BarQuality.OK
