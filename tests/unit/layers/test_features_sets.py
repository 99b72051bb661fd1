import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.errors import CheckFailed
from daemon.layers.features import arithmetic
from daemon.layers.features.arithmetic import V
from daemon.layers.features.catalog import reference_columns, reference_features
from daemon.layers.features.golden import golden_bars, golden_check, golden_rows
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.matrix import BLOCK_ROWS, feature_matrix
from daemon.layers.features.registry import FeatureRefused, Kernel, feature
from daemon.layers.features.sets import Feature, FeatureSet, declare, heard
from daemon.store.recordings import read_recording
from tests.unit.layers.walks import Array, a_walk, rough_walks

HOURLY = reference_features("1h")
CUSTOM = FeatureSet(
    name="custom",
    version="1",
    bars_per_year=365.0,
    features=reference_columns(
        rsi_period=30,
        bb_period=5,
        volatility_window=3,
        volume_window=2,
        lags=(0, 40),
    ),
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
        {"lags": (-1, 2)},
        {"rsi_period": 5_000},
    ],
)
def test_a_feature_that_cannot_be_computed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FeatureRefused):
        reference_columns(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": ()},
        {"features": reference_columns(lags=(1, 1))},
        {"bars_per_year": 0.0},
        {"bars_per_year": float("nan")},
        {"bars_per_year": float("inf")},
    ],
)
def test_a_set_that_cannot_be_computed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FeatureRefused, match="feature set reference"):
        replace(HOURLY, **wrong)


def test_the_numbers_of_the_reference_set_have_not_changed() -> None:
    """Models, journals and published figures rest on these bits."""
    rows = feature_matrix(HOURLY, a_walk(5_000, seed=7))
    minutes = feature_matrix(reference_features("1m"), a_walk(500))

    assert hashlib.sha256(rows.tobytes()).hexdigest() == (
        "0bdedd144912903f2a5bd4f61905828e50924e6b99860738d091c63c1c16d54e"
    )
    assert hashlib.sha256(minutes.tobytes()).hexdigest() == (
        "148e78e8bcc6e331b9f2cfaa3fb12f44bb5ba2966a833d200bfd5150d0af6ba4"
    )


RECORDED = Path(__file__).parents[4] / "shared" / "data" / "BTCUSDT-1h-nic.csv.gz"


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recording at {RECORDED}")
def test_the_numbers_of_the_reference_set_have_not_changed_on_real_bars() -> None:
    bars = np.array([row[1:] for row in read_recording(RECORDED)])

    assert hashlib.sha256(feature_matrix(HOURLY, bars).tobytes()).hexdigest() == (
        "ee26b4e8b47d0c55dfad4dd393f41b9ee8098e3897fdc0f3344bea73be95c6db"
    )


def test_the_fingerprint_of_the_reference_set_has_not_changed() -> None:
    """Who changes this on purpose makes every trained model unusable, and raises the version."""
    assert HOURLY.fingerprint == "6dab6d0a1c8c50cc7a9053e90f47efdd6881165099e9185f3df15e95a1860124"


def test_any_other_declaration_has_another_fingerprint() -> None:
    longer = declare("rsi", name="rsi", period=14, every_bars=2)
    others = [
        replace(HOURLY, name="other"),
        replace(HOURLY, version="2"),
        replace(HOURLY, bars_per_year=365.0),
        replace(HOURLY, features=reference_columns(rsi_period=15)),
        replace(HOURLY, features=reference_columns(lags=(0, 1))),
        replace(HOURLY, features=HOURLY.features[::-1]),
        replace(HOURLY, features=(longer, *HOURLY.features[1:])),
    ]

    fingerprints = {each.fingerprint for each in [HOURLY, *others]}

    assert len(fingerprints) == 8
    assert all(len(each) == 64 for each in fingerprints)


def test_a_set_that_went_through_json_is_the_same_set() -> None:
    features = replace(HOURLY, features=(*HOURLY.features, declare("macd", fast=3, every_bars=4)))

    back = heard(json.loads(json.dumps(features.told())))

    assert back == features
    assert back.fingerprint == features.fingerprint


def test_the_golden_bars_hold_what_is_hard_to_compute() -> None:
    rsi, width, volatility, zscore = golden_rows(HOURLY)[:, :4].T
    bars = golden_bars(90)

    assert (rsi == 50.0).any()
    assert (rsi != 50.0).any()
    assert (width == 0.0).any()
    assert (volatility == 0.0).any()
    assert (zscore == 0.0).any()
    assert bars[9, 3] > 500.0
    assert (bars[:, 1] == bars[:, 2]).sum() == 24
    assert (bars[:, 4] == 0.0).sum() >= 26


