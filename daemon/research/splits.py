"""Purged, embargoed, expanding walk-forward folds over time, for rows of any number of symbols.

Which row may teach which fold belongs here; what is fitted on them belongs in `walkforward`.
"""

from dataclasses import dataclass

import numpy as np

from daemon.research.series import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Row numbers to learn from and to be tested on; all symbols share the same time borders."""

    train: IntArray
    test: IntArray
    test_start_ns: int  # decision time of the first tested row
    test_end_ns: int  # decision time of the last tested row


def purged_walk_forward(
    decided_ns: IntArray, label_end_ns: IntArray, *, folds: int, embargo_ns: int = 0
) -> tuple[Fold, ...]:
    """Cut the decision times into `folds` + 1 equal blocks and test on all but the first, in order.

    A row teaches a fold only if its label had ended at least `embargo_ns` before the fold's first
    decision (López de Prado, Advances in Financial Machine Learning, 2018, chapter 7; only the past
    side exists here, because training never sees anything after the test). Rows of one moment are
    never divided. Raises `ValueError` where there is not enough time or nothing is left to learn.
    """
    if folds < 1:
        raise ValueError("walk-forward needs at least one fold")
    if embargo_ns < 0:
        raise ValueError("an embargo is never negative")
    if (label_end_ns <= decided_ns).any():
        raise ValueError("a label must end after its decision")
    moments = np.unique(decided_ns)
    size = len(moments) // (folds + 1)
    if size == 0:
        raise ValueError(f"{len(moments)} decision times are too few for {folds} folds")
    first_ns = [int(moments[len(moments) - size * left]) for left in range(folds, 0, -1)]
    after_ns = [*first_ns[1:], int(moments[-1]) + 1]
    return tuple(
        _fold(decided_ns, label_end_ns, start, stop, embargo_ns)
        for start, stop in zip(first_ns, after_ns, strict=True)
    )


def _fold(
    decided_ns: IntArray, label_end_ns: IntArray, start_ns: int, stop_ns: int, embargo_ns: int
) -> Fold:
    train = np.flatnonzero(label_end_ns <= start_ns - embargo_ns)
    test = np.flatnonzero((decided_ns >= start_ns) & (decided_ns < stop_ns))
    if len(train) == 0:
        raise ValueError("purging and embargo leave nothing to learn from")
    return Fold(train, test, start_ns, int(decided_ns[test].max()))
