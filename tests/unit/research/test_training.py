import csv
import gzip
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from daemon.core.labels import rule_of
from daemon.core.manifests import encode_manifest
from daemon.layers.features.catalog import reference_features
from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.model import ActiveModel, Calibration
from daemon.layers.monitoring.drift import psi
from daemon.research.datasets import Dataset, labelled_rows
from daemon.research.series import Series
from daemon.research.training import Trained, TrainingRefused, TrainingSettings, train, walk_forward
from daemon.research.walkforward import probability_up, walk, walk_and_fit
from daemon.store.models import ModelRegistry
from tests.unit.research.markets import (
    HOUR_NS,
    a_market_with_edge,
    a_random_walk,
    a_series,
    without,
)

FEATURES = reference_features("1h")
SMALL = TrainingSettings(n_estimators=30, folds=4)
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "BTCUSDT-1h-bumpycroc.csv.gz"


def trained(series: list[Series], settings: TrainingSettings = SMALL, seed: int = 1) -> Trained:
    return train(
        series,
        FEATURES,
        settings,
        seed=seed,
        market="synthetic",
        timeframe="1h",
        progress=lambda *_: None,
        created_ns=7,
        code_version="0.1.0",
    )


@cache
def trained_on_edge() -> Trained:
    return trained([a_market_with_edge(3_000, 1), a_market_with_edge(3_000, 2, symbol="B/Q")])


def with_shuffled_outcomes(dataset: Dataset, seed: int) -> Dataset:
    return replace(dataset, up=np.random.default_rng(seed).permutation(dataset.up))


def test_a_planted_edge_is_found() -> None:
    manifest = trained_on_edge().manifest

    assert manifest.edge_shown, manifest.verdict
    assert manifest.out_of_sample.auc_low > 0.6
    assert manifest.out_of_sample.baseline_auc == pytest.approx(0.5, abs=0.03)
    assert manifest.net_return.per_bar_low > 0.0
    assert all(fold.auc is not None and fold.auc > 0.55 for fold in manifest.folds)


def test_where_there_is_no_edge_none_is_claimed() -> None:
    for seed in range(3):
        walks = [a_random_walk(2_000, seed), a_random_walk(2_000, seed + 100, symbol="B/Q")]
        manifest = trained(walks).manifest

        assert not manifest.edge_shown
        assert manifest.verdict.startswith("No edge shown")
        assert manifest.out_of_sample.auc_low <= 0.5 <= manifest.out_of_sample.auc_high


def test_an_edge_that_does_not_pay_its_costs_is_not_claimed() -> None:
    settings = replace(SMALL, fee_bps=400.0)
    manifest = trained([a_market_with_edge(2_000, 1)], settings).manifest

    assert manifest.out_of_sample.auc_low > 0.55
    assert not manifest.edge_shown
    assert "it does not pay" in manifest.verdict


def test_shuffled_outcomes_cannot_be_foretold() -> None:
    dataset = labelled_rows([a_market_with_edge(3_000, 1)], FEATURES, horizon_bars=1)

    for seed in range(3):
        shuffled = with_shuffled_outcomes(dataset, seed)
        skill = walk(shuffled, SMALL, seed=1, progress=lambda *_: None).skill()
        assert skill.auc is not None
        assert skill.low - 0.01 <= 0.5 <= skill.high + 0.01
        assert skill.auc == pytest.approx(0.5, abs=0.04)


def test_no_label_of_a_training_ends_after_the_last_bar_it_was_given() -> None:
    series = without(a_random_walk(1_200, seed=1), [300, 301, 302])

    for cut in (500, 799, 1_100):
        until_ns = int(series.close_ns[cut])
        for horizon in (1, 4):
            settings = TrainingSettings(n_estimators=2, folds=3, horizon_bars=horizon)
            manifest = trained([series.closed_by(until_ns)], settings).manifest
            assert until_ns - 2 * HOUR_NS <= manifest.trained_through_ns <= until_ns
            assert manifest.data[0].last_open_ns + HOUR_NS == until_ns


def test_bars_that_come_later_change_no_byte_of_an_earlier_training() -> None:
    series = a_random_walk(900, seed=1)
    until_ns = int(series.close_ns[599])
    shaken = series.ohlcv.copy()
    shaken[600:] *= 3.0
    settings = TrainingSettings(n_estimators=5, folds=3)

    a = trained([series.closed_by(until_ns)], settings)
    b = trained([Series("A/Q", series.open_ns, shaken, HOUR_NS).closed_by(until_ns)], settings)

    assert encode_manifest(a.manifest) == encode_manifest(b.manifest)


