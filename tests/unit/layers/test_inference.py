import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.core.events import (
    FeatureRow,
    FeatureRows,
    FeaturesRefused,
    FeaturesRefusedReason,
    Prediction,
    Predictions,
)
from daemon.core.instruments import InstrumentId
from daemon.layers.inference import ActiveModel, Calibration, CompiledForest, Inference
from tests.unit.layers.walks import BTC, ETH

IDENTITY = Calibration((0.0, 1.0), (0.0, 1.0), (0.02, 0.02))
TABLE = Calibration((0.3, 0.5, 0.6), (0.4, 0.5, 0.58), (0.03, 0.01, 0.05))


@cache
def a_forest() -> CompiledForest:
    """Two trees on feature 1 at 0.5: 0.2 or 0.8, and always 0.4; feature 0 is not asked for."""
    return CompiledForest(
        feature=np.array([1, 0, 0, 0], dtype=np.int32),
        threshold=np.array([0.5, 0.0, 0.0, 0.0]),
        children=np.array([1, 2, 1, 1, 2, 2, 3, 3], dtype=np.int32),
        probability=np.array([0.0, 0.2, 0.8, 0.4]),
        roots=np.array([0, 3], dtype=np.int32),
        n_features=2,
    )


def a_model(calibration: Calibration = TABLE) -> ActiveModel:
    return ActiveModel(
        model_id="forest-1",
        feature_fingerprint="f" * 64,
        feature_names=("rsi", "lag_0"),
        predictor=a_forest(),
        calibration=calibration,
    )


def a_row(values: tuple[float, ...], instrument: InstrumentId = BTC) -> FeatureRow:
    return FeatureRow(
        instrument=instrument,
        trace=f"trace of {instrument}",
        close_ns=7_200,
        received_ns=7_300,
        close=64.5,
        values=values,
    )


def a_refusal(reason: FeaturesRefusedReason, instrument: InstrumentId = BTC) -> FeaturesRefused:
    return FeaturesRefused(
        instrument=instrument, trace=f"trace of {instrument}", close_ns=7_200, reason=reason
    )


def feature_rows(
    *rows: FeatureRow, refused: tuple[FeaturesRefused, ...] = (), fingerprint: str = "f" * 64
) -> FeatureRows:
    return FeatureRows(ts_ns=7_200, fingerprint=fingerprint, rows=rows, refused=refused)


def answer(model: ActiveModel | None, event: FeatureRows) -> Predictions:
    (predictions,) = Inference(model).on_feature_rows(event)
    assert isinstance(predictions, Predictions)
    return predictions


# --- the handler ---


def test_a_row_becomes_a_calibrated_probability_with_its_error() -> None:
    predictions = answer(a_model(), feature_rows(a_row((50.0, 0.7))))

    raw = (0.8 + 0.4) / 2
    (probability,), (error,) = TABLE.calibrate(np.array([raw]))
    assert predictions == Predictions(
        ts_ns=7_200,
        model="forest-1",
        rows=(
            Prediction(
                instrument=BTC,
                trace=f"trace of {BTC}",
                close_ns=7_200,
                received_ns=7_300,
                close=64.5,
                probability_up=float(probability),
                standard_error=float(error),
                raw_probability_up=raw,
            ),
        ),
        refused=(),
    )


def test_events_hold_plain_floats_that_the_journal_can_write() -> None:
    (row,) = answer(a_model(), feature_rows(a_row((50.0, 0.7)))).rows

    values = (row.probability_up, row.standard_error, row.raw_probability_up)

    assert [type(value) for value in values] == [float, float, float]


def test_a_cross_section_is_answered_row_by_row_in_its_order() -> None:
    event = feature_rows(a_row((0.0, 0.4), ETH), a_row((0.0, 0.6), BTC))

    predictions = answer(a_model(IDENTITY), event)

    assert [row.instrument for row in predictions.rows] == [ETH, BTC]
    assert [row.raw_probability_up for row in predictions.rows] == [
        (0.2 + 0.4) / 2,
        (0.8 + 0.4) / 2,
    ]


