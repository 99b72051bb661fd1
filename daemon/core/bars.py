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
    """Why a slot of the grid has no bar: nobody traded, we (or the venue) were blind, or what was
    told of it is not believed. With BarQuality, this is the quality of every slot there is.
    """

    NO_TRADES = "no_trades"
    OUTAGE = "outage"
    QUARANTINED = "quarantined"


class ZeroVolume(StrEnum):
    """What a bar in which nobody traded is good for; it stays on the grid and in the store."""

    ACCEPT = "accept"  # whatever other bars are
    FLAG = "flag"  # it stands in windows, but nothing is decided at it or learnt from it
    REJECT = "reject"  # windows break at it as at a hole


class Suspicion(StrEnum):
    """What makes a well-formed bar hard to believe beside the bars before it."""

    SPIKE = "spike"
    IMPUTED = "imputed"
    VOLUME_UNIT = "volume_unit"


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
    SPIKE = Suspicion.SPIKE.value
    IMPUTED = Suspicion.IMPUTED.value
    VOLUME_UNIT = Suspicion.VOLUME_UNIT.value


# Said of every stream now and then, and no sign that anything is wrong with the data.
HARMLESS_REASONS = frozenset({BarRejectReason.DUPLICATE, BarRejectReason.OUT_OF_ORDER})


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


class RawTrade(Struct, frozen=True, gc=False):
    """One public trade as received: its id if it has one, time in ms UTC, price and base quantity
    as they came.
    """

    trade_id: object
    ts_ms: object
    price: object
    quantity: object


class ToldBar(Struct, frozen=True, gc=False):
    """One row of a file, its time in ms UTC, and where it stands; `fault`: it is no candle."""

    place: str
    raw: RawBar
    fault: str = ""


class Bar(Struct, frozen=True, kw_only=True, gc=False):
    """A closed, validated bar; times in ns UTC, prices in quote units, volume in base units.

    `is_final` says that the source itself called it over: by a flag, or by telling it as history.
    A bar that was over only because the next one began may still differ from what history tells.
    `suspicion` is what looked wrong in it until a second read, or an operator, confirmed it.
    """

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
    is_final: bool = True
    suspicion: Suspicion | None = None
