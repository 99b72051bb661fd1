"""Compilation of forests: turns a fitted scikit-learn forest into the flat arrays the daemon walks.

Belongs here: reading scikit-learn's trees. Walking the arrays belongs to layer 3.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.layers.inference.forest import CompiledForest

LEAF = -1
LEAF_SUM_ERROR_MAX = 1e-9


class FittedForest(Protocol):
    """What is read of a fitted `RandomForestClassifier` or `ExtraTreesClassifier`."""

    classes_: NDArray[Any]
    estimators_: Sequence[Any]
    n_features_in_: int


def compile_forest(forest: FittedForest) -> CompiledForest:
    """The arrays of a forest that was fitted on classes 0 and 1; probabilities are those of 1.

    Raises ValueError when the forest saw other or fewer classes, or its leaves hold no shares.
    """
    classes = forest.classes_.tolist()
    if sorted(classes) != [0, 1]:
        raise ValueError(
            f"the forest was fitted on the classes {classes}, not on 0 and 1: with one outcome only"
            " there is nothing to learn"
        )
    up = classes.index(1)
    trees = [_tree_arrays(estimator.tree_, up) for estimator in forest.estimators_]
    sizes = [len(feature) for feature, *_ in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    features, thresholds, children, probabilities = zip(*trees, strict=True)
    shifted = [tree + root for tree, root in zip(children, roots, strict=True)]
    return CompiledForest(
        feature=np.concatenate(features).astype(np.int32),
        threshold=np.concatenate(thresholds),
        children=np.concatenate(shifted).astype(np.int32),
        probability=np.concatenate(probabilities),
        roots=roots.astype(np.int32),
        n_features=int(forest.n_features_in_),
    )


def _tree_arrays(
    tree: Any, up: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    # Only these five are documented; the raw node array changes its layout between versions.
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    shares = np.asarray(tree.value, dtype=np.float64)[:, 0, :]
    is_leaf = left == LEAF
    if np.abs(shares[is_leaf].sum(axis=1) - 1.0).max() > LEAF_SUM_ERROR_MAX:
        raise ValueError("the leaves hold weights, not shares: scikit-learn 1.3 or newer is needed")
    nodes = np.arange(len(left))
    children = np.empty(2 * len(left), dtype=np.int64)
    children[0::2] = np.where(is_leaf, nodes, left)
    children[1::2] = np.where(is_leaf, nodes, right)
    return (
        np.where(is_leaf, 0, tree.feature),
        np.where(is_leaf, 0.0, tree.threshold),
        children,
        np.where(is_leaf, shares[:, up], 0.0),
    )
