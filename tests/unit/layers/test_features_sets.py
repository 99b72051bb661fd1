import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.errors import CheckFailed
from daemon.layers.features.sets import (
    BLOCK_ROWS,
    FeatureSet,
    feature_matrix,
    golden_bars,
    golden_check,
    reference_features,
)
from tests.unit.layers.walks import Array, a_walk, rough_walks

HOURLY = reference_features("1h")
CUSTOM = FeatureSet(
    name="custom",
    version="1",
    bars_per_year=365.0,
    rsi_period=30,
    bb_period=5,
    volatility_window=3,
    volume_window=2,
    lags=(0, 40),
)


@given(rough_walks())
def test_every_row_has_the_same_bits_however_it_is_asked_for(ohlcv: Array) -> None:
    span = HOURLY.lookback
    rows = feature_matrix(HOURLY, ohlcv)
    windows = np.stack([ohlcv[start : start + span] for start in range(len(rows))])

    alone = [feature_matrix(HOURLY, window) for window in windows]
    batch = feature_matrix(HOURLY, windows)

    assert np.isfinite(rows).all()
    assert np.concatenate(alone).tobytes() == rows.tobytes()
    assert batch.tobytes() == rows.tobytes()
    assert feature_matrix(CUSTOM, ohlcv).tobytes() == b"".join(
        feature_matrix(CUSTOM, ohlcv[start : start + CUSTOM.lookback]).tobytes()
        for start in range(len(ohlcv) - CUSTOM.lookback + 1)
    )


@given(rough_walks(), st.integers(0, 140), st.integers(0, 140))
def test_every_cut_of_a_series_has_the_rows_of_the_whole(
    ohlcv: Array, first: int, cut: int
) -> None:
    rows = feature_matrix(HOURLY, ohlcv)
    first, stop = min(first, len(rows)), max(0, len(ohlcv) - cut)

    part = feature_matrix(HOURLY, ohlcv[first:stop])

    assert part.tobytes() == rows[first : first + len(part)].tobytes()


@given(rough_walks())
def test_the_layout_in_memory_does_not_matter(ohlcv: Array) -> None:
    rows = feature_matrix(HOURLY, ohlcv).tobytes()
    apart = np.full((2 * len(ohlcv), 10), np.nan)
    apart[::2, 5:] = ohlcv
    backwards = ohlcv[::-1, ::-1].copy()

    assert feature_matrix(HOURLY, np.asfortranarray(ohlcv)).tobytes() == rows
    assert feature_matrix(HOURLY, apart[::2, 5:]).tobytes() == rows
    assert feature_matrix(HOURLY, backwards[::-1, ::-1]).tobytes() == rows


def test_500_symbols_at_once_have_the_rows_each_has_alone() -> None:
    symbols = np.stack([a_walk(20, seed, scale=0.5 * (seed + 1)) for seed in range(500)])

    rows = feature_matrix(HOURLY, symbols)

    assert rows.shape == (500, 1, 10)
    for i, symbol in enumerate(symbols):
        assert rows[i].tobytes() == feature_matrix(HOURLY, symbol).tobytes()


def test_a_batch_may_have_several_axes() -> None:
    bars = np.stack([a_walk(31, seed) for seed in range(6)]).reshape(2, 3, 31, 5)

    rows = feature_matrix(HOURLY, bars)

    assert rows.shape == (2, 3, 12, 10)
    assert rows[1, 2].tobytes() == feature_matrix(HOURLY, bars[1, 2]).tobytes()


def test_rows_at_the_border_of_two_blocks_are_the_same_as_alone() -> None:
    ohlcv = a_walk(2 * BLOCK_ROWS + 50)

    rows = feature_matrix(HOURLY, ohlcv)

    for start in (0, BLOCK_ROWS - 1, BLOCK_ROWS, 2 * BLOCK_ROWS - 1, 2 * BLOCK_ROWS, len(rows) - 1):
        alone = feature_matrix(HOURLY, ohlcv[start : start + 20])
        assert rows[start].tobytes() == alone[0].tobytes()


def test_the_bars_that_are_handed_in_are_not_changed() -> None:
    ohlcv = a_walk(60)
    ohlcv[30, 3] = np.nan
    before = ohlcv.tobytes()
    ohlcv.setflags(write=False)

    feature_matrix(HOURLY, ohlcv)

    assert ohlcv.tobytes() == before


@pytest.mark.parametrize("features", [HOURLY, CUSTOM])
def test_a_row_needs_exactly_its_lookback(features: FeatureSet) -> None:
    ohlcv = a_walk(features.lookback)
    changed = ohlcv.copy()
    changed[0] *= 1.01

    assert feature_matrix(features, ohlcv[1:]).shape == (0, len(features.names))
    assert feature_matrix(features, ohlcv).shape == (1, len(features.names))
    assert (feature_matrix(features, ohlcv) != feature_matrix(features, changed)).any()


def test_the_reference_set_reads_20_bars_and_names_ten_features() -> None:
    assert HOURLY.lookback == 20
    assert HOURLY.names == (
        *("rsi", "bb_width", "volatility", "vol_zscore"),
        *("lag_0", "lag_1", "lag_2", "lag_3", "lag_5", "lag_10"),
    )