def test_refusals_of_layer_2_are_passed_on() -> None:
    refusal = a_refusal(FeaturesRefusedReason.WARMING_UP, ETH)

    mixed = answer(a_model(), feature_rows(a_row((0.0, 0.4)), refused=(refusal,)))
    alone = answer(a_model(), feature_rows(refused=(refusal,)))

    assert (len(mixed.rows), mixed.refused) == (1, (refusal,))
    assert (alone.rows, alone.refused) == ((), (refusal,))


def test_without_a_model_every_row_is_refused() -> None:
    predictions = answer(None, feature_rows(a_row((0.0, 0.4))))

    assert predictions.model == ""
    assert predictions.rows == ()
    assert predictions.refused == (a_refusal(FeaturesRefusedReason.NO_MODEL),)


def test_rows_of_other_features_have_no_model() -> None:
    predictions = answer(a_model(), feature_rows(a_row((0.0, 0.4)), fingerprint="e" * 64))

    assert predictions.rows == ()
    assert predictions.refused == (a_refusal(FeaturesRefusedReason.NO_MODEL),)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e39])
def test_a_row_that_is_not_finite_is_refused_and_the_others_are_not(bad: float) -> None:
    event = feature_rows(a_row((bad, 0.4), BTC), a_row((0.0, 0.4), ETH))

    predictions = answer(a_model(), event)

    assert [row.instrument for row in predictions.rows] == [ETH]
    assert predictions.refused == (a_refusal(FeaturesRefusedReason.NOT_FINITE),)


def test_a_sound_row_without_a_probability_is_one_that_the_model_did_not_answer() -> None:
    silent = replace(a_model(), predictor=Silent())

    predictions = answer(silent, feature_rows(a_row((0.0, 0.4))))

    assert predictions.refused == (a_refusal(FeaturesRefusedReason.NO_ANSWER),)


