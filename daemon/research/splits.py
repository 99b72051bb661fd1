"""Purged, embargoed walk-forward folds over time, for rows of any number of symbols.

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
    moments = np.unique(decided_ns)
    return _cut(decided_ns, label_end_ns, moments, len(moments) // (folds + 1), folds, embargo_ns)


def held_out_folds(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    *,
    folds: int,
    held_out_ns: int,
    window_ns: int,
    embargo_ns: int = 0,
) -> tuple[Fold, ...]:
    """Test on the newest `held_out_ns` alone, in `folds` equal blocks, each by what was learnt in
    the `window_ns` before it; purged as above.

    Whatever the window, the same moments are tested, so that windows can be compared. Raises
    `ValueError` where no row is old enough to be learnt from, or there is not enough time.
    """
    moments = np.unique(decided_ns)
    held_out = moments[moments > moments[-1] - held_out_ns] if len(moments) else moments
    size = len(held_out) // folds if folds else 0
    return _cut(decided_ns, label_end_ns, held_out, size, folds, embargo_ns, window_ns)


def _cut(  # noqa: PLR0917  # of two callers, both above
    decided_ns: IntArray,
    label_end_ns: IntArray,
    moments: IntArray,
    size: int,
    folds: int,
    embargo_ns: int,
    window_ns: int | None = None,
) -> tuple[Fold, ...]:
    if folds < 1:
        raise ValueError("walk-forward needs at least one fold")
    if embargo_ns < 0:
        raise ValueError("an embargo is never negative")
    if (label_end_ns <= decided_ns).any():
        raise ValueError("a label must end after its decision")
    if size == 0:
        raise ValueError(f"{len(moments)} decision times are too few for {folds} folds")
    first_ns = [int(moments[len(moments) - size * left]) for left in range(folds, 0, -1)]
    after_ns = [*first_ns[1:], int(moments[-1]) + 1]
    return tuple(
        _fold(decided_ns, label_end_ns, (start, stop), embargo_ns, window_ns)
        for start, stop in zip(first_ns, after_ns, strict=True)
    )


def _fold(
    decided_ns: IntArray,
    label_end_ns: IntArray,
    tested_ns: tuple[int, int],
    embargo_ns: int,
    window_ns: int | None,
) -> Fold:
    start_ns, stop_ns = tested_ns
    is_known = label_end_ns <= start_ns - embargo_ns
    if window_ns is not None:
        is_known &= decided_ns >= start_ns - window_ns
    train = np.flatnonzero(is_known)
    test = np.flatnonzero((decided_ns >= start_ns) & (decided_ns < stop_ns))
    if len(train) == 0:
        raise ValueError("purging and embargo leave nothing to learn from")
    return Fold(train, test, start_ns, int(decided_ns[test].max()))
