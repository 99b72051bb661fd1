import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.research.series import IntArray
from daemon.research.splits import purged_walk_forward

HOUR = 3_600


def some_rows(moments: list[int], copies: list[int], length: int) -> tuple[IntArray, IntArray]:
    decided = np.repeat(np.array(moments, dtype=np.int64), copies) * HOUR
    return decided, decided + length * HOUR


rows_of_several_symbols = st.lists(st.integers(0, 500), min_size=12, max_size=80, unique=True).map(
    sorted
)


@given(
    rows_of_several_symbols,
    st.data(),
    st.integers(1, 6),
    st.integers(1, 20),
    st.integers(0, 10),
)
def test_no_training_label_reaches_into_the_tested_time(
    moments: list[int], data: st.DataObject, folds: int, length: int, embargo: int
) -> None:
    copies = data.draw(
        st.lists(st.integers(1, 3), min_size=len(moments), max_size=len(moments)), "symbols"
    )
    decided, ends = some_rows(moments, copies, length)
    try:
        made = purged_walk_forward(decided, ends, folds=folds, embargo_ns=embargo * HOUR)
    except ValueError:
        assume(False)

    for fold in made:
        assert fold.test_start_ns == decided[fold.test].min()
        assert fold.test_end_ns == decided[fold.test].max()
        assert (ends[fold.train] + embargo * HOUR <= fold.test_start_ns).all()
        left_out = np.setdiff1d(np.flatnonzero(decided < fold.test_start_ns), fold.train)
        assert (ends[left_out] + embargo * HOUR > fold.test_start_ns).all()


@given(rows_of_several_symbols, st.integers(1, 6))
def test_the_folds_cover_the_later_part_exactly_once_and_in_order(
    moments: list[int], folds: int
) -> None:
    decided, ends = some_rows(moments, [2] * len(moments), 1)

    made = purged_walk_forward(decided, ends, folds=folds)

    tested = np.concatenate([fold.test for fold in made])
    assert tested.tolist() == list(range(int(tested[0]), len(decided)))
    assert len(made) == folds
    for earlier, later in itertools.pairwise(made):
        assert earlier.test_end_ns < later.test_start_ns
        assert set(earlier.train) <= set(later.train)
    sizes = {len(fold.test) for fold in made}
    assert len(sizes) == 1


@given(rows_of_several_symbols, st.integers(1, 4))
def test_rows_of_one_moment_are_never_divided(moments: list[int], folds: int) -> None:
    decided, ends = some_rows(moments, [3] * len(moments), 1)

    for fold in purged_walk_forward(decided, ends, folds=folds):
        assert not set(decided[fold.train]) & set(decided[fold.test])


def test_the_order_of_the_rows_does_not_matter() -> None:
    decided, ends = some_rows(list(range(40)), [1] * 40, 2)
    order = np.random.default_rng(1).permutation(40)

    straight = purged_walk_forward(decided, ends, folds=3)
    shuffled = purged_walk_forward(decided[order], ends[order], folds=3)

    for a, b in zip(straight, shuffled, strict=True):
        assert sorted(order[b.train].tolist()) == a.train.tolist()
        assert sorted(order[b.test].tolist()) == a.test.tolist()


def test_what_cannot_be_split_is_refused() -> None:
    decided, ends = some_rows(list(range(6)), [1] * 6, 1)

    with pytest.raises(ValueError, match="too few"):
        purged_walk_forward(decided, ends, folds=6)
    with pytest.raises(ValueError, match="nothing to learn"):
        purged_walk_forward(decided, ends, folds=2, embargo_ns=100 * HOUR)
    with pytest.raises(ValueError, match="at least one fold"):
        purged_walk_forward(decided, ends, folds=0)
    with pytest.raises(ValueError, match="negative"):
        purged_walk_forward(decided, ends, folds=2, embargo_ns=-1)
    with pytest.raises(ValueError, match="end after"):
        purged_walk_forward(decided, decided, folds=2)
