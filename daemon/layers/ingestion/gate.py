"""The gate: turns one raw candle into a believed bar, or into the reason why it is not believed.

Belongs here: everything a candle can be wrong about by itself or against the bar before it. Asking
for missing bars belongs to `feed`. History, stream and poll all pass this one function.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.bars import HARMLESS_REASONS, Bar, BarQuality, BarRejectReason, BarSource, RawBar
from daemon.core.events import BarRejected
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from daemon.core.instruments import InstrumentId

RAW_TEXT_MAX = 500
# A slot of which only such a candle was told had something in it that nobody can read any more.
SPOILING_REASONS = frozenset(BarRejectReason) - HARMLESS_REASONS - {BarRejectReason.IN_FUTURE}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NOT_A_NUMBER = frozenset({"nan", "inf", "infinity"})
# A time before 1973 read as ms is a time in s; one after 5138 is a time in us or ns.
_SECONDS_MAX = 100_000_000_000
_MICROSECONDS_MIN = 100_000_000_000_000


class Refusal(Struct, frozen=True, gc=False):
    """Why a candle was not believed; `detail` is one phrase for people."""

    reason: BarRejectReason
    detail: str


def accept(
    raw: RawBar,
    previous: Bar | None,
    *,
    instrument: InstrumentId,
    timeframe_ns: int,
    now_ns: int,
    source: BarSource,
    grace_ns: int = 0,
) -> Bar | Refusal:
    """The bar that `raw` tells, or why it is refused.

    `now_ns` is market time; a candle that closes after `now_ns + grace_ns` is not closed yet.
    `previous` is the newest accepted bar of the instrument: the same slot again is DUPLICATE when
    all numbers are equal and CONFLICTING otherwise, an older slot is OUT_OF_ORDER.
    """
    numbers = _numbers(raw)
    if isinstance(numbers, Refusal):
        return numbers
    open_, high, low, close, volume = numbers
    refusal = _price_fault(open_, high, low, close, volume)
    if refusal is not None:
        return refusal
    open_ns = open_time_ns(raw)
    if open_ns is None:
        return Refusal(BarRejectReason.MALFORMED, f"open time {raw.open_ms!r} is not whole ms")
    refusal = _time_fault(open_ns, timeframe_ns, now_ns + grace_ns)
    if refusal is not None:
        return refusal
    bar = Bar(
        instrument=instrument,
        open_ns=open_ns,
        close_ns=open_ns + timeframe_ns,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        received_ns=now_ns,
        source=source,
        quality=BarQuality.NO_TRADES if volume == 0 else BarQuality.OK,
        is_final=source is not BarSource.STREAM or raw.is_closed is True,
    )
    return bar if previous is None else _in_sequence(bar, previous)


def open_time_ns(raw: RawBar) -> int | None:
    """Open time of a candle in ns UTC, or None when it is not a whole number of ms."""
    value = raw.open_ms
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value * NS_PER_MS


def slot_of(raw: RawBar, timeframe_ns: int) -> int | None:
    """Open time of a candle, if it can be one: in ms and on the grid.

    A time in another unit lies far in the future. Such a row must not prove that what comes before
    it is over, or that a reply reaches so far.
    """
    open_ns = open_time_ns(raw)
    if open_ns is None or open_ns % timeframe_ns or open_ns >= _MICROSECONDS_MIN * NS_PER_MS:
        return None
    return open_ns


def volume_of(raw: RawBar) -> float | None:
    """Volume of a candle as it came, or None when it is no number."""
    return _number(raw.volume)


def tells(raw: RawBar, bar: Bar) -> bool:
    """True when a candle as it came has the very numbers of a bar."""
    return _numbers(raw) == (bar.open, bar.high, bar.low, bar.close, bar.volume)


def same_numbers(one: Bar, other: Bar) -> bool:
    """True when two bars tell the same prices and volume, whoever told them and when."""
    return (one.open, one.high, one.low, one.close, one.volume) == (
        other.open,
        other.high,
        other.low,
        other.close,
        other.volume,
    )


def rejected(
    instrument: InstrumentId, raw: RawBar, refusal: Refusal, source: BarSource, ts_ns: int
) -> BarRejected:
    """The event that says what is not believed, and why."""
    return BarRejected(
        ts_ns=ts_ns,
        instrument=instrument,
        reason=refusal.reason,
        raw=told(raw),
        detail=refusal.detail,
        open_ns=open_time_ns(raw),
        source=source,
    )


def raw_of(bar: Bar) -> RawBar:
    """The candle that a believed bar was told as."""
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return RawBar(bar.open_ns // NS_PER_MS, *numbers)


def told(raw: RawBar) -> str:
    """The candle as it came, as a JSON list; at most 500 characters."""
    values = (raw.open_ms, raw.open, raw.high, raw.low, raw.close, raw.volume)
    return json.dumps([_plain(value) for value in values])[:RAW_TEXT_MAX]


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if isinstance(value, str | int | float | None) else repr(value)


def _numbers(raw: RawBar) -> tuple[float, float, float, float, float] | Refusal:
    values: list[float] = []
    for name, value in (
        ("open", raw.open),
        ("high", raw.high),
        ("low", raw.low),
        ("close", raw.close),
        ("volume", raw.volume),
    ):
        number = _number(value)
        if number is None:
            return Refusal(BarRejectReason.MALFORMED, f"{name} {value!r} is not a number")
        if not math.isfinite(number):
            return Refusal(BarRejectReason.NOT_FINITE, f"{name} is {number}")
        values.append(number)
    return values[0], values[1], values[2], values[3], values[4]


def _number(value: object) -> float | None:
    """The float of a number or of plain number text; bool and everything else is no number."""
    if isinstance(value, str):
        text = value.strip()
        if text.lstrip("+-").lower() not in _NOT_A_NUMBER and not _NUMBER.fullmatch(text):
            return None
        return float(text)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def _price_fault(
    open_: float, high: float, low: float, close: float, volume: float
) -> Refusal | None:
    if min(open_, high, low, close) <= 0:
        return Refusal(
            BarRejectReason.NOT_POSITIVE, f"a price is {min(open_, high, low, close)}, need > 0"
        )
    if volume < 0:
        return Refusal(BarRejectReason.NOT_POSITIVE, f"volume is {volume}, need >= 0")
    if not (low <= open_ <= high and low <= close <= high):
        return Refusal(BarRejectReason.INCONSISTENT, "open and close must lie in low..high")
    return None


def _time_fault(open_ns: int, timeframe_ns: int, latest_close_ns: int) -> Refusal | None:
    open_ms = open_ns // NS_PER_MS
    if open_ms < _SECONDS_MAX:
        return Refusal(BarRejectReason.OFF_GRID, f"open time {open_ms} looks like s, need ms")
    if open_ms >= _MICROSECONDS_MIN:
        return Refusal(BarRejectReason.OFF_GRID, f"open time {open_ms} looks like us, need ms")
    if open_ns % timeframe_ns:
        return Refusal(
            BarRejectReason.OFF_GRID,
            f"open time {open_ms} is {open_ns % timeframe_ns // NS_PER_MS} ms off the grid",
        )
    if open_ns + timeframe_ns > latest_close_ns:
        early_ms = (open_ns + timeframe_ns - latest_close_ns) // NS_PER_MS
        return Refusal(BarRejectReason.IN_FUTURE, f"closes {early_ms} ms from now")
    return None


def _in_sequence(bar: Bar, previous: Bar) -> Bar | Refusal:
    if bar.open_ns > previous.open_ns:
        return bar
    if bar.open_ns < previous.open_ns:
        return Refusal(BarRejectReason.OUT_OF_ORDER, "older than the newest accepted bar")
    if same_numbers(bar, previous):
        return Refusal(BarRejectReason.DUPLICATE, "came before, the same")
    return Refusal(BarRejectReason.CONFLICTING, f"came before with close {previous.close!r}")