@pytest.mark.parametrize("features", [HOURLY, CUSTOM, reference_features("1m")])
def test_the_golden_check_passes_on_this_machine(features: FeatureSet) -> None:
    golden_check(features)


def a_set_of(*kernels: Kernel) -> FeatureSet:
    known = {kernel.name: kernel for kernel in kernels}
    features = tuple(declare(name, kernels=known) for name in known)
    return FeatureSet("own", "1", 8_760.0, features, known)


def test_the_golden_check_refuses_arithmetic_that_does_not_repeat() -> None:
    calls = iter(range(1_000_000))

    @feature(lookback=2)
    def counting(close: list[float]) -> float:
        return close[-1] + next(calls)

    with pytest.raises(CheckFailed, match="one window at a time gives other numbers for counting"):
        golden_check(a_set_of(counting))


def test_the_golden_check_refuses_a_feature_that_is_no_number_when_flat() -> None:
    @feature(lookback=3)
    def undefined(close: list[float]) -> float:
        return (close[2] - close[1]) / (close[1] - close[0])

    with pytest.raises(CheckFailed, match=r"undefined raises ZeroDivisionError: .* on the golden"):
        golden_check(a_set_of(undefined))


def test_a_formula_for_arrays_may_not_look_at_its_neighbours() -> None:
    @feature(lookback=1, arrays=True)
    def smoothed(close: list[Any]) -> Any:
        return close[0] - np.mean(close[0])

    with pytest.raises(CheckFailed, match="gives other numbers for smoothed"):
        golden_check(a_set_of(smoothed))


def test_a_plain_formula_has_the_bits_of_the_same_formula_for_arrays() -> None:
    @feature(lookback=lambda window: window)
    def plainly(close: list[float], *, window: int = 7) -> float:
        return arithmetic.mean(close) / window

    @feature(lookback=lambda window: window, arrays=True)
    def at_once(close: list[V], *, window: int = 7) -> V:
        return arithmetic.mean(close) / window

    rows = feature_matrix(a_set_of(plainly, at_once), a_walk(300))

    assert rows[:, 0].tobytes() == rows[:, 1].tobytes()
    assert np.isfinite(rows).all()


def test_a_kernel_on_longer_bars_is_the_kernel_on_bars_joined_beforehand() -> None:
    hourly = a_walk(240)
    quarters = hourly[4:].reshape(-1, 4, 5)
    joined = np.stack(
        [
            quarters[:, 0, 0],
            quarters[:, :, 1].max(axis=1),
            quarters[:, :, 2].min(axis=1),
            quarters[:, -1, 3],
            ((quarters[:, 0, 4] + quarters[:, 1, 4]) + quarters[:, 2, 4]) + quarters[:, 3, 4],
        ],
        axis=-1,
    )
    wide = [name for name, kernel in BUILT_IN.items() if not kernel.needs_reference]
    names = [name for name in wide if "close_time_s" not in BUILT_IN[name].reads]
    longer = replace(
        HOURLY,
        bars_per_year=8_760.0,
        features=tuple(declare(name, name=name, every_bars=4) for name in names),
    )
    plain = replace(
        HOURLY, bars_per_year=2_190.0, features=tuple(declare(name, name=name) for name in names)
    )
    few = {feature.name for feature in plain.features if plain.lookback_of(feature) <= 55}

    for name in few:
        slow = feature_matrix(plain.alone(plain.features[names.index(name)]), joined)
        fast = feature_matrix(longer.alone(longer.features[names.index(name)]), hourly)
        assert fast[::-4][::-1][-len(slow) :].tobytes() == slow.tobytes(), name
    assert len(few) > 40


def test_annualised_kernels_on_longer_bars_use_the_year_of_those_bars() -> None:
    four = replace(HOURLY, features=(declare("volatility", every_bars=4),))
    by_hand = replace(HOURLY, bars_per_year=2_190.0, features=(declare("volatility"),))
    ohlcv = a_walk(44)

    assert four.lookback == 44
    assert feature_matrix(four, ohlcv)[0, 0] == feature_matrix(by_hand, ohlcv[3::4])[0, 0]


