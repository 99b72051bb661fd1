"""Candles: turns the tape into rows of any interval the exchange offers, unfinished one included.

Belongs here: intervals, aggregation and windows. A coarse bar with a hole in it is absent, as a bar
is.
"""

from collections.abc import Iterator

from daemon.embedded.account import ZERO
from daemon.embedded.market import MarketBar
from daemon.embedded.refusals import RequestError
from daemon.embedded.tape import Tape

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
INTERVALS_MS = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
}
# The epoch was a Thursday; weeks open on Monday.
WEEK_OFFSET_MS = 4 * DAY_MS


def interval_name(timeframe_ms: int) -> str:
    """The dialect's word for a length, for example "1h"."""
    for name, length_ms in INTERVALS_MS.items():
        if length_ms == timeframe_ms:
            return name
    seconds = timeframe_ms // 1_000
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def interval_length_ms(tape: Tape, name: str) -> int:
    """Length of an offered interval: the market's own or an exact multiple; else RequestError."""
    timeframe_ms = tape.market.timeframe_ms
    length_ms = INTERVALS_MS.get(name)
    if name == interval_name(timeframe_ms):
        return timeframe_ms
    if length_ms is None or length_ms < timeframe_ms or length_ms % timeframe_ms:
        raise RequestError(-1120, "Invalid interval.")
    return length_ms


def candles(
    tape: Tape,
    symbol_id: str,
    length_ms: int,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int,
) -> list[MarketBar]:
    """Bars with start <= open <= end, ascending: the first `limit` from a start, else the last."""
    first_ms = tape.market.first_open_ms
    low_ms = first_ms if start_ms is None else max(start_ms, first_ms)
    high_ms = tape.closed_ms if end_ms is None else min(end_ms, tape.closed_ms)
    if low_ms > high_ms:
        return []
    is_forward = start_ms is not None
    found: list[MarketBar] = []
    for window in _windows(low_ms, high_ms, length_ms, limit, is_forward=is_forward):
        bars = _bars(tape, symbol_id, length_ms, *window, low_ms=low_ms, high_ms=high_ms)
        found = [*found, *bars] if is_forward else [*bars, *found]
        if len(found) >= limit:
            break
    return found[:limit] if is_forward else found[-limit:]


def coarse_bar(tape: Tape, symbol_id: str, length_ms: int, open_ms: int) -> MarketBar | None:
    """One bar of a multiple of the timeframe, as far as it has come; None when it has a hole."""
    end_ms = open_ms + length_ms - tape.market.timeframe_ms
    bars = _bars(tape, symbol_id, length_ms, open_ms, end_ms, low_ms=open_ms, high_ms=open_ms)
    return bars[0] if bars else None


def coarse_open_ms(length_ms: int, ts_ms: int) -> int:
    """Open of the coarse bar that contains `ts_ms`."""
    offset_ms = WEEK_OFFSET_MS if length_ms == WEEK_MS else 0
    return (ts_ms - offset_ms) // length_ms * length_ms + offset_ms


def _windows(
    low_ms: int, high_ms: int, length_ms: int, limit: int, *, is_forward: bool
) -> Iterator[tuple[int, int]]:
    # Windows are whole coarse bars, so that none is cut in two.
    first_ms, last_ms = coarse_open_ms(length_ms, low_ms), coarse_open_ms(length_ms, high_ms)
    span_ms = max(limit, 1) * length_ms
    if is_forward:
        for open_ms in range(first_ms, last_ms + 1, span_ms):
            yield open_ms, min(open_ms + span_ms, last_ms + length_ms) - 1
        return
    end_ms = last_ms + length_ms
    while end_ms > first_ms:
        yield max(first_ms, end_ms - span_ms), end_ms - 1
        end_ms -= span_ms


def _bars(
    tape: Tape,
    symbol_id: str,
    length_ms: int,
    start_ms: int,
    end_ms: int,
    *,
    low_ms: int,
    high_ms: int,
) -> list[MarketBar]:
    timeframe_ms = tape.market.timeframe_ms
    last_ms = min(end_ms, tape.closed_ms - timeframe_ms)
    fine = []
    if start_ms <= last_ms:
        slots = (last_ms - start_ms) // timeframe_ms + 1
        fine = tape.market.bars(symbol_id, start_ms, last_ms, slots)
    partial = tape.partial(symbol_id)
    if partial is not None and start_ms <= partial.open_ms <= end_ms:
        fine = [*fine, partial]
    if length_ms == timeframe_ms:
        return [bar for bar in fine if low_ms <= bar.open_ms <= high_ms]
    groups: dict[int, list[MarketBar]] = {}
    for bar in fine:
        groups.setdefault(coarse_open_ms(length_ms, bar.open_ms), []).append(bar)
    merged = []
    for open_ms, parts in groups.items():
        # The newest slot that can be part of it: the unfinished one, or its own last.
        newest_ms = min(open_ms + length_ms - timeframe_ms, tape.closed_ms)
        slots = (newest_ms - open_ms) // timeframe_ms + 1
        if len(parts) == slots and low_ms <= open_ms <= high_ms:
            merged.append(merge(open_ms, parts))
    return merged


def merge(open_ms: int, parts: list[MarketBar]) -> MarketBar:
    """One bar out of consecutive ones; at least one.

    Those without trades have no price of their own, and count only among themselves.
    """
    traded = [bar for bar in parts if bar.volume] or parts
    return MarketBar(
        open_ms,
        traded[0].open,
        max(bar.high for bar in traded),
        min(bar.low for bar in traded),
        traded[-1].close,
        sum((bar.volume for bar in parts), ZERO),
        sum(bar.trades for bar in parts),
    )
