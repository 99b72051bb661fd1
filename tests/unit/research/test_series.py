from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.research.series import VOLUME, Series, content_sha256, unbroken
from tests.unit.research.markets import HOUR_NS, a_random_walk, a_series, without


def test_a_missing_bar_ends_a_run_and_the_next_bar_starts_another() -> None:
    series = without(a_random_walk(10, seed=1), [4])

    assert unbroken(series) == (slice(0, 4), slice(4, 9))


def test_a_bar_without_volume_breaks_a_run_like_a_hole_and_belongs_to_none() -> None:
    volumes = np.full(10, 5.0)
    volumes[[0, 6, 7]] = 0.0
    series = a_series(np.linspace(100.0, 110.0, 10), volumes)

    assert unbroken(series) == (slice(1, 6), slice(8, 10))


def test_bars_without_volume_can_be_kept() -> None:
    series = a_series(np.linspace(100.0, 110.0, 10), np.zeros(10))

    assert unbroken(series, accepts_zero_volume=True) == (slice(0, 10),)
    assert unbroken(series) == ()


@given(st.lists(st.sampled_from(["bar", "quiet", "hole"]), max_size=60))
def test_runs_are_exactly_the_longest_stretches_of_adjacent_bars_with_volume(
    slots: list[str],
) -> None:
    present = [i for i, slot in enumerate(slots) if slot != "hole"]
    volumes = np.array([0.0 if slots[i] == "quiet" else 1.0 for i in present])
    full = a_series(np.full(len(slots) + 1, 100.0))
    series = Series("A/Q", full.open_ns[present], full.ohlcv[present].copy(), HOUR_NS)
    series.ohlcv[:, VOLUME] = volumes

    words = "".join({"bar": "b", "quiet": " ", "hole": " "}[slot] for slot in slots).split()
    runs = unbroken(series)
    assert [run.stop - run.start for run in runs] == [len(word) for word in words]
    for run in runs:
        assert (np.diff(series.open_ns[run]) == HOUR_NS).all()
        assert (series.ohlcv[run, VOLUME] > 0).all()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: Series("A", s.open_ns[::-1].copy(), s.ohlcv, HOUR_NS), "forward"),
        (lambda s: Series("A", s.open_ns + np.arange(len(s.open_ns)), s.ohlcv, HOUR_NS), "grid"),
        (lambda s: Series("A", s.open_ns, s.ohlcv * np.nan, HOUR_NS), "finite"),
        (lambda s: Series("A", s.open_ns, s.ohlcv * -1.0, HOUR_NS), "positive"),
        (lambda s: Series("A", s.open_ns, s.ohlcv[:, :4], HOUR_NS), "shape"),
        (lambda s: Series("A", s.open_ns.astype(np.float64), s.ohlcv, HOUR_NS), "int64"),
        (lambda s: Series("A", s.open_ns, s.ohlcv, 0), "timeframe"),
    ],
)
def test_arrays_that_are_not_a_bar_series_are_refused(
    change: Callable[[Series], Series], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        change(a_random_walk(5, seed=1))


def test_the_content_hash_sees_every_bit_of_every_bar() -> None:
    series = a_random_walk(50, seed=1)
    nudged = series.ohlcv.copy()
    nudged[17, 3] = np.nextafter(nudged[17, 3], np.inf)

    changed = Series(series.symbol, series.open_ns, nudged, HOUR_NS)
    assert content_sha256(series) == content_sha256(a_random_walk(50, seed=1))
    assert content_sha256(series) != content_sha256(changed)
    assert content_sha256(series) != content_sha256(without(series, [49]))


def test_only_closed_bars_are_known() -> None:
    series = a_random_walk(10, seed=1)

    assert len(series.closed_by(int(series.close_ns[6])).open_ns) == 7
    assert len(series.closed_by(int(series.close_ns[6]) - 1).open_ns) == 6