def test_every_fold_learnt_only_from_labels_that_had_ended_before_it() -> None:
    for fold in trained_on_edge().manifest.folds:
        assert fold.trained_through_ns <= fold.test_start_ns - HOUR_NS
        assert fold.test_start_ns < fold.test_end_ns


def test_the_same_training_gives_the_same_bytes_on_any_number_of_processors() -> None:
    series = [a_random_walk(900, 1), a_random_walk(900, 2, symbol="B/Q")]
    settings = TrainingSettings(n_estimators=10, folds=3)

    alone = trained(series, replace(settings, processors=1))
    beside = trained(series[::-1], replace(settings, processors=3))

    assert encode_manifest(alone.manifest) == encode_manifest(beside.manifest)
    assert alone.archive == beside.archive
    assert alone.walked.raw.tobytes() == beside.walked.raw.tobytes()
    for name, array in alone.arrays.items():
        assert array.tobytes() == beside.arrays[name].tobytes()


IN_ANOTHER_PROCESS = """
import hashlib, sys
from tests.unit.research.test_training import *
made = trained([a_random_walk(900, 1)], TrainingSettings(n_estimators=5, folds=3))
print(hashlib.sha256(encode_manifest(made.manifest) + made.archive).hexdigest())
"""


def test_a_training_gives_the_same_bytes_in_any_process_and_for_any_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert len(told[0]) > 60
    assert told[0] == told[1]


def test_another_seed_gives_another_model() -> None:
    series = [a_random_walk(900, 1)]
    settings = TrainingSettings(n_estimators=5, folds=3)

    first, second = trained(series, settings, seed=1), trained(series, settings, seed=2)

    assert first.manifest.model_id != second.manifest.model_id


def test_progress_counts_trees_up_to_the_last_one() -> None:
    told: list[tuple[int, int, str]] = []
    train(
        [a_random_walk(900, 1)],
        FEATURES,
        TrainingSettings(n_estimators=30, folds=2),
        seed=1,
        market="synthetic",
        timeframe="1h",
        progress=lambda *told_now: told.append(told_now),
    )

    counts = [done for done, _, _ in told]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 150)
    assert {total for _, total, _ in told} == {150}
    assert len(counts) == 11


def test_a_forest_grown_in_steps_is_the_forest_grown_at_once() -> None:
    dataset = labelled_rows([a_random_walk(900, 1)], FEATURES, horizon_bars=1)
    settings = TrainingSettings(n_estimators=60, folds=2)

    walked, forest = walk_and_fit(dataset, settings, seed=5, progress=lambda *_: None)

    at_once = RandomForestClassifier(
        60, max_depth=6, min_samples_leaf=20, max_samples=0.5, random_state=5, n_jobs=1
    )
    at_once.fit(dataset.features, dataset.up)
    expected = at_once.predict_proba(dataset.features)[:, 1]
    assert probability_up(forest, dataset.features).tobytes() == expected.tobytes()
    assert len(walked.raw) == len(walked.tested)


def test_a_registered_model_loads_and_repeats_its_probes_bit_for_bit(tmp_path: Path) -> None:
    made = trained_on_edge()
    registry = ModelRegistry(tmp_path)
    model_id = registry.register(made.manifest, made.arrays, made.archive).model_id

    manifest, arrays = registry.load(model_id, feature_fingerprint=FEATURES.fingerprint)

    table = manifest.calibration
    model = ActiveModel(
        model_id=model_id,
        feature_fingerprint=manifest.feature_set.fingerprint,
        feature_names=manifest.feature_set.names,
        predictor=CompiledForest.from_arrays(arrays),
        calibration=Calibration(table.knots, table.probabilities, table.standard_errors),
    )
    assert len(manifest.probes.rows) == 32
    model.check_probe(manifest.probes.rows, manifest.probes.probabilities)


def test_the_manifest_tells_what_the_model_was_made_of() -> None:
    made = trained_on_edge()
    manifest = made.manifest

    assert manifest.model_id.startswith("rf-2024")
    assert manifest.symbols == ("A/Q", "B/Q")
    assert sum(one.rows for one in manifest.data) == manifest.train_rows
    assert sum(fold.n for fold in manifest.folds) == manifest.out_of_sample.n
    assert manifest.feature_set.names == FEATURES.names
    assert manifest.settings["n_estimators"] == 30
    assert "processors" not in manifest.settings
    assert (manifest.created_ns, manifest.code_version) == (7, "0.1.0")
    assert set(manifest.libraries) == {"python", "numpy", "scikit-learn", "joblib"}


def test_calibration_betters_the_raw_probability_where_there_is_an_edge() -> None:
    scored = trained_on_edge().manifest.out_of_sample

    assert scored.brier < scored.brier_uncalibrated < scored.brier_base_rate


