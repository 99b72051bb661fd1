"""What a model is trained on is what it is asked live: the same rows and probabilities, in bits."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from daemon.core.bars import ZeroVolume
from daemon.core.events import (
    BarsClosed,
    Event,
    FeatureRows,
    HistoryLoaded,
    Prediction,
    Predictions,
)
from daemon.core.pipeline import Pipeline, apply, on
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.handler import Features
from daemon.layers.inference import ActiveModel, Calibration, Inference
from daemon.research.compiling import compile_forest
from daemon.research.datasets import Dataset, labelled_rows
from daemon.research.series import CLOSE, VOLUME, Series, unbroken
from tests.unit.layers.walks import BTC, ETH, HOUR_NS, a_bar, a_walk

HOURLY = reference_features("1h")
SLOTS = 900
WARM_UP_SLOTS = 100
INSTRUMENTS = (BTC, ETH)


def a_holed_series() -> list[Series]:
    """Two symbols with holes, quiet bars, a flat stretch, steady volumes and spikes."""
    series = []
    for seed, instrument in enumerate(INSTRUMENTS):
        ohlcv = a_walk(SLOTS, seed, scale=30_000.0 / (1 + 14 * seed))
        ohlcv[200:240, :4] = ohlcv[200, 3]
        ohlcv[300:340, 4] = 3.1
        ohlcv[400, :4] *= 1e3
        ohlcv[500, 4] = 1e12
        ohlcv[[610, 700 + seed], 4] = 0.0
        present = np.setdiff1d(np.arange(SLOTS), [150, 151, 555 + seed, 800 + 30 * seed])
        open_ns = present.astype(np.int64) * HOUR_NS
        series.append(Series(instrument.symbol, open_ns, ohlcv[present], HOUR_NS))
    return series


def a_model(dataset: Dataset) -> tuple[RandomForestClassifier, ActiveModel]:
    fitted = RandomForestClassifier(
        50, max_depth=6, min_samples_leaf=20, random_state=2, n_jobs=1
    ).fit(dataset.features, dataset.up)
    model = ActiveModel(
        model_id="m1",
        feature_fingerprint=HOURLY.fingerprint,
        feature_names=HOURLY.names,
        predictor=compile_forest(fitted),
        calibration=Calibration((0.0, 1.0), (0.0, 1.0), (0.0, 0.0)),
    )
    return fitted, model


def live_events(
    series: list[Series], model: ActiveModel | None, zero_volume: ZeroVolume
) -> Iterator[Event]:
    """All that layers 2 and 3 say while the bars come in, one cross-section after the other."""
    features = Features(HOURLY, INSTRUMENTS, timeframe="1h", zero_volume=zero_volume)
    pipeline = Pipeline(
        [
            apply(HistoryLoaded, features.apply_history_loaded),
            apply(BarsClosed, features.apply_bars_closed),
            on(BarsClosed, features.on_bars_closed, FeatureRows),
            on(FeatureRows, Inference(model).on_feature_rows, Predictions),
        ]
    )
    bars_by_slot = [
        tuple(
            a_bar(slot, one.ohlcv[row], instrument)
            for instrument, one in zip(INSTRUMENTS, series, strict=True)
            for row in np.flatnonzero(one.open_ns == slot * HOUR_NS)
        )
        for slot in range(SLOTS)
    ]
    history = tuple(bar for bars in bars_by_slot[:WARM_UP_SLOTS] for bar in bars)
    pipeline.step(HistoryLoaded(ts_ns=WARM_UP_SLOTS * HOUR_NS, bars=history))
    for bars in bars_by_slot[WARM_UP_SLOTS:]:
        if bars:
            yield from pipeline.step(BarsClosed(ts_ns=bars[0].close_ns, bars=bars)).events


@pytest.mark.parametrize("zero_volume", list(ZeroVolume))
def test_every_training_row_is_the_live_row_of_the_same_bar(zero_volume: ZeroVolume) -> None:
    series = a_holed_series()
    dataset = labelled_rows(series, HOURLY, horizon_bars=1, zero_volume=zero_volume)

    events = list(live_events(series, None, zero_volume))

    live = {
        (row.instrument.symbol, row.close_ns): np.array(row.values)
        for event in events
        if isinstance(event, FeatureRows)
        for row in event.rows
    }
    warmed_up_ns = WARM_UP_SLOTS * HOUR_NS
    compared = 0
    for i in np.flatnonzero(dataset.decided_ns > warmed_up_ns):
        key = dataset.symbols[dataset.symbol[i]], int(dataset.decided_ns[i])
        assert live.pop(key).tobytes() == dataset.features[i].tobytes(), key
        compared += 1
    assert compared > 1_200
    # What remains has no label: the bar that would give it is missing, quiet, yet to come or equal.
    unlabelled = {
        (one.symbol, int(one.close_ns[row]))
        for one in series
        for run in unbroken(one, accepts_zero_volume=zero_volume is not ZeroVolume.REJECT)
        for row in range(run.start, run.stop)
        if row == run.stop - 1
        or one.ohlcv[row, CLOSE] == one.ohlcv[row + 1, CLOSE]
        or (zero_volume is ZeroVolume.FLAG and one.ohlcv[row + 1, VOLUME] == 0)
    }
    assert live.keys() <= unlabelled
    assert len(live) < 100


def test_every_live_probability_is_what_scikit_learn_says_of_the_training_row() -> None:
    series = a_holed_series()
    dataset = labelled_rows(series, HOURLY, horizon_bars=1, zero_volume=ZeroVolume.ACCEPT)
    fitted, model = a_model(dataset)
    expected = dict(
        zip(
            zip(dataset.symbol.tolist(), dataset.decided_ns.tolist(), strict=True),
            fitted.predict_proba(dataset.features)[:, 1].tolist(),
            strict=True,
        )
    )

    events = list(live_events(series, model, ZeroVolume.ACCEPT))

    predictions: list[Prediction] = [
        row for event in events if isinstance(event, Predictions) for row in event.rows
    ]
    compared = 0
    for row in predictions:
        key = INSTRUMENTS.index(row.instrument), row.close_ns
        if key in expected:
            assert row.raw_probability_up == expected[key], key
            assert row.probability_up == row.raw_probability_up
            compared += 1
    assert compared > 1_200
