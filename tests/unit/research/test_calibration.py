import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.layers.inference.model import Calibration
from daemon.research.calibration import (
    PRIOR_INTERCEPT_SD,
    Calibrator,
    fit_calibration,
    reliability,
)
from daemon.research.series import FloatArray, IntArray

NO_ROWS = np.empty(0)
NO_OUTCOMES = np.empty(0, dtype=np.int64)


def outcomes_of(
    raw: FloatArray, intercept: float, slope: float, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    truth = 1.0 / (1.0 + np.exp(-(intercept + slope * np.log(raw / (1.0 - raw)))))
    return truth, (rng.random(len(raw)) < truth).astype(np.int64)


def fitted(n: int, intercept: float, slope: float, seed: int) -> Calibrator:
    rng = np.random.default_rng(seed)
    raw = rng.uniform(0.3, 0.7, n)
    _, up = outcomes_of(raw, intercept, slope, rng)
    return fit_calibration(raw, up, np.arange(n))


def test_the_curve_that_made_the_outcomes_is_found_again() -> None:
    calibrator = fitted(100_000, intercept=0.1, slope=0.4, seed=1)

    assert calibrator.intercept == pytest.approx(0.1, abs=0.03)
    assert calibrator.slope == pytest.approx(0.4, abs=0.05)


def test_without_data_the_raw_probability_is_kept_and_its_error_is_the_prior_s() -> None:
    calibrator = fit_calibration(NO_ROWS, NO_OUTCOMES, NO_OUTCOMES)

    raw = np.array([0.3, 0.5, 0.6])
    assert calibrator.probability(raw) == pytest.approx(raw)
    assert calibrator.standard_error(raw)[1] == pytest.approx(0.25 * PRIOR_INTERCEPT_SD)


def test_the_fewer_the_rows_the_nearer_to_the_raw_probability() -> None:
    slopes = [fitted(n, intercept=0.0, slope=0.0, seed=3).slope for n in (10, 100, 1_000, 100_000)]

    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] > 0.7
    assert slopes[-1] < 0.1


def test_a_model_that_is_wrong_way_round_is_called_the_base_rate_and_never_inverted() -> None:
    calibrator = fitted(20_000, intercept=0.2, slope=-1.0, seed=4)

    assert calibrator.slope == 0.0
    assert calibrator.probability(np.array([0.2, 0.8])) == pytest.approx([0.55, 0.55], abs=0.02)
    assert (calibrator.standard_error(np.array([0.2, 0.8])) > 0).all()


@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 1)), max_size=40),
    st.integers(1, 5),
)
def test_the_table_never_falls_and_is_one_that_inference_accepts(
    rows: list[tuple[float, int]], symbols: int
) -> None:
    raw = np.array([row[0] for row in rows], dtype=np.float64)
    up = np.array([row[1] for row in rows], dtype=np.int64)

    calibrator = fit_calibration(raw, up, np.arange(len(rows)) // symbols)
    table = calibrator.table()

    assert (np.diff(table.probabilities) >= 0.0).all()
    used = Calibration(table.knots, table.probabilities, table.standard_errors)
    probability, error = used.calibrate(np.array([0.0, 0.31, 0.5, 1.0]))
    assert ((probability >= 0.0) & (probability <= 1.0) & (error >= 0.0)).all()
    assert probability[2] == pytest.approx(calibrator.probability(np.array([0.5]))[0], abs=1e-12)


def test_the_interval_of_two_standard_errors_holds_the_truth_about_as_often_as_it_says() -> None:
    raw = np.array([0.45, 0.5, 0.58])
    truth = 1.0 / (1.0 + np.exp(-(0.1 + 0.7 * np.log(raw / (1.0 - raw)))))
    held = []
    for seed in range(200):
        calibrator = fitted(2_000, intercept=0.1, slope=0.7, seed=seed)
        away = np.abs(calibrator.probability(raw) - truth)
        held.append(away <= 1.96 * calibrator.standard_error(raw))

    shares = np.mean(held, axis=0)
    assert (shares > 0.91).all()
    assert (shares < 0.995).all()


def test_symbols_that_move_together_do_not_count_as_more_evidence() -> None:
    rng = np.random.default_rng(5)
    raw = rng.uniform(0.35, 0.65, 4_000)
    _, up = outcomes_of(raw, 0.0, 1.0, rng)
    bars = np.arange(4_000)

    alone = fit_calibration(raw, up, bars)
    fourfold = fit_calibration(np.tile(raw, 4), np.tile(up, 4), np.tile(bars, 4))

    middle = np.array([0.5])
    ratio = fourfold.standard_error(middle)[0] / alone.standard_error(middle)[0]
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_reliability_sets_what_was_said_against_what_came() -> None:
    probability = np.array([0.1] * 10 + [0.5] * 10 + [0.9] * 10)
    up = np.array([0] * 9 + [1] + [0, 1] * 5 + [1] * 8 + [0] * 2)

    bins = reliability(probability, up)

    assert [one.n for one in bins] == [10, 10, 10]
    assert [one.said for one in bins] == pytest.approx([0.1, 0.5, 0.9])
    assert [one.rose for one in bins] == pytest.approx([0.1, 0.5, 0.8])


def test_reliability_has_ten_bins_of_equally_many_rows_and_loses_none() -> None:
    rng = np.random.default_rng(1)
    probability = rng.uniform(0.4, 0.6, 1_003)

    bins = reliability(probability, (rng.random(1_003) < probability).astype(np.int64))

    assert len(bins) == 10
    assert sum(one.n for one in bins) == 1_003
    assert max(one.n for one in bins) - min(one.n for one in bins) <= 2
    assert [one.said for one in bins] == sorted(one.said for one in bins)
