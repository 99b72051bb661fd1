"""What is heard of a market and of the ways to it: bars, feeds, clocks, keys, listings.

Belongs here: what layer 1 and the edge tell. What is made of bars belongs to `decisions`.
"""

from daemon.core.bars import Bar, BarRejectReason, BarSource, MissCause
from daemon.core.events.base import Fact, Input
from daemon.core.instruments import Instrument, InstrumentId


class HistoryLoaded(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Closed bars that fill the windows before the first decision; nothing is decided on them."""

    bars: tuple[Bar, ...]


class BarsClosed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A cross-section: at most one bar per instrument, ordered by instrument."""

    bars: tuple[Bar, ...]


class BarsMissed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Slots of the grid that will never have a bar, and why."""

    instrument: InstrumentId
    first_open_ns: int
    count: int
    cause: MissCause


class BarRejected(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A candle that is not believed: what came, what is wrong with it, and of which slot it spoke.

    `open_ns` is None where the candle has no readable time.
    """

    instrument: InstrumentId
    reason: BarRejectReason
    raw: str
    detail: str = ""
    open_ns: int | None = None
    source: BarSource | None = None


class BarRevised(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue changed a bar after we had believed it; decisions made on it stand."""

    bar: Bar
    was: Bar


class FeedStale(Input, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    silent_s: float
    action: str


class FeedRecovered(Input, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId


class ClockChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange's wire clock was measured against ours, and the trust in ours changed by it."""

    exchange: str
    is_trusted: bool
    offset_ms: float | None  # exchange minus this machine; None: it could not be measured
    error_ms: float | None  # how wrong that may be
    limit_ms: float


class DiskChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The room on the disk of the state was measured, and whether it is enough changed by it.

    What is decided must be written: entries stop before that fails.
    """

    is_enough: bool
    free_megabytes: int
    limit_megabytes: int


class KeyChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange was asked what the key of a live account may do, and it may be used.

    `remarks` are for a person; that its rights could not be verified and were accepted is one.
    """

    exchange: str
    remarks: tuple[str, ...] = ()


class ExchangeLost(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange is not reached any more; nothing is opened there until it is."""

    exchange: str
    error: str


class ExchangeBack(Input, frozen=True, kw_only=True, gc=False, tag=True):
    exchange: str


class ListingChanged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange stopped or began to trade an instrument."""

    instrument: InstrumentId
    is_tradable: bool
    detail: str


class RulesChanged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange changed the steps or limits of an instrument; `detail` says which."""

    instrument: Instrument
    detail: str


class DataDistrusted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """So much of what was told of one instrument today is not believed that nothing is opened in it
    until the day is over.
    """

    instrument: InstrumentId
    until_ns: int
    count: int
    limit: int
