"""What is said about a bar depends on no bar after it, in the formulas and through the handlers."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.bars import ZeroVolume
from daemon.core.events import BarsClosed, Event, FeatureRows, Predictions, encode
from daemon.core.pipeline import Pipeline, apply, on
from daemon.layers.features.catalog import reference_columns, reference_features
from daemon.layers.features.handler import Features
from daemon.layers.features.matrix import feature_matrix
from daemon.layers.features.sets import FeatureSet
from daemon.layers.inference import ActiveModel, Calibration, CompiledForest, Inference
from tests.unit.layers.walks import BTC, Array, a_bar, rough_walks

HOURLY = reference_features("1h")
LONG = FeatureSet(
    name="long",
    version="1",
    bars_per_year=8_760.0,
    features=reference_columns(
        rsi_period=3,
        bb_period=50,
        volatility_window=30,
        volume_window=7,
        lags=(0, 1, 60),
    ),
)


def a_model() -> ActiveModel:
    """One tree that asks only whether the newest return is above zero."""
    return ActiveModel(
        model_id="m1",
        feature_fingerprint=HOURLY.fingerprint,
        feature_names=HOURLY.names,
        predictor=CompiledForest(
            feature=np.array([HOURLY.names.index("lag_0"), 0, 0], dtype=np.int32),
            threshold=np.zeros(3),
            children=np.array([1, 2, 1, 1, 2, 2], dtype=np.int32),
            probability=np.array([0.0, 0.6, 0.4]),
            roots=np.zeros(1, dtype=np.int32),
            n_features=len(HOURLY.names),
        ),
        calibration=Calibration((0.0, 1.0), (0.1, 0.9), (0.02, 0.05)),
    )


def events_of(ohlcv: Array, slots: Sequence[int]) -> list[bytes]:
    """Everything layers 2 and 3 say about these bars, as the journal would hold it."""
    features = Features(HOURLY, (BTC,), timeframe="1h", zero_volume=ZeroVolume.REJECT)
    pipeline = Pipeline(
        [
            apply(BarsClosed, features.apply_bars_closed),
            on(BarsClosed, features.on_bars_closed, FeatureRows),
            on(FeatureRows, Inference(a_model()).on_feature_rows, Predictions),
        ]
    )
    said: list[Event] = []
    for slot, values in zip(slots, ohlcv, strict=False):
        bar = a_bar(slot, values)
        said.extend(pipeline.step(BarsClosed(ts_ns=bar.close_ns, bars=(bar,))).events)
    return [encode(event) for event in said]


@given(rough_walks(), st.integers(0, 160), st.sampled_from([HOURLY, LONG]))
def test_rows_of_the_first_bars_are_the_first_rows(
    ohlcv: Array, known: int, features: FeatureSet
) -> None:
    rows = feature_matrix(features, ohlcv)

    early = feature_matrix(features, ohlcv[:known])

    assert len(early) == max(0, min(known, len(ohlcv)) - features.lookback + 1)
    assert early.tobytes() == rows[: len(early)].tobytes()


@given(rough_walks(), st.integers(0, 160), st.sampled_from([HOURLY, LONG]))
def test_another_future_leaves_the_rows_before_it_as_they_are(
    ohlcv: Array, known: int, features: FeatureSet
) -> None:
    rows = feature_matrix(features, ohlcv)
    other = ohlcv.copy()
    other[known:] = 1e6
    nowhere = ohlcv.copy()
    nowhere[known:] = np.nan
    settled = max(0, min(known, len(ohlcv)) - features.lookback + 1)

    assert feature_matrix(features, other)[:settled].tobytes() == rows[:settled].tobytes()
    assert feature_matrix(features, nowhere)[:settled].tobytes() == rows[:settled].tobytes()
    assert np.isnan(feature_matrix(features, nowhere)[settled:]).all()


@settings(max_examples=25)
@given(
    rough_walks(bars_max=60),
    st.lists(st.integers(1, 60), max_size=2),
    st.integers(0, 60),
)
def test_what_is_said_on_the_first_bars_is_the_beginning_of_what_is_said_on_all(
    ohlcv: Array, gaps: list[int], known: int
) -> None:
    slots = [row + 3 * sum(row >= gap for gap in gaps) for row in range(len(ohlcv))]
    said = events_of(ohlcv, slots)

    early = events_of(ohlcv[:known], slots)

    assert len(early) == 3 * min(known, len(ohlcv))
    assert early == said[: len(early)]