class Silent:
    """As a process that is dead."""

    n_features = 2

    def probability_up(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(len(rows), np.nan)


# --- the model ---


def test_a_model_predicts_the_same_for_a_row_alone_and_among_others() -> None:
    rows = np.random.default_rng(1).normal(0.5, 0.5, (700, 2))
    together = a_model().predict(rows)

    for i in (0, 255, 256, 699):
        alone = a_model().predict(rows[i : i + 1])
        assert [one[0] for one in alone] == [many[i] for many in together]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"feature_names": ("rsi",)}, "names 1 features, it reads 2"),
        ({"feature_names": ("rsi", "rsi")}, "names a feature twice"),
        ({"feature_fingerprint": ""}, "does not say which features it reads"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(wrong: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(a_model(), **wrong)  # type: ignore[arg-type]  # the parameters say what is wrong


def test_a_model_accepts_the_features_it_was_taught_with() -> None:
    model = a_model()

    model.require_features("f" * 64, ["rsi", "lag_0"])

    assert (model.feature_fingerprint, model.feature_names) == ("f" * 64, ("rsi", "lag_0"))


@pytest.mark.parametrize(
    ("fingerprint", "names", "complaint"),
    [
        ("f" * 64, ("lag_0", "rsi"), "reads rsi, lag_0; the features are lag_0, rsi"),
        ("f" * 64, ("rsi",), "reads rsi, lag_0; the features are rsi"),
        ("e" * 64, ("rsi", "lag_0"), "the same names now mean eeeeeeeeeeee"),
    ],
)
def test_a_model_refuses_other_features(
    fingerprint: str, names: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        a_model().require_features(fingerprint, names)


def test_probes_that_come_out_as_in_training_pass() -> None:
    a_model().check_probe([(1.0, 0.4), (1.0, 0.6)], [(0.2 + 0.4) / 2, (0.8 + 0.4) / 2])


def test_a_probe_that_is_off_by_one_bit_is_refused() -> None:
    wanted = [(0.2 + 0.4) / 2, math.nextafter((0.8 + 0.4) / 2, 1.0)]

    with pytest.raises(
        ValueError, match=r"probe row 1: 0\.6\d+1 among others .* trained model said 0\.6\d+2$"
    ):
        a_model().check_probe([(1.0, 0.4), (1.0, 0.6)], wanted)


@pytest.mark.parametrize(("rows", "expected"), [([], []), ([(1.0, 0.4)], []), ([1.0], [0.3])])
def test_a_model_without_usable_probes_is_refused(
    rows: list[tuple[float]], expected: list[float]
) -> None:
    with pytest.raises(ValueError, match="no usable probe rows"):
        a_model().check_probe(rows, expected)


def test_a_probe_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="probe row 0"):
        a_model().check_probe([(math.nan, 0.4)], [math.nan])


# --- the calibration ---


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    unit = st.floats(0.0, 1.0)
    knots = draw(st.lists(unit, min_size=2, max_size=8, unique=True).map(sorted))
    count = len(knots)
    return Calibration(
        tuple(knots),
        tuple(draw(st.lists(unit, min_size=count, max_size=count))),
        tuple(draw(st.lists(st.floats(0.0, 0.5), min_size=count, max_size=count))),
    )


@given(calibrations(), st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=30))
def test_calibrating_is_linear_interpolation(table: Calibration, values: list[float]) -> None:
    raw = np.array([*values, *table.knots])

    probability, error = table.calibrate(raw)

    # Knots so close together that numpy's slope overflows say nothing about the formula.
    if min(np.diff(table.knots)) > 1e-300:
        expected = np.interp(raw, table.knots, table.probabilities)
        np.testing.assert_allclose(probability, expected, rtol=0.0, atol=1e-12)
        expected = np.interp(raw, table.knots, table.standard_errors)
        np.testing.assert_allclose(error, expected, rtol=0.0, atol=1e-12)
    assert ((probability >= 0.0) & (probability <= 1.0)).all()
    assert (error >= 0.0).all()


@given(calibrations(), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_calibrated_bits_do_not_depend_on_the_batch(
    table: Calibration, values: list[float]
) -> None:
    raw = np.array(values)
    together = table.calibrate(raw)

    for i in range(len(raw)):
        alone = table.calibrate(raw[i : i + 1])
        assert [one[0] for one in alone] == [many[i] for many in together]
    stacked = table.calibrate(np.stack([raw, raw]))
    assert stacked[0][1].tobytes() == together[0].tobytes()


def test_a_knot_gives_exactly_its_own_values() -> None:
    probability, error = TABLE.calibrate(np.array(TABLE.knots))

    assert probability.tolist() == list(TABLE.probabilities)
    assert error.tolist() == list(TABLE.standard_errors)


def test_beyond_the_outer_knots_their_values_hold_on() -> None:
    probability, error = TABLE.calibrate(np.array([0.0, 0.29, 0.61, 1.0]))

    assert probability.tolist() == [0.4, 0.4, 0.58, 0.58]
    assert error.tolist() == [0.03, 0.03, 0.05, 0.05]


def test_what_is_not_a_number_stays_not_a_number() -> None:
    probability, error = TABLE.calibrate(np.array([np.nan]))

    assert np.isnan(probability).all()
    assert np.isnan(error).all()


@pytest.mark.parametrize(
    ("knots", "probabilities", "errors"),
    [
        ((0.5,), (0.5,), (0.1,)),
        ((), (), ()),
        ((0.0, 1.0), (0.5,), (0.1, 0.1)),
        ((0.0, 1.0), (0.4, 0.5), (0.1,)),
        ((0.5, 0.5), (0.4, 0.5), (0.1, 0.1)),
        ((0.6, 0.5), (0.4, 0.5), (0.1, 0.1)),
        ((-0.1, 0.5), (0.4, 0.5), (0.1, 0.1)),
        ((0.1, 1.1), (0.4, 0.5), (0.1, 0.1)),
        ((0.1, math.nan), (0.4, 0.5), (0.1, 0.1)),
        ((math.nan, 0.5), (0.4, 0.5), (0.1, 0.1)),
        ((0.0, 1.0), (0.4, 1.1), (0.1, 0.1)),
        ((0.0, 1.0), (-0.1, 1.0), (0.1, 0.1)),
        ((0.0, 1.0), (math.nan, 1.0), (0.1, 0.1)),
        ((0.0, 1.0), (0.4, 0.5), (-0.1, 0.1)),
        ((0.0, 1.0), (0.4, 0.5), (math.inf, 0.1)),
        ((0.0, 1.0), (0.4, 0.5), (0.1, math.nan)),
    ],
)
def test_a_table_that_is_no_calibration_is_refused(
    knots: tuple[float, ...], probabilities: tuple[float, ...], errors: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="calibrat"):
        Calibration(knots, probabilities, errors)
