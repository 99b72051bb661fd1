"""What chance reaches in rows in a row: for slow features, many symbols, and little history."""

import numpy as np
import pytest

from daemon.core.instruments import InstrumentId
from daemon.layers.monitoring.shifts import Drift, References, Rules, measure_drift
from daemon.research.placebos import FALSE_ALARM_RATIO, student_quantile, usual
from daemon.research.series import FloatArray
from tests.unit.research.slow_features import NAMES, SYMBOLS, features

RULES = Rules(psi_warn=0.10, rows_min=100)
ROWS, WINDOW = 4_000, 500
STEADY, SLOW = NAMES[0], NAMES[-1]


def taught(rows: FloatArray, rows_max: int = WINDOW) -> References:
    """What a training on `rows` (symbols, n, k) keeps."""
    symbols, length, k = rows.shape
    flat = rows.transpose(1, 0, 2).reshape(-1, k)
    made = usual(flat, np.tile(np.arange(symbols), length), SYMBOLS[:symbols], rows_max)
    return References(dict(zip(NAMES, made, strict=True)), made[0])


def looked_at(references: References, rows: FloatArray) -> Drift:
    recent = {InstrumentId("x", name): rows[k] for k, name in enumerate(SYMBOLS[: len(rows)])}
    said = {each: table[:, :1] for each, table in recent.items()}
    return measure_drift(references, NAMES, recent, said, RULES)


def test_while_nothing_changes_hardly_a_look_finds_anything_however_slow_a_feature_is() -> None:
    rng = np.random.default_rng(1)
    alarms, by_threshold = 0, 0
    lives = 60
    for life in range(lives):
        rows = (110, 200, 336, WINDOW)[life % 4]
        market = features(rng, symbols=2, length=ROWS + rows)
        drift = looked_at(taught(market[:, :ROWS]), market[:, ROWS:])
        alarms += any(each.is_drift for each in drift.features)
        by_threshold += any(each.psi > 0.25 for each in drift.features)

    # One look in a hundred is promised; three of sixty would be the luck of one test in fifty.
    assert FALSE_ALARM_RATIO == 0.01
    assert alarms <= 3
    # The threshold alone would have called nearly all of them drift.
    assert by_threshold > 0.9 * lives


def test_a_shift_in_one_symbol_of_three_is_found_there_and_the_pool_does_not_drown_it() -> None:
    rng = np.random.default_rng(2)
    market = features(rng, symbols=3, length=ROWS + WINDOW)
    references = taught(market[:, :ROWS])
    moved = market[:, ROWS:].copy()
    moved[1, :, 0] += 0.6

    found = [each for each in looked_at(references, moved).features if each.is_drift]

    assert [(each.feature, each.instrument) for each in found][:1] == [
        (STEADY, InstrumentId("x", SYMBOLS[1]))
    ]
    assert all(each.instrument is None or each.instrument.symbol == SYMBOLS[1] for each in found)


def test_what_shifts_a_little_everywhere_is_found_in_the_pool() -> None:
    rng = np.random.default_rng(3)
    market = features(rng, symbols=5, length=ROWS + 150)
    moved = market[:, ROWS:].copy()
    moved[:, :, 0] += 0.5

    drift = looked_at(taught(market[:, :ROWS]), moved)

    assert any(each.is_drift and each.instrument is None for each in drift.features)


def test_every_symbol_is_compared_with_its_own_past() -> None:
    rng = np.random.default_rng(4)
    market = features(rng, symbols=2, length=ROWS + WINDOW)
    market[1] *= 5.0

    drift = looked_at(taught(market[:, :ROWS]), market[:, ROWS:])
    traded = looked_at(taught(market[:, :ROWS]), market[::-1, ROWS:])

    assert not any(each.is_drift for each in drift.features)
    assert any(each.is_drift and each.feature == STEADY for each in traded.features)


def test_bounds_are_higher_for_slow_features_and_fall_with_the_rows_for_steady_ones() -> None:
    made = taught(features(np.random.default_rng(5), symbols=2, length=ROWS)).features
    steady, slow = made[STEADY].symbol_placebo, made[SLOW].symbol_placebo

    assert list(steady.rows) == sorted(set(steady.rows))
    assert (steady.rows[0], steady.rows[-1]) == (40, WINDOW)
    assert steady.psi[-1] < 0.15 < steady.psi[0]
    assert min(slow.psi) > 4.0 * steady.psi[-1]
    assert made[STEADY].placebo.psi[-1] < steady.psi[-1]  # of all symbols together: more values


@pytest.mark.parametrize(("length", "longest"), [(119, None), (120, 40), (240, 80), (4_000, 500)])
def test_no_piece_is_longer_than_a_third_of_what_there_is(length: int, longest: int | None) -> None:
    rows = features(np.random.default_rng(6), symbols=1, length=length)
    placebo = taught(rows).features[STEADY].placebo

    assert (placebo.rows[-1] if placebo.rows else None) == longest


def test_a_feature_that_never_changes_has_a_bound_and_does_not_drift() -> None:
    values = np.full((600, 1), 3.0)
    made = usual(values, np.zeros(600, np.int64), ("A/Q",), 200)[0]
    instrument = InstrumentId("x", "A/Q")
    still = measure_drift(
        References({"a": made}, made), ("a",), {instrument: values[:200]},
        {instrument: values[:200]}, RULES,
    )  # fmt: skip
    moved = measure_drift(
        References({"a": made}, made), ("a",), {instrument: values[:200] + 1.0},
        {instrument: values[:200]}, RULES,
    )  # fmt: skip

    assert not still.features[0].is_drift
    assert moved.features[0].is_drift


@pytest.mark.parametrize(
    ("ratio", "freedom", "table"),
    [(0.98, 1, 15.895), (0.98, 2, 4.849), (0.95, 5, 2.015), (0.99, 30, 2.457), (0.975, 200, 1.972)],
)
def test_quantiles_of_student_are_those_of_the_table(
    ratio: float, freedom: int, table: float
) -> None:
    assert student_quantile(ratio, freedom) == pytest.approx(table, abs=6e-4)