def test_a_kernel_sees_exactly_its_own_lookback_and_not_that_of_the_set() -> None:
    seen = []

    @feature(lookback=3)
    def short(close: list[float]) -> float:
        seen.append(len(close))
        return close[0]

    @feature(lookback=30)
    def long(close: list[float]) -> float:
        return close[0]

    rows = feature_matrix(a_set_of(short, long), a_walk(33))

    assert set(seen) == {3}
    assert rows[:, 0].tolist() == a_walk(33)[27:31, 3].tolist()


def test_what_a_formula_cannot_compute_is_no_number_and_harms_nobody_else() -> None:
    @feature(lookback=2)
    def careless(close: list[float]) -> float:
        return close[2]

    @feature(lookback=2)
    def sound(close: list[float]) -> float:
        return close[1]

    rows = feature_matrix(a_set_of(careless, sound), a_walk(40))

    assert np.isnan(rows[:, 0]).all()
    assert np.isfinite(rows[:, 1]).all()


def test_a_set_that_reads_times_or_another_instrument_has_to_be_given_them() -> None:
    times = replace(HOURLY, features=(declare("hour_sin"),))
    other = replace(HOURLY, features=(declare("reference_return", reference="ETH/USDT"),))

    with pytest.raises(ValueError, match="needs the time each bar closed"):
        feature_matrix(times, a_walk(20))
    with pytest.raises(ValueError, match="needs the bars of ETH/USDT beside"):
        feature_matrix(other, a_walk(20))


def test_a_row_without_its_reference_is_no_number() -> None:
    features = replace(
        HOURLY, features=(declare("reference_return", reference="ETH/USDT"), declare("roc"))
    )
    own, other = a_walk(60), a_walk(60, seed=2)
    whole = feature_matrix(features, own, references={"ETH/USDT": other})
    other[40] = np.nan

    rows = feature_matrix(features, own, references={"ETH/USDT": other})

    over = slice(40 - features.lookback + 1, 41)
    assert np.isnan(rows[over]).all()
    assert rows[: over.start].tobytes() == whole[: over.start].tobytes()
    assert rows[over.stop :].tobytes() == whole[over.stop :].tobytes()
    assert whole[0, 0] == math.log(other[24, 3] / other[23, 3])


@pytest.mark.parametrize(
    ("kernel", "given", "told"),
    [
        ("rocc", {}, "there is no kernel 'rocc'; did you mean 'roc'?"),
        ("roc", {"windw": 3}, "roc has no parameter 'windw'; did you mean 'window'?"),
        ("roc", {"window": 0}, "roc: window = 0 should be at least 1"),
        ("roc", {"window": 2.5}, "roc: window = 2.5 should be a whole number"),
        ("roc", {"window": True}, "roc: window = True should be a number"),
        ("roc", {"window": 5_000}, "roc looks back 5001 bars; it should be 1 to 5000"),
        ("roc", {"every_bars": 0}, "roc: every_bars = 0 should be a whole number >= 1"),
        ("roc", {"window": 99, "every_bars": 51}, "roc looks back 5100 bars; at most 5000"),
        ("roc", {"reference": "ETH/USDT"}, "roc reads no other instrument: leave reference out"),
        ("lead_lag", {}, "lead_lag reads another instrument: say which"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_in_one_line(
    kernel: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(FeatureRefused) as caught:
        declare(kernel, **given)

    assert str(caught.value).startswith(told)


def test_a_feature_is_named_after_all_that_makes_it() -> None:
    named = declare("lead_lag", window=20, lag=2, reference="ETH/USDT", every_bars=4)

    assert named == Feature(
        "lead_lag_20_2_x4_eth_usdt", "lead_lag", (("window", 20), ("lag", 2)), "ETH/USDT", 4
    )
    assert declare("hour_sin").name == "hour_sin"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: feature(lookback=2)(lambda price: price), "'price' is no column"),
        (lambda: feature(lookback=2)(lambda *, window=2: window), "it reads no column"),
        (lambda: feature(lookback=lambda n: n)(lambda close, *, window=2: close[window]), "asks"),
        (lambda: feature(lookback=0)(lambda close: close), "looks back 0 bars"),
        (lambda: feature(lookback=1)(lambda returns: returns), "looks back 1 bars"),
        (lambda: feature(lookback=2)(lambda close, *, at="a": close[at]), "needs a number"),
    ],
)
def test_a_formula_that_makes_no_sense_is_refused_in_one_line(wrong: Any, told: str) -> None:
    with pytest.raises(FeatureRefused, match=re.escape(told)):
        wrong()