def test_bars_of_another_length_are_annualised_by_their_own_calendar() -> None:
    ohlcv = a_walk(20)
    daily = feature_matrix(reference_features("1d"), ohlcv)[0]
    hourly = feature_matrix(HOURLY, ohlcv)[0]

    assert HOURLY.bars_per_year == 8_760.0
    assert hourly[2] / daily[2] == pytest.approx(24**0.5, rel=1e-12)
    assert (np.delete(hourly, 2) == np.delete(daily, 2)).all()


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 1e101])
def test_exactly_the_rows_over_a_bad_value_are_refused(column: int, bad: float) -> None:
    good = a_walk(60)
    ohlcv = good.copy()
    ohlcv[30, column] = bad

    rows = feature_matrix(HOURLY, ohlcv)

    assert np.isnan(rows[11:31]).all()
    others = [*range(11), *range(31, 41)]
    assert rows[others].tobytes() == feature_matrix(HOURLY, good)[others].tobytes()
    assert np.isnan(feature_matrix(HOURLY, ohlcv[11:31])).all()


def test_a_price_of_zero_is_refused_and_a_volume_of_zero_is_not() -> None:
    no_price, no_volume = a_walk(20), a_walk(20)
    no_price[5, 2] = 0.0
    no_volume[5, 4] = 0.0

    assert np.isnan(feature_matrix(HOURLY, no_price)).all()
    assert np.isfinite(feature_matrix(HOURLY, no_volume)).all()


def test_one_bad_symbol_spoils_no_other() -> None:
    symbols = np.stack([a_walk(25, seed) for seed in range(9)])
    good = feature_matrix(HOURLY, symbols)
    symbols[4, 10] = np.nan

    rows = feature_matrix(HOURLY, symbols)

    assert np.isnan(rows[4]).all()
    assert np.delete(rows, 4, axis=0).tobytes() == np.delete(good, 4, axis=0).tobytes()


def test_the_largest_accepted_values_give_finite_rows() -> None:
    ohlcv = a_walk(60)
    ohlcv[::2, :4] = 1e100
    ohlcv[1::2, :4] = 1e-100
    ohlcv[::3, 4] = 1e100

    assert np.isfinite(feature_matrix(HOURLY, ohlcv)).all()
    assert np.isfinite(feature_matrix(HOURLY, ohlcv[:20])).all()


def test_no_bars_and_no_symbols_give_no_rows() -> None:
    assert feature_matrix(HOURLY, np.empty((0, 5))).shape == (0, 10)
    assert feature_matrix(HOURLY, np.empty((0, 20, 5))).shape == (0, 1, 10)


@pytest.mark.parametrize(
    "ohlcv",
    [
        np.ones((30, 5), dtype=np.float32),
        np.ones((30, 5), dtype=np.int64),
        np.ones((30, 4)),
        np.ones(5),
    ],
)
def test_arrays_that_are_not_bars_are_refused(ohlcv: Array) -> None:
    with pytest.raises(ValueError, match=r"bars must be float64 \(\.\.\., n, 5\)"):
        feature_matrix(HOURLY, ohlcv)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bb_period": 1},
        {"volatility_window": 1},
        {"volume_window": 0},
        {"rsi_period": 0},
        {"lags": ()},
        {"lags": (-1, 2)},
        {"lags": (2, 1)},
        {"lags": (1, 1)},
        {"bars_per_year": 0.0},
        {"bars_per_year": float("nan")},
        {"bars_per_year": float("inf")},
    ],
)
def test_a_set_that_cannot_be_computed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="feature set reference"):
        replace(HOURLY, **wrong)


def test_the_numbers_of_the_reference_set_have_not_changed() -> None:
    """Who changes this on purpose makes every trained model unusable, and raises the version."""
    assert HOURLY.fingerprint == "b4ba2ea907f3d9a709bf803d11d2e424491ab3d02cbbfbe1d865ad1b506b9051"


def test_any_other_declaration_has_another_fingerprint() -> None:
    others = [
        replace(HOURLY, name="other"),
        replace(HOURLY, version="2"),
        replace(HOURLY, bars_per_year=365.0),
        replace(HOURLY, rsi_period=15),
        replace(HOURLY, lags=(0, 1)),
    ]

    fingerprints = {each.fingerprint for each in [HOURLY, *others]}

    assert len(fingerprints) == 6
    assert all(len(each) == 64 for each in fingerprints)


def test_a_set_that_went_through_json_is_the_same_set() -> None:
    told = json.loads(json.dumps(asdict(HOURLY) | {"bars_per_year": 8_760}))

    heard = msgspec.convert(told, FeatureSet)

    assert heard == HOURLY
    assert heard.fingerprint == HOURLY.fingerprint


def test_the_golden_bars_hold_what_is_hard_to_compute() -> None:
    rows = feature_matrix(HOURLY, golden_bars(HOURLY))
    rsi, width, volatility, zscore = rows[:, :4].T

    assert (rsi == 50.0).any()
    assert (rsi != 50.0).any()
    assert (width == 0.0).any()
    assert (volatility == 0.0).any()
    assert (zscore == 0.0).any()
    assert golden_bars(HOURLY)[9, 3] > 500.0


@pytest.mark.parametrize("features", [HOURLY, CUSTOM, reference_features("1m")])
def test_the_golden_check_passes_on_this_machine(features: FeatureSet) -> None:
    golden_check(features)


class _Drifting(FeatureSet):
    """A set whose year gets longer each time somebody looks."""

    _years: Iterator[int] = iter(range(1, 1_000_000))

    def __getattribute__(self, name: str) -> object:
        return (
            float(next(_Drifting._years))
            if name == "bars_per_year"
            else super().__getattribute__(name)
        )


def test_the_golden_check_refuses_arithmetic_that_does_not_repeat() -> None:
    features = _Drifting(name="drifting", version="1", bars_per_year=1.0)

    with pytest.raises(CheckFailed, match="feature set drifting: one window at a time gives other"):
        golden_check(features)