def test_the_reference_histograms_know_training_s_own_features_as_unchanged() -> None:
    made = trained_on_edge()

    for column, name in enumerate(FEATURES.names):
        histogram = made.manifest.reference[name]
        change = psi(histogram, made.walked.dataset.features[:, column])
        assert change == pytest.approx(0.0, abs=1e-9)
        assert histogram.placebo.rows
        assert set(histogram.symbols) == {"A/Q", "B/Q"}
    assert made.manifest.reference_probability.n == made.manifest.out_of_sample.n


def test_data_that_cannot_carry_a_model_is_refused_with_a_reason() -> None:
    rising = a_series(100.0 * 1.001 ** np.arange(400.0))

    with pytest.raises(TrainingRefused, match="one outcome only"):
        trained([rising])
    with pytest.raises(TrainingRefused, match="too few to learn from"):
        trained([a_random_walk(24, seed=1)])
    first_shaky = np.concatenate([a_random_walk(200, 1).ohlcv[:, 3], np.arange(200.0, 1200.0)])
    with pytest.raises(TrainingRefused, match="nothing can be judged"):
        trained([a_series(first_shaky)], replace(SMALL, n_estimators=2))


def test_settings_that_make_no_sense_are_refused() -> None:
    for change in (
        {"folds": 1},
        {"n_estimators": 0},
        {"sample_ratio": 0.0},
        {"fee_bps": -1.0},
        {"confidence_min_ratio": 1.0},
    ):
        with pytest.raises(ValueError, match=r"must be|never negative"):
            msgspec.convert(change, TrainingSettings)


def test_hourly_bitcoin_gives_the_skill_it_is_known_for() -> None:
    if not RECORDED.exists():
        pytest.skip(f"no recording at {RECORDED.name}: it is not part of this repository")
    with gzip.open(RECORDED, "rt") as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    open_ns = rows[:, 0].astype(np.int64) * 1_000_000
    series = Series("BTC/USDT", open_ns, np.ascontiguousarray(rows[:, 1:6]), HOUR_NS)
    settings = TrainingSettings(n_estimators=100, folds=6)

    walked = walk_forward([series], FEATURES, settings, seed=1, progress=lambda *_: None)

    assert 0.54 <= statistics.fmean(fold.auc or 0.0 for fold in walked.folds) <= 0.58
    baseline = statistics.fmean(fold.baseline_auc or 0.0 for fold in walked.folds)
    assert baseline == pytest.approx(0.552, abs=0.003)


BARRIERS = replace(
    SMALL,
    n_estimators=10,
    folds=2,
    horizon_bars=4,
    label="triple_barrier",
    profit_barrier=1.0,
    stop_barrier=1.0,
)


def test_a_model_of_a_triple_barrier_says_so_and_was_taught_by_what_had_ended() -> None:
    series = a_market_with_edge(900, 3)

    made = trained([series], BARRIERS)

    manifest, dataset = made.manifest, made.walked.dataset
    assert manifest.label == "triple_barrier"
    assert rule_of(manifest.settings) == BARRIERS.rule
    assert manifest.trained_through_ns == int(dataset.return_end_ns.max())
    assert (dataset.label_end_ns < dataset.return_end_ns).any()
    for fold in made.walked.folds:
        assert fold.trained_through_ns <= fold.test_start_ns
    payoff, gain = manifest.payoffs.up, np.expm1(dataset.forward_log_return[made.walked.tested])
    assert payoff.win_ratio > 0.0
    assert payoff.basis != "all" or payoff.win_ratio == gain[made.walked.up == 1].mean()


def test_a_dead_zone_keeps_rows_from_teaching_and_from_nothing_else() -> None:
    series = a_market_with_edge(900, 3)
    settings = replace(SMALL, n_estimators=10, folds=2)

    plain = trained([series], settings)
    zoned = trained([series], replace(settings, dead_zone_bps=60.0))

    assert zoned.manifest.train_rows == plain.manifest.train_rows
    assert zoned.walked.tested.tolist() == plain.walked.tested.tolist()
    taught = [fold.train_rows for fold in zoned.walked.folds]
    assert all(
        few < all_of_it.train_rows
        for few, all_of_it in zip(taught, plain.walked.folds, strict=True)
    )
    assert taught[-1] == zoned.walked.dataset.teaches[: plain.walked.folds[-1].train_rows].sum()


def test_a_dead_zone_that_swallows_every_move_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="every move lies in the dead zone"):
        trained([a_market_with_edge(900, 3)], replace(SMALL, dead_zone_bps=9_000.0))
