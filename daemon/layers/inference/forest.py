"""A random forest as flat arrays: turns feature rows into the exact bits scikit-learn would give.

Belongs here: the arrays, the proof that they are a forest, and the walk. Making them from a fitted
forest belongs to `research.compile_forest`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Nodes = NDArray[np.int32]

BLOCK_ROWS: Final = 256  # rows walked together, few enough to stay in the CPU's cache
DTYPES: Final = {
    "feature": np.int32,
    "threshold": np.float64,
    "children": np.int32,
    "probability": np.float64,
    "roots": np.int32,
    "n_features": np.int64,
}


@dataclass(frozen=True, eq=False)
class CompiledForest:
    """All trees in one list of N nodes, every node before its children.

    `feature` (N,) and `threshold` (N,): a row goes left where its feature, rounded to float32, is
    at most the threshold. `children` (2N,): left and right of node i at 2i and 2i + 1; a leaf is
    its own child. `probability` (N,): that of class 1 at a leaf, else 0. `roots` (T,): one per
    tree, in the order of summation. Raises ValueError when the arrays are anything but such a
    forest, so that walking them can neither leave them nor go on for ever.
    """

    feature: Nodes
    threshold: Rows
    children: Nodes
    probability: Rows
    roots: Nodes
    n_features: int

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)
        _check_trees(self)
        for name in self.arrays():
            if name != "n_features":
                getattr(self, name).setflags(write=False)

    @cached_property
    def depth(self) -> int:
        """How many decisions the longest path from a root to a leaf has."""
        depth, level = 0, self.roots
        while True:
            left = self.children[2 * level]
            inner = level[left != level]
            if not inner.size:
                return depth
            level = np.concatenate([self.children[2 * inner], self.children[2 * inner + 1]])
            depth += 1

    def probability_up(self, rows: Rows) -> Rows:
        """Mean of the trees' class 1 probabilities for each row (m, n_features), as float64 (m,).

        Equal to `RandomForestClassifier.predict_proba(rows)[:, 1]` with n_jobs=1 in every bit, for
        any m. A row that is not finite as float32 gives NaN. ValueError on another shape or type.
        """
        if rows.ndim != 2 or rows.shape[1] != self.n_features or rows.dtype != np.float64:
            raise ValueError(
                f"rows must be float64 (m, {self.n_features}), not {rows.dtype} {rows.shape}"
            )
        # scikit-learn rounds values to float32 and compares those with float64 thresholds.
        with np.errstate(over="ignore", invalid="ignore"):
            values = rows.astype(np.float32, order="C").astype(np.float64)
        out = np.empty(len(rows))
        for first in range(0, len(rows), BLOCK_ROWS):
            out[first : first + BLOCK_ROWS] = self._walk(values[first : first + BLOCK_ROWS])
        out[~np.isfinite(values).all(axis=1)] = np.nan
        return out

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The forest as named arrays, to be stored."""
        return {
            field.name: np.asarray(getattr(self, field.name), DTYPES[field.name])
            for field in fields(self)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "CompiledForest":
        """The forest that `arrays` were taken from; ValueError for anything else than a forest.

        The arrays must hold exactly these names in exactly these types, and are copied.
        """
        if set(arrays) != set(DTYPES):
            raise ValueError(f"a forest has the arrays {sorted(DTYPES)}, not {sorted(arrays)}")
        copies = {}
        for name, array in arrays.items():
            if array.dtype != DTYPES[name]:
                raise ValueError(f"array {name} must be {DTYPES[name].__name__}, not {array.dtype}")
            copies[name] = np.array(array, order="C")
        n_features = copies.pop("n_features")
        if n_features.shape != ():
            raise ValueError("array n_features must be a single number")
        return cls(**copies, n_features=int(n_features))

    def _walk(self, values: Rows) -> Rows:
        count = len(values)
        flat = values.ravel()
        rows = np.arange(0, count * self.n_features, self.n_features, dtype=np.intp)[:, np.newaxis]
        feature, threshold, children, roots = self._pairs
        at = np.broadcast_to(roots, (count, len(roots)))
        for _ in range(self.depth):
            column = feature.take(at)
            if count > 1:
                column += rows
            at = children.take(at + (flat.take(column) > threshold.take(at)))
        leaves = self.probability.take(at >> 1)
        # An accumulated sum is defined as adding one by one, in tree order, as scikit-learn does.
        means: Rows = np.add.accumulate(leaves, axis=1)[:, -1] / len(roots)
        return means

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.intp], Rows, NDArray[np.intp], NDArray[np.intp]]:
        # The walk stands at 2 x node, so that adding "goes right" is the place of the next child,
        # and it indexes with machine words, as numpy would convert anything else at every step.
        return (
            np.repeat(self.feature, 2).astype(np.intp),
            np.repeat(self.threshold, 2),
            2 * self.children.astype(np.intp),
            2 * self.roots.astype(np.intp),
        )


def _check_shapes(forest: CompiledForest) -> None:
    nodes, trees = forest.feature.size, forest.roots.size
    if trees < 1 or nodes < trees or forest.n_features < 1:
        raise ValueError("a forest has at least one tree, one node per tree and one feature")
    for name, array in forest.arrays().items():
        given = getattr(forest, name)
        if name == "n_features":
            continue
        expected = {"roots": trees, "children": 2 * nodes}.get(name, nodes)
        if given.dtype != array.dtype or given.shape != (expected,):
            raise ValueError(
                f"array {name} must be {array.dtype} ({expected},), not {given.dtype} {given.shape}"
            )


def _check_values(forest: CompiledForest) -> None:
    if forest.feature.min() < 0 or forest.feature.max() >= forest.n_features:
        raise ValueError("a node asks for a feature that rows do not have")
    if not np.isfinite(forest.threshold).all():
        raise ValueError("a threshold is not finite")
    # Written so that NaN fails too.
    if not ((forest.probability >= 0.0) & (forest.probability <= 1.0)).all():
        raise ValueError("a leaf's probability is not between 0 and 1")


def _check_trees(forest: CompiledForest) -> None:
    nodes = np.arange(forest.feature.size)
    left, right = forest.children[0::2], forest.children[1::2]
    if forest.children.min() < 0 or forest.children.max() >= nodes.size:
        raise ValueError("a node has a child outside the forest")
    if forest.roots.min() < 0 or forest.roots.max() >= nodes.size:
        raise ValueError("a root lies outside the forest")
    is_leaf = left == nodes
    inner = nodes[~is_leaf]
    if (right[is_leaf] != nodes[is_leaf]).any() or (
        (left[inner] <= inner) | (right[inner] <= inner)
    ).any():
        raise ValueError("a node's children must come after it, or both be the node itself")
    parents = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=nodes.size)
    parents += np.bincount(forest.roots, minlength=nodes.size)
    if (parents != 1).any():
        raise ValueError("every node must be a root or the child of exactly one other")
