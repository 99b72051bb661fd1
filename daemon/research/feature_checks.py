"""Proves of a feature set, on real bars, that live and research see the same and nobody the future.

Belongs here: what is tried on every feature, and the first thing that goes wrong. Bars come from
the caller; the few that are checked at every start are in layer 2's `golden`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from daemon.core.bars import ZeroVolume
from daemon.core.timeframes import NS_PER_S, rfc3339
from daemon.layers.features.golden import EXTRA_BARS, FIRST_CLOSE_S, HOUR_S, golden_bars
from daemon.layers.features.matrix import (
    SCALAR_ROWS_MAX,
    close_times_s,
    feature_matrix,
    unguarded_value,
)
from daemon.layers.features.sets import Feature, FeatureSet
from daemon.research.datasets import beside
from daemon.research.series import FloatArray, IntArray, Series, unbroken

Progress = Callable[[int, int, str], None]

# Checks around one place look at so many bars before its window and behind it.
MARGIN_BARS = 48
# Of one feature, over all stretches; each stretch has its share, and never none.
PLACES = 120
WINDOWS_ALONE = 4_000
WINDOWS_AT_ONCE = 12_000
LEAST_WINDOWS = 64
# Odd factors: nothing that depends on a changed bar stays as it was, whichever way it leans.
CHANGES = ((1.37, 7.0), (0.61, 0.25))


@dataclass(frozen=True, eq=False)
class Stretch:
    """Bars without a hole, their closes, and the references beside them."""

    symbol: str
    ohlcv: FloatArray
    close_time_s: FloatArray
    references: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.ohlcv)

    def cut(self, first: int, stop: int) -> "Stretch":
        return Stretch(
            self.symbol,
            self.ohlcv[first:stop],
            self.close_time_s[first:stop],
            {symbol: part[first:stop] for symbol, part in self.references.items()},
        )

    def changed(self, first: int, stop: int, how: tuple[float, float]) -> "Stretch":
        """The same stretch with other prices and volumes in bars `first` to `stop`."""
        return Stretch(
            self.symbol,
            _changed(self.ohlcv, first, stop, how),
            self.close_time_s,
            {name: _changed(part, first, stop, how) for name, part in self.references.items()},
        )

    def rows(self, features: FeatureSet) -> FloatArray:
        return feature_matrix(features, self.ohlcv, self.close_time_s, self.references)

    def when(self, bar: int) -> str:
        return rfc3339(int(self.close_time_s[bar]) * NS_PER_S)


@dataclass(frozen=True)
class Finding:
    """The first thing that is wrong: of which feature, at which bar (its close), with both values.

    `expected` is what the feature says of the bar in the whole series.
    """

    check: str
    what: str
    feature: str
    symbol: str
    bar: str
    expected: float
    found: float
    said: str = ""

    def told(self) -> dict[str, object]:
        """As JSON, in which a number that is none has to be text."""
        values: dict[str, object] = {
            name: value if math.isfinite(value) else repr(value)
            for name, value in (("expected", self.expected), ("found", self.found))
        }
        if self.check == "finite":
            del values["expected"]
        told = {
            "check": self.check,
            "what": self.what,
            "feature": self.feature,
            "symbol": self.symbol,
            "bar": self.bar,
            **values,
        }
        return {**told, "said": self.said} if self.said else told


@dataclass
class Checked:
    """What was compared, per check, until the first finding."""

    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    finding: Finding | None = None


def check_features(
    features: FeatureSet,
    series: Sequence[Series],
    *,
    zero_volume: ZeroVolume,
    progress: Progress,
) -> Checked:
    """Try every check on every feature, alone; stops at the first finding.

    `series` have to hold the set's references. Raises ValueError where no stretch of them is long
    enough for one row of the set.
    """
    found = list(stretches(features, series, zero_volume))
    if not any(len(each) >= features.lookback for each in found):
        raise ValueError(f"no unbroken stretch holds the {features.lookback} bars of one row")
    found += _made_up(features)
    checked = Checked()
    total = len(features.features) * len(CHECKS)
    for number, feature in enumerate(features.features):
        alone = features.alone(feature)
        usable = [each for each in found if len(each) >= alone.lookback]
        bars = sum(map(len, usable))
        subjects = [_Subject(alone, feature, each, len(each) / bars) for each in usable]
        for place, (name, check) in enumerate(CHECKS.items()):
            progress(number * len(CHECKS) + place, total, f"{feature.name}: {name}")
            for subject in subjects:
                for one in check(subject):
                    if isinstance(one, Finding):
                        checked.finding = one
                        return checked
                    checked.compared[name] += one
    progress(total, total, "")
    return checked


def stretches(
    features: FeatureSet, series: Sequence[Series], zero_volume: ZeroVolume
) -> Iterator[Stretch]:
    """The parts of the series in which no window of the set meets a hole, its references' neither.

    Raises ValueError where a reference is not among the series.
    """
    by_symbol = {one.symbol: one for one in series}
    for symbol in features.references:
        if symbol not in by_symbol:
            raise ValueError(f"the set reads {symbol}, and there are no bars of it")
    for one in series:
        others = {
            symbol: beside(one, by_symbol[symbol], zero_volume) for symbol in features.references
        }
        whole = Stretch(one.symbol, one.ohlcv, close_times_s(one.close_ns), others)
        known = np.ones(len(one.open_ns), dtype=np.bool_)
        for other in others.values():
            known &= np.isfinite(other).all(axis=1)
        for run in unbroken(one, accepts_zero_volume=zero_volume is not ZeroVolume.REJECT):
            for first, stop in _runs_of(known[run]):
                yield whole.cut(run.start + first, run.start + stop)


# --- the checks: each yields how much it compared, or what it found -------------------------------


@dataclass(frozen=True, eq=False)
class _Subject:
    features: FeatureSet
    feature: Feature
    stretch: Stretch
    share: float  # of all bars that are checked

    @property
    def lookback(self) -> int:
        return self.features.lookback

    @cached_property
    def whole(self) -> FloatArray:
        """What the feature says of the whole stretch at once."""
        return self.stretch.rows(self.features)

    def compare(
        self, check: str, what: str, stretch: Stretch, expected: FloatArray, found: FloatArray
    ) -> "Finding | int":
        """Rows (m, 1), of which row i ends with bar i + lookback - 1 of the stretch."""
        different = np.flatnonzero(expected.view(np.uint64) != found.view(np.uint64))
        if len(different) == 0:
            return len(expected)
        row = int(different[0])
        return Finding(
            check=check,
            what=what,
            feature=self.feature.name,
            symbol=stretch.symbol,
            bar=stretch.when(row + self.lookback - 1),
            expected=float(expected[row, 0]),
            found=float(found[row, 0]),
        )

    def places(self) -> Iterator[tuple[Stretch, int]]:
        """Short pieces all over the stretch, each with a bar inside that has rows on both sides."""
        length = min(len(self.stretch), self.lookback + 2 * MARGIN_BARS)
        if length < self.lookback + 2:
            return
        count = min(max(1, round(PLACES * self.share)), max(1, len(self.stretch) // length))
        for first in np.linspace(0, len(self.stretch) - length, count).astype(np.int64).tolist():
            yield self.stretch.cut(first, first + length), (length + self.lookback) // 2


Check = Callable[[_Subject], Iterator["Finding | int"]]


def _asked_again(subject: _Subject) -> Iterator[Finding | int]:
    stretch = subject.stretch.cut(0, subject.lookback + 2 * MARGIN_BARS)
    first = stretch.rows(subject.features)
    stretch.cut(len(stretch) // 2, len(stretch)).rows(subject.features)
    what = "says something else when it is asked again: it keeps state, or draws at random"
    yield subject.compare("again", what, stretch, first, stretch.rows(subject.features))


def _later_bars(subject: _Subject) -> Iterator[Finding | int]:
    what = "changes when later bars change: it sees the future"
    for stretch, bar in subject.places():
        rows = stretch.rows(subject.features)
        settled = bar - subject.lookback + 1
        for how in CHANGES:
            changed = stretch.changed(bar, len(stretch), how).rows(subject.features)
            yield subject.compare("future", what, stretch, rows[:settled], changed[:settled])


def _prefixes(subject: _Subject) -> Iterator[Finding | int]:
    what = "changes when later bars are taken away: it sees the future"
    whole, length = subject.whole, len(subject.stretch)
    for stop in sorted({length - 1, length // 2, length // 3, length // 7}):
        if stop >= subject.lookback:
            rows = subject.stretch.cut(0, stop).rows(subject.features)
            yield subject.compare("prefix", what, subject.stretch, whole[: len(rows)], rows)
    for stretch, bar in subject.places():
        rows = stretch.rows(subject.features)
        part = stretch.cut(0, bar).rows(subject.features)
        yield subject.compare("prefix", what, stretch, rows[: len(part)], part)


def _older_bars(subject: _Subject) -> Iterator[Finding | int]:
    what = f"changes when bars change that are older than its lookback of {subject.lookback}"
    for stretch, bar in subject.places():
        rows = stretch.rows(subject.features)
        first = bar - subject.lookback + 1
        for how in CHANGES:
            changed = stretch.changed(0, first, how).rows(subject.features)
            part = stretch.cut(first, len(stretch))
            yield subject.compare("lookback", what, part, rows[first:], changed[first:])


def _one_by_one(subject: _Subject) -> Iterator[Finding | int]:
    """Few windows at a time, which are computed as live ones are."""
    what = "differs between few windows, as live, and many at once, as in training"
    rows = _evenly(subject, WINDOWS_ALONE)
    for first in range(0, len(rows), SCALAR_ROWS_MAX):
        yield from _beside_each_other("parity", what, subject, rows[first:][:SCALAR_ROWS_MAX])


def _other_symbols(subject: _Subject) -> Iterator[Finding | int]:
    """All windows as symbols of one cross-section, in mixed order, beside others than before."""
    what = "differs with what stands beside it: it looks at other symbols or at its order"
    rows = _evenly(subject, WINDOWS_AT_ONCE)
    mixed = rows[np.argsort((rows * 7_919) % 104_729, kind="stable")]
    yield from _beside_each_other("symbols", what, subject, mixed)


def _evenly(subject: _Subject, most: int) -> IntArray:
    count = len(subject.whole)
    wanted = max(LEAST_WINDOWS, round(most * subject.share))
    return np.linspace(0, count - 1, min(count, wanted)).astype(np.int64)


def _beside_each_other(
    check: str, what: str, subject: _Subject, rows: IntArray
) -> Iterator[Finding | int]:
    values, whole = _cross_section(subject, rows)[:, 0], subject.whole
    if values.tobytes() == whole[rows].tobytes():
        yield len(rows)
        return
    for row, value in zip(rows.tolist(), values, strict=True):
        window = subject.stretch.cut(row, row + subject.lookback)
        yield subject.compare(check, what, window, whole[row : row + 1], value[None])


def _cross_section(subject: _Subject, rows: IntArray) -> FloatArray:
    span, stretch = subject.lookback, subject.stretch
    bars = rows[:, None] + np.arange(span)
    return feature_matrix(
        subject.features,
        stretch.ohlcv[bars],
        stretch.close_time_s[bars],
        {symbol: part[bars] for symbol, part in stretch.references.items()},
    )


def _is_a_number(subject: _Subject) -> Iterator[Finding | int]:
    rows = subject.whole
    bad = np.flatnonzero(~np.isfinite(rows[:, 0]))
    if len(bad) == 0:
        yield len(rows)
        return
    row = int(bad[0])
    window = subject.stretch.cut(row, row + subject.lookback)
    yield Finding(
        check="finite",
        what="is no finite number on sound bars, so nothing could be decided there",
        feature=subject.feature.name,
        symbol=subject.stretch.symbol,
        bar=window.when(subject.lookback - 1),
        expected=math.nan,
        found=float(rows[row, 0]),
        said=_why(subject.features, window),
    )


CHECKS: Mapping[str, Check] = {
    "again": _asked_again,
    "future": _later_bars,
    "prefix": _prefixes,
    "lookback": _older_bars,
    "finite": _is_a_number,
    "parity": _one_by_one,
    "symbols": _other_symbols,
}


# --- parts ----------------------------------------------------------------------------------------


def _why(features: FeatureSet, window: Stretch) -> str:
    """What a formula raises on the window, if it raises."""
    try:
        unguarded_value(features, window.ohlcv, window.close_time_s, window.references)
    except Exception as error:  # noqa: BLE001  # the formula is somebody else's
        return f"{type(error).__name__}: {error}"
    return ""


def _made_up(features: FeatureSet) -> list[Stretch]:
    """Bars that recordings seldom hold: a flat stretch, no volume, a spike; and nothing at all."""
    count = features.lookback + EXTRA_BARS
    times = FIRST_CLOSE_S + HOUR_S * np.arange(count, dtype=np.float64)
    still = np.tile(np.array([64.1, 64.1, 64.1, 64.1, 0.0]), (count, 1))
    return [
        Stretch(
            "the golden bars",
            golden_bars(count),
            times,
            {symbol: golden_bars(count, n) for n, symbol in enumerate(features.references, 1)},
        ),
        Stretch(
            "a market that stands still",
            still,
            times,
            dict.fromkeys(features.references, still),
        ),
    ]


def _changed(ohlcv: FloatArray, first: int, stop: int, how: tuple[float, float]) -> FloatArray:
    out = ohlcv.copy()
    price, volume = how
    steps = 1.0 + 0.01 * (np.arange(stop - first) % 5)
    out[first:stop, :4] *= (price * steps)[:, None]
    out[first:stop, 4] = out[first:stop, 4] * volume + 1.0
    return out


def _runs_of(known: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
