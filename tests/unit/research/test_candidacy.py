"""Candidates where the past misleads: which bars make them, and which bars judge them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from daemon.layers.features.catalog import reference_features
from daemon.research.candidacy import HeldOut, best_window
from daemon.research.datasets import labelled_rows
from daemon.research.series import CLOSE, VOLUME, Series
from daemon.research.training import Trained, TrainingRefused, TrainingSettings, train
from daemon.research.walkforward import walk
from tests.unit.research.markets import HOUR_NS, a_market_with_edge, a_random_walk, a_series

FEATURES = reference_features("1h")
SMALL = TrainingSettings(n_estimators=12, folds=3, processors=1)
CHEAP = replace(SMALL, fee_bps=1.0, slippage_bps=0.0, cost_margin_bps=0.0)
HELD_OUT = HeldOut(bars=360, folds=6)


def made(series: Sequence[Series], settings: TrainingSettings) -> Trained:
    return train(
        series,
        FEATURES,
        settings,
        seed=1,
        market="synthetic",
        timeframe="1h",
        progress=lambda *_: None,
    )


def sought(
    series: Sequence[Series], *windows_bars: int, settings: TrainingSettings = SMALL
) -> Trained:
    lookback = FEATURES.lookback
    return best_window(series, settings, windows_bars, HELD_OUT, lookback_bars=lookback, make=made)


def joined(*parts: Series) -> Series:
    """One market after the other, each going on from the last close."""
    ratios = [part.ohlcv[1:, CLOSE] / part.ohlcv[:-1, CLOSE] for part in parts]
    closes = 100.0 * np.cumprod(np.concatenate([[1.0], *ratios]))
    volumes = np.concatenate([parts[0].ohlcv[:1, VOLUME], *(p.ohlcv[1:, VOLUME] for p in parts)])
    return a_series(closes, volumes)


def turned_round(bars: int, seed: int) -> Series:
    """The planted edge with the opposite sign."""
    return a_market_with_edge(bars, seed, strength=-0.9)


def test_an_edge_that_has_died_is_vouched_for_by_its_past_but_not_by_the_newest_bars() -> None:
    market = joined(a_market_with_edge(2_500, 1), a_random_walk(500, 2))

    as_usual = made([market], SMALL).manifest
    as_candidate = sought([market], 1_440, 480).manifest

    assert as_usual.edge_shown
    assert not as_candidate.edge_shown
    assert as_candidate.verdict.startswith("No edge shown")


def test_an_edge_of_the_opposite_sign_is_found_by_the_window_that_forgets_the_old_one() -> None:
    market = joined(a_market_with_edge(2_000, 1), turned_round(1_000, 3))

    manifest = sought([market], 2_400, 600, settings=CHEAP).manifest

    assert manifest.settings["window_bars"] == 600
    assert manifest.edge_shown, manifest.verdict
    assert "It is the best of 2 on these bars" in manifest.verdict


def test_all_windows_are_judged_on_the_same_bars_and_made_of_none_of_them() -> None:
    market = a_market_with_edge(2_000, 1)
    dataset = labelled_rows([market], FEATURES, horizon_bars=1)
    tested = []

    for window_bars in (1_000, 300):
        own = replace(SMALL, folds=6, held_out_bars=360, window_bars=window_bars)
        walked = walk(dataset, own, seed=1, progress=lambda *_: None)
        tested.append(dataset.decided_ns[walked.tested].tolist())
        for fold in walked.folds:
            assert fold.trained_through_ns < fold.test_start_ns
            assert fold.train_rows <= window_bars

    assert tested[0] == tested[1]
    assert len(tested[0]) == 360
    assert tested[0][-1] == dataset.decided_ns[-1]


def test_what_is_usual_is_that_of_the_window_and_not_of_the_bars_before_it() -> None:
    calm, wild = a_random_walk(1_500, 1), a_random_walk(800, 2)
    wild = a_series(100.0 * np.exp(5.0 * np.log(wild.ohlcv[:, CLOSE] / 100.0)))
    market = joined(calm, wild)

    manifest = sought([market], 240).manifest

    name = next(each for each in manifest.feature_set.names if each.startswith("volatility"))
    usual = made([calm], SMALL).manifest.reference[name]
    assert manifest.reference[name].edges[0] > usual.edges[-1]
    assert manifest.train_rows == 240


def test_a_window_is_no_longer_than_the_history() -> None:
    manifest = sought([a_market_with_edge(1_200, 1)], 5_000, 4_000, 300).manifest

    assert manifest.settings["compared"] == 2  # the two long ones are the same
    assert manifest.net_return.trials == 2


def test_the_tests_of_several_windows_are_stricter_than_of_one() -> None:
    settings = replace(SMALL, compared=4)

    assert SMALL.level == 0.95
    assert settings.level == pytest.approx(0.9875)


def test_too_short_a_history_is_refused_with_what_is_there() -> None:
    with pytest.raises(TrainingRefused, match="longer history"):
        sought([a_random_walk(300, 1)], 480)


def test_windows_and_held_out_bars_come_together() -> None:
    with pytest.raises(ValueError, match="come together"):
        TrainingSettings(held_out_bars=100)
    with pytest.raises(ValueError, match="come together"):
        TrainingSettings(window_bars=100)


def test_holes_move_no_border_of_time() -> None:
    market = a_market_with_edge(2_000, 1)
    kept = np.setdiff1d(np.arange(2_000), np.arange(1_700, 1_760))
    holed = Series("A/Q", market.open_ns[kept], market.ohlcv[kept], HOUR_NS)

    manifest = sought([holed], 480).manifest

    first_ns = market.close_ns[-1] - 360 * HOUR_NS
    assert manifest.folds[0].test_start_ns >= first_ns - HOUR_NS
