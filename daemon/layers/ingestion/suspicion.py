"""Suspicion: says of a well-formed bar what makes it hard to believe beside the bars before it.

Belongs here: the detectors, one definition for stream, history and files, past-only. What one
candle can be wrong about by itself belongs to `gate`, what is done about a suspicion to `publisher`
and `sieve`.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.bars import Suspicion
from daemon.core.timeframes import HOUR_NS

if TYPE_CHECKING:
    from daemon.core.bars import Bar

PAST_BARS = 100
PAST_BARS_MIN = 20  # with fewer, only what no market does is suspicious
SPIKE_SCALE = 30.0
# A spike is also large by itself: 28 % within an hour, 7 % within a minute, as logs.
SPIKE_PER_HOUR = 0.25
SPIKE_WITHOUT_PAST = 1.0  # as a log: times 2.7
# Bars that repeat all five numbers so often, one after another, were filled in by somebody.
REPEATS_MIN = 3
UNIT_JUMP = math.log(300.0)
UNIT_BARS = 5  # a new unit is there when so many bars in a row have it
UNIT_PAST = 50
UNIT_PAST_MIN = 20
UNIT_REFRESH = 10  # volumes between two looks at their median
LINE_TOLERANCE = 1e-9


class Doubt(Struct, frozen=True, gc=False):
    """What is suspicious about a bar; `detail` is one phrase for people."""

    suspicion: Suspicion
    detail: str


class Past:
    """The newest bars of one series, and what may be believed to come after them.

    Ask `doubt` of a bar first; then tell with `take` that it is believed, or with `leave` that it
    is not. Both in the order of time.
    """

    def __init__(self, timeframe_ns: int, *, spike_scale: float = SPIKE_SCALE) -> None:
        self._timeframe_ns = timeframe_ns
        self._factor = spike_scale
        self._floor = SPIKE_PER_HOUR * (timeframe_ns / HOUR_NS) ** (1 / 3)
        self._moves: deque[float] = deque(maxlen=PAST_BARS)
        self._ranges: deque[float] = deque(maxlen=PAST_BARS)
        self._last: Bar | None = None  # believed
        self._left: Bar | None = None  # told after `_last`, and not believed
        self._seen: deque[Bar] = deque(maxlen=2)
        self._repeats = 0
        self._scale = VolumeScale()

    def doubt(self, bar: Bar, after: Bar | None = None) -> Doubt | None:
        """The first thing that is suspicious about the bar that follows.

        Where the bar `after` it is known as well, an invented line ends with the last invention;
        otherwise it is noticed, and ends, one bar later.
        """
        return self._imputed(bar, after) or self._spike(bar) or self._volume_unit(bar)

    def take(self, bar: Bar) -> None:
        if self._last is not None:
            self._moves.append(abs(math.log(bar.close / self._last.close)))
        self._ranges.append(math.log(bar.high / bar.low))
        self._scale.take(bar.volume)
        self._last, self._left = bar, None
        self._see(bar)

    def leave(self, bar: Bar) -> None:
        """Not believed; yet if the next bar goes on from there, the price has really moved."""
        self._scale.take(bar.volume)
        self._left = bar
        self._see(bar)

    def _see(self, bar: Bar) -> None:
        is_same = bool(self._seen) and _numbers(self._seen[-1]) == _numbers(bar)
        self._repeats = self._repeats + 1 if is_same and bar.volume > 0 else 0
        self._seen.append(bar)

    def unit_ratio(self, bar: Bar) -> float:
        """How much larger volumes are from now on, where `bar` shows that their unit changed."""
        return self._scale.change_with(bar.volume) or 1.0

    # --- spikes -------------------------------------------------------------------------------

    def _spike(self, bar: Bar) -> Doubt | None:
        low_body, high_body = sorted((bar.open, bar.close))
        wick = max(math.log(bar.high / high_body), math.log(low_body / bar.low))
        move, slots = self._move(bar)
        if max(move, wick) <= self._floor:
            return None
        if len(self._ranges) < PAST_BARS_MIN:
            limits = SPIKE_WITHOUT_PAST, SPIKE_WITHOUT_PAST
        else:
            limits = (
                max(self._floor, self._factor * _deviation(self._moves)) * math.sqrt(slots),
                max(self._floor, self._factor * median(self._ranges)),
            )
        for name, size, limit in (("moved", move, limits[0]), ("has a wick", wick, limits[1])):
            if size > limit:
                factors = f"{math.exp(size):.4g}, believable is {math.exp(limit):.3g}"
                text = f"{name} by a factor of {factors}"
                return Doubt(Suspicion.SPIKE, text)
        return None

    def _move(self, bar: Bar) -> tuple[float, int]:
        """The largest step from the price before, as a log, and over how many slots."""
        if self._last is None:
            return abs(math.log(bar.close / bar.open)), 1
        steps = [
            max(abs(math.log(bar.open / before.close)), abs(math.log(bar.close / before.close)))
            for before in (self._last, self._left)
            if before is not None
        ]
        slots = (bar.open_ns - self._last.open_ns) // self._timeframe_ns
        return min(steps), max(1, slots)

    # --- inventions ---------------------------------------------------------------------------

    def _imputed(self, bar: Bar, after: Bar | None) -> Doubt | None:
        if not self._seen or bar.volume == 0:
            return None
        if _numbers(bar) == _numbers(self._seen[-1]) and self._repeats + 1 >= REPEATS_MIN:
            return Doubt(Suspicion.IMPUTED, f"repeats the {self._repeats + 1} bars before it")
        three = (*self._seen, bar) if after is None else (self._seen[-1], bar, after)
        if len(three) == 3 and is_line(*three):  # there may be fewer at first
            return Doubt(Suspicion.IMPUTED, "prices and volume lie with its neighbours' on a line")
        return None

    def _volume_unit(self, bar: Bar) -> Doubt | None:
        ratio = self._scale.change_with(bar.volume)
        if ratio is None:
            return None
        text = f"the {UNIT_BARS}th bar in a row with about {ratio:.3g} times the volume before"
        return Doubt(Suspicion.VOLUME_UNIT, text)


class VolumeScale:
    """The usual size of a series' volumes, which a change of unit leaves for good."""

    def __init__(self) -> None:
        self._logs: deque[float] = deque(maxlen=UNIT_PAST)
        self._usual: float | None = None
        self._fresh = 0
        self._off: list[float] = []

    def change_with(self, volume: float) -> float | None:
        """How much larger volumes are from now on, if this one shows it."""
        off = self._distance(volume)
        if off is None or len(self._off) + 1 < UNIT_BARS or (off > 0) != (self._off[-1] > 0):
            return None
        return math.exp(median([*self._off, off]))

    def take(self, volume: float) -> None:
        if volume <= 0:
            return
        off = self._distance(volume)
        if off is None:
            self._keep(math.log(volume))
            return
        if self._off and (off > 0) != (self._off[-1] > 0):
            self._off.clear()
        self._off.append(off)
        if len(self._off) == UNIT_BARS:
            assert self._usual is not None
            logs = [self._usual + each for each in self._off]
            self._logs = deque(logs, maxlen=UNIT_PAST)
            self._usual, self._fresh = median(logs), 0
            self._off.clear()

    def _keep(self, log: float) -> None:
        self._off.clear()
        self._logs.append(log)
        self._fresh += 1
        is_enough = self._usual is not None or len(self._logs) >= UNIT_PAST_MIN
        if is_enough and (self._usual is None or self._fresh >= UNIT_REFRESH):
            self._usual, self._fresh = median(self._logs), 0

    def _distance(self, volume: float) -> float | None:
        """How far a volume is from the usual ones, as a log, where it is too far to be one."""
        if volume <= 0 or self._usual is None:
            return None
        off = math.log(volume) - self._usual
        return off if abs(off) > UNIT_JUMP else None


def is_line(before: Bar, bar: Bar, after: Bar) -> bool:
    """True when all five numbers of three adjacent bars go in equal steps, and prices move.

    Nobody trades so: the one in the middle, at least, was interpolated.
    """
    is_adjacent = before.close_ns == bar.open_ns and bar.close_ns == after.open_ns
    if not is_adjacent or (before.close == bar.close and before.open == bar.open):
        return False
    return all(
        abs(a - 2 * b + c) <= LINE_TOLERANCE * max(abs(a), abs(c))
        for a, b, c in zip(_numbers(before), _numbers(bar), _numbers(after), strict=True)
    )


def _numbers(bar: Bar) -> tuple[float, float, float, float, float]:
    return bar.close, bar.open, bar.high, bar.low, bar.volume


def _deviation(moves: deque[float]) -> float:
    """A standard deviation that outliers do not move: of zero-centred moves by their median."""
    return 1.4826 * median(moves)
