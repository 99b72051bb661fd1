"""The compiled forest against scikit-learn, bit for bit, and against arrays that are no forest."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from daemon.layers.inference.forest import BLOCK_ROWS, CompiledForest
from daemon.research.compiling import compile_forest

Array = NDArray[np.float64]
COLUMNS = 10


@cache
def a_fitted_forest(trees: int = 40, depth: int | None = 6, leaf: int = 20) -> Any:
    random = np.random.default_rng(5)
    rows = random.normal(size=(3_000, COLUMNS))
    outcome = (rows[:, 0] + random.normal(0.0, 2.0, 3_000) > 0.0).astype(int)
    forest = RandomForestClassifier(
        trees, max_depth=depth, min_samples_leaf=leaf, random_state=7, n_jobs=1
    )
    return forest.fit(rows, outcome)


def rows_like_those_it_saw(count: int, seed: int = 11) -> Array:
    return np.random.default_rng(seed).normal(size=(count, COLUMNS))


def rows_on_the_thresholds(compiled: CompiledForest, count: int) -> Array:
    """Values equal to thresholds of their column, and their float32 and float64 neighbours."""
    random = np.random.default_rng(13)
    rows = np.empty((count, COLUMNS))
    is_inner = compiled.children[::2] != np.arange(compiled.feature.size)
    for column in range(COLUMNS):
        cuts = compiled.threshold[is_inner & (compiled.feature == column)]
        picked = random.choice(cuts if cuts.size else np.zeros(1), count)
        near = picked.astype(np.float32)
        variants = (
            picked,
            np.nextafter(picked, np.inf),
            np.nextafter(picked, -np.inf),
            near.astype(np.float64),
            np.nextafter(near, np.float32(np.inf)).astype(np.float64),
            np.nextafter(near, np.float32(-np.inf)).astype(np.float64),
        )
        rows[:, column] = np.choose(random.integers(0, len(variants), count), variants)
    return rows


def assert_same_bits(fitted: Any, compiled: CompiledForest, rows: Array) -> None:
    expected = np.ascontiguousarray(fitted.predict_proba(rows)[:, 1])
    assert compiled.probability_up(rows).tobytes() == expected.tobytes()


def test_a_forest_of_300_trees_gives_scikit_learns_bits_on_50_000_rows() -> None:
    fitted = a_fitted_forest(trees=300)

    assert_same_bits(fitted, compile_forest(fitted), rows_like_those_it_saw(50_000))


def test_values_on_and_beside_the_thresholds_take_the_same_way() -> None:
    fitted = a_fitted_forest()
    compiled = compile_forest(fitted)

    assert_same_bits(fitted, compiled, rows_on_the_thresholds(compiled, 20_000))


@pytest.mark.parametrize("depth", [*range(1, 13), None])
def test_forests_of_every_depth_give_the_same_bits(depth: int | None) -> None:
    fitted = a_fitted_forest(trees=12, depth=depth, leaf=1)
    compiled = compile_forest(fitted)

    assert compiled.depth == max(tree.get_depth() for tree in fitted.estimators_)
    assert_same_bits(fitted, compiled, rows_like_those_it_saw(1_500))
    assert_same_bits(fitted, compiled, rows_on_the_thresholds(compiled, 1_500))


def test_trees_that_are_a_single_leaf_give_the_same_bits() -> None:
    fitted = a_fitted_forest(trees=9, leaf=2_000)
    compiled = compile_forest(fitted)

    assert compiled.depth == 0
    assert compiled.feature.size == 9
    assert_same_bits(fitted, compiled, rows_like_those_it_saw(1_000))


def test_trees_of_different_depths_stand_together() -> None:
    fitted = a_fitted_forest(trees=30, depth=None, leaf=300)
    compiled = compile_forest(fitted)

    assert len({tree.get_depth() for tree in fitted.estimators_}) > 1
    assert_same_bits(fitted, compiled, rows_like_those_it_saw(2_000))


def test_extra_trees_compile_as_well() -> None:
    rows = rows_like_those_it_saw(800)
    fitted = ExtraTreesClassifier(15, max_depth=7, random_state=3, n_jobs=1)
    fitted.fit(rows, rows[:, 1] > 0.3)

    assert_same_bits(fitted, compile_forest(fitted), rows_like_those_it_saw(3_000, seed=12))


def test_one_row_has_the_same_bits_alone_and_among_any_others() -> None:
    compiled = compile_forest(a_fitted_forest())
    rows = rows_like_those_it_saw(2 * BLOCK_ROWS + 3)
    together = compiled.probability_up(rows)

    for count in (1, 2, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1):
        assert (compiled.probability_up(rows[:count]) == together[:count]).all()
        assert (compiled.probability_up(rows[-count:]) == together[-count:]).all()
    assert (compiled.probability_up(np.asfortranarray(rows)) == together).all()
    assert compiled.probability_up(rows[:0]).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39, -1e39])
def test_a_row_that_is_not_finite_as_float32_has_no_probability(bad: float) -> None:
    compiled = compile_forest(a_fitted_forest())
    rows = rows_like_those_it_saw(5)
    good = compiled.probability_up(rows)
    rows[2, 9] = bad

    probabilities = compiled.probability_up(rows)

    assert np.isnan(probabilities[2])
    assert (np.delete(probabilities, 2) == np.delete(good, 2)).all()
    assert np.isnan(compiled.probability_up(rows[2:3]))


@pytest.mark.parametrize(
    "rows", [np.zeros((3, 9)), np.zeros(10), np.zeros((3, 10), dtype=np.float32)]
)
def test_rows_of_another_shape_or_type_are_refused(rows: Array) -> None:
    with pytest.raises(ValueError, match=r"rows must be float64 \(m, 10\)"):
        compile_forest(a_fitted_forest()).probability_up(rows)


def test_a_forest_that_was_stored_and_read_back_is_the_same() -> None:
    compiled = compile_forest(a_fitted_forest())
    rows = rows_like_those_it_saw(100)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **compiled.arrays())
    file.seek(0)

    with np.load(file, allow_pickle=False) as stored:
        again = CompiledForest.from_arrays(dict(stored))

    assert again.n_features == COLUMNS
    assert again.probability_up(rows).tobytes() == compiled.probability_up(rows).tobytes()


def test_a_forest_cannot_be_changed_any_more() -> None:
    compiled = compile_forest(a_fitted_forest())
    arrays = compiled.arrays()
    again = CompiledForest.from_arrays(arrays)

    with pytest.raises(ValueError, match="read-only"):
        again.probability[0] = 2.0


@pytest.mark.parametrize("outcomes", [[1, 1], [0, 0], [1, 2], [0, 2], ["up", "down"], [0, 1, 2]])
def test_a_forest_that_saw_other_outcomes_is_not_compiled(outcomes: list[Any]) -> None:
    rows = np.arange(2.0 * len(outcomes)).reshape(-1, 2)
    fitted = RandomForestClassifier(3, random_state=1, n_jobs=1).fit(rows, outcomes)

    with pytest.raises(ValueError, match=r"fitted on the classes \[.*\], not on 0 and 1"):
        compile_forest(fitted)


class _CountingTree:
    """The tree of a scikit-learn before 1.3, whose leaves hold how many rows they saw."""

    children_left = np.array([-1])
    children_right = np.array([-1])
    feature = np.array([-2])
    threshold = np.array([-2.0])
    value = np.array([[[30.0, 10.0]]])


class _CountingEstimator:
    tree_ = _CountingTree


class _CountingForest:
    classes_ = np.array([0, 1])
    estimators_: Sequence[Any] = (_CountingEstimator,)
    n_features_in_ = 1


def test_leaves_that_hold_counts_are_not_taken_for_probabilities() -> None:
    with pytest.raises(ValueError, match="the leaves hold weights, not shares"):
        compile_forest(_CountingForest())


def a_small_forest() -> dict[str, NDArray[Any]]:
    """Two trees: one splits feature 1 at 0.5 into 0.2 and 0.8, the other is a leaf with 0.4."""
    return {
        "feature": np.array([1, 0, 0, 0], dtype=np.int32),
        "threshold": np.array([0.5, 0.0, 0.0, 0.0]),
        "children": np.array([1, 2, 1, 1, 2, 2, 3, 3], dtype=np.int32),
        "probability": np.array([0.0, 0.2, 0.8, 0.4]),
        "roots": np.array([0, 3], dtype=np.int32),
        "n_features": np.array(2),
    }


def test_a_forest_can_be_read_by_eye() -> None:
    forest = CompiledForest.from_arrays(a_small_forest())

    probabilities = forest.probability_up(np.array([[9.0, 0.5], [9.0, 0.51]]))

    assert probabilities.tolist() == [(0.2 + 0.4) / 2, (0.8 + 0.4) / 2]


def put(name: str, index: int, value: float) -> Callable[[dict[str, NDArray[Any]]], None]:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays[name][index] = value

    return change


def swap(name: str, array: NDArray[Any]) -> Callable[[dict[str, NDArray[Any]]], None]:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays[name] = array

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda arrays: arrays.pop("roots"), "a forest has the arrays"),
        (swap("extra", np.zeros(1)), "a forest has the arrays"),
        (swap("feature", np.zeros(4)), "array feature must be int32"),
        (swap("threshold", np.zeros(4, dtype=np.float32)), "array threshold must be float64"),
        (swap("threshold", np.array([None] * 4)), "array threshold must be float64"),
        (swap("n_features", np.array([2])), "single number"),
        (swap("n_features", np.array(0)), "at least one"),
        (swap("n_features", np.array(1)), "a feature that rows do not have"),
        (swap("roots", np.zeros(0, dtype=np.int32)), "at least one tree"),
        (swap("threshold", np.zeros(5)), "array threshold must be float64"),
        (swap("threshold", np.zeros((4, 1))), "array threshold must be float64"),
        (swap("probability", np.zeros(3)), "array probability must be float64"),
        (swap("children", np.zeros(7, dtype=np.int32)), "array children must be int32"),
        (put("feature", 0, -1), "a feature that rows do not have"),
        (put("feature", 0, 2), "a feature that rows do not have"),
        (put("threshold", 0, np.nan), "a threshold is not finite"),
        (put("threshold", 3, np.inf), "a threshold is not finite"),
        (put("probability", 1, 1.1), "not between 0 and 1"),
        (put("probability", 1, -0.1), "not between 0 and 1"),
        (put("probability", 1, np.nan), "not between 0 and 1"),
        (put("children", 0, 4), "a child outside the forest"),
        (put("children", 0, -1), "a child outside the forest"),
        (put("roots", 1, 4), "a root lies outside"),
        (put("roots", 1, -1), "a root lies outside"),
        (put("children", 1, 0), "must come after it"),
        (put("children", 3, 2), "must come after it"),
        (put("children", 4, 0), "must come after it"),
        (put("children", 1, 1), "the child of exactly one other"),
        (put("children", 1, 3), "the child of exactly one other"),
        (put("roots", 1, 0), "the child of exactly one other"),
        (put("roots", 0, 1), "the child of exactly one other"),
    ],
)
def test_arrays_that_are_no_forest_are_refused(
    change: Callable[[dict[str, NDArray[Any]]], None], complaint: str
) -> None:
    arrays = a_small_forest()
    change(arrays)

    with pytest.raises(ValueError, match=complaint):
        CompiledForest.from_arrays(arrays)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["feature", "children", "roots"]),
            st.integers(0, 7),
            st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 5),
        ),
        max_size=4,
    ),
)
def test_damaged_arrays_are_refused_or_still_a_forest(damage: list[tuple[str, int, int]]) -> None:
    arrays = a_small_forest()
    for name, index, value in damage:
        arrays[name][index % len(arrays[name])] = value

    try:
        forest = CompiledForest.from_arrays(arrays)
    except ValueError:
        return

    probabilities = forest.probability_up(np.array([[0.1, 0.2], [0.9, 0.9]]))
    assert ((probabilities >= 0.0) & (probabilities <= 1.0)).all()
