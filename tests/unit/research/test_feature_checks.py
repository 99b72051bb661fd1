"""Features that cheat, each in its own way; and every built-in kernel, which may not be accused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from daemon.core.bars import ZeroVolume
from daemon.layers.features import feature
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.registry import Kernel
from daemon.layers.features.sets import FeatureSet, declare
from daemon.research.feature_checks import CHECKS, Checked, Finding, check_features
from daemon.research.series import Series
from tests.unit.research.markets import HOUR_NS, a_random_walk, without

BARS = a_random_walk(230, seed=11)
HOURLY = reference_features("1h")


def a_set_of(kernel: Kernel, **declared: Any) -> FeatureSet:
    kernels = {kernel.name: kernel}
    return FeatureSet(
        "own", "1", 8_760.0, (declare(kernel.name, kernels=kernels, **declared),), kernels
    )


def tried(features: FeatureSet, *series: Series) -> Checked:
    return check_features(
        features,
        series or (BARS,),
        zero_volume=ZeroVolume.FLAG,
        progress=lambda _done, _total, _what: None,
    )


def finding(kernel: Kernel) -> Finding:
    found = tried(a_set_of(kernel)).finding
    assert found is not None
    assert found.feature.startswith(kernel.name)
    return found


def test_whoever_uses_the_next_close_is_caught() -> None:
    @feature(lookback=1, arrays=True)
    def next_close(close: Sequence[Any]) -> Any:
        return close[0] if isinstance(close[0], float) else np.roll(close[0], -1, axis=0)

    found = finding(next_close)

    assert found.check == "future"
    assert found.what == "changes when later bars change: it sees the future"
    assert found.bar.endswith("Z")
    assert found.expected != found.found


def test_whoever_scales_by_the_mean_of_the_whole_series_is_caught() -> None:
    @feature(lookback=1, arrays=True)
    def standardised(close: Sequence[Any]) -> Any:
        return close[0] / np.mean(close[0])

    assert finding(standardised).check == "future"


def test_whoever_fills_from_the_end_is_caught() -> None:
    @feature(lookback=2, arrays=True)
    def highest_to_come(close: Sequence[Any]) -> Any:
        if isinstance(close[1], float):
            return close[1]
        return np.maximum.accumulate(close[1][::-1], axis=0)[::-1]

    assert finding(highest_to_come).check == "future"


def test_whoever_reads_the_caller_s_arrays_behind_a_window_is_caught() -> None:
    @feature(lookback=2, arrays=True)
    def behind_the_window(close: Sequence[Any]) -> Any:
        if isinstance(close[1], float):
            return close[1]
        whole = close[1].base
        return np.broadcast_to(whole[-1], close[1].shape)

    assert finding(behind_the_window).check in {"future", "parity"}


def test_whoever_looks_back_further_than_he_says_is_caught() -> None:
    @feature(lookback=2, arrays=True)
    def smoothed(close: Sequence[Any]) -> Any:
        if isinstance(close[1], float):
            return close[1]
        before = np.concatenate([close[1][:3], close[1][:-3]])
        return 0.5 * (close[1] + before)

    found = finding(smoothed)

    assert found.check == "lookback"
    assert found.what.endswith("older than its lookback of 2")


def test_a_plain_formula_that_reaches_past_its_lookback_has_no_value() -> None:
    @feature(lookback=3)
    def understated(close: list[float]) -> float:
        return close[-1] / close[-5] - 1.0

    found = finding(understated)

    assert found.check == "finite"
    assert found.said == "IndexError: list index out of range"


def test_whoever_has_no_value_when_nothing_moves_is_caught() -> None:
    @feature(lookback=lambda window: window)
    def undefined(high: list[float], low: list[float], *, window: int = 5) -> float:
        return (high[-1] - low[-1]) / (max(high) - min(low)) + window

    found = finding(undefined)

    assert found.check == "finite"
    assert found.symbol == "the golden bars"
    assert found.said == "ZeroDivisionError: float division by zero"


def test_whoever_says_none_when_nothing_is_traded_is_caught() -> None:
    @feature(lookback=1, arrays=True)
    def per_volume(close: Sequence[Any], volume: Sequence[Any]) -> Any:
        return close[0] / volume[0]

    assert finding(per_volume).check == "finite"


def test_whoever_keeps_state_between_calls_is_caught() -> None:
    known = [0.0]

    @feature(lookback=1)
    def running_mean(close: list[float]) -> float:
        known[0] += 0.1 * (close[0] - known[0])
        return known[0]

    found = finding(running_mean)

    assert found.check == "again"
    assert "keeps state" in found.what


def test_whoever_depends_on_what_was_asked_before_is_caught() -> None:
    asked: list[float] = []

    @feature(lookback=1)
    def newness(close: list[float]) -> float:
        is_new = close[0] not in asked
        asked.append(close[0])
        return float(is_new)

    assert finding(newness).check == "again"


def test_whoever_sums_in_another_order_live_than_in_training_is_caught() -> None:
    @feature(lookback=16, arrays=True)
    def summed(close: Sequence[Any]) -> Any:
        if isinstance(close[0], float):
            return float(np.sum(np.array(close) * 1.1))
        total = close[0] * 1.1
        for each in close[1:]:
            total = total + each * 1.1
        return total

    found = finding(summed)

    assert found.check == "parity"
    assert found.expected == pytest.approx(found.found)


def test_whoever_ranks_symbols_against_each_other_is_caught() -> None:
    @feature(lookback=1, arrays=True)
    def rank(close: Sequence[Any]) -> Any:
        if isinstance(close[0], float) or close[0].shape[1] == 1:
            return close[0]
        return np.argsort(np.argsort(close[0], axis=1), axis=1).astype(np.float64)

    assert finding(rank).check == "symbols"


def test_every_built_in_kernel_passes_every_check() -> None:
    other = replace(a_random_walk(230, seed=12), symbol="ETH/USDT")
    features = replace(
        HOURLY,
        features=tuple(
            declare(name, reference="ETH/USDT" if kernel.needs_reference else None)
            for name, kernel in BUILT_IN.items()
        ),
    )

    checked = tried(features, without(BARS, [115]), other)

    assert checked.finding is None
    assert all(count > 50 * len(BUILT_IN) for count in checked.compared.values())
    assert checked.compared.keys() == CHECKS.keys()


def test_longer_bars_pass_every_check() -> None:
    features = replace(HOURLY, features=(declare("atr_ratio", every_bars=3, window=5),))

    assert tried(features).finding is None


def test_windows_never_meet_a_hole() -> None:
    seen = set[int]()

    @feature(lookback=2)
    def counted(close_time_s: list[float]) -> float:
        seen.add(round(close_time_s[1] - close_time_s[0]))
        return close_time_s[1]

    assert tried(a_set_of(counted), without(BARS, [100, 101, 200])).finding is None
    assert seen == {HOUR_NS // 1_000_000_000}


def test_bars_too_few_for_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="no unbroken stretch holds the 20 bars of one row"):
        tried(HOURLY, a_random_walk(19, seed=1))


def test_a_set_without_its_reference_is_refused() -> None:
    features = replace(HOURLY, features=(declare("lead_lag", reference="ETH/USDT"),))

    with pytest.raises(ValueError, match="the set reads ETH/USDT, and there are no bars of it"):
        tried(features)


def test_what_was_found_can_be_told_as_json_even_where_it_is_no_number() -> None:
    @feature(lookback=1)
    def nothing(close: list[float]) -> float:
        return float("nan") * close[0]

    told = finding(nothing).told()

    assert told["found"] == "nan"
    assert told["check"] == "finite"
