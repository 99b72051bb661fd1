"""Compilation: turns a fitted scikit-learn model into the flat arrays the daemon computes with.

Belongs here: reading scikit-learn's trees and coefficients. Using the arrays belongs to layer 3.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.core.errors import ModelRefused
from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.linear import CompiledLinear
from daemon.layers.inference.predictors import FORESTS, REGRESSIONS, CompiledPredictor

LEAF = -1
LEAF_SUM_ERROR_MAX = 1e-9
REGRESSION_ERROR_MAX = 1e-12


def compile_forest(forest: Any) -> CompiledForest:
    """The arrays of a random or extra-trees forest fitted on classes 0 and 1; probabilities are
    those of 1.

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


def compile_regression(pipeline: Any) -> CompiledLinear:
    """The arrays of a scaler and a logistic regression fitted on classes 0 and 1."""
    scaler, regression = pipeline.steps[0][1], pipeline.steps[1][1]
    classes = regression.classes_.tolist()
    if sorted(classes) != [0, 1]:
        raise ValueError(f"the regression was fitted on the classes {classes}, not on 0 and 1")
    sign = 1.0 if classes.index(1) == 1 else -1.0
    return CompiledLinear(
        mean=np.array(scaler.mean_, np.float64),
        scale=np.array(scaler.scale_, np.float64),
        weight=sign * np.array(regression.coef_[0], np.float64),
        intercept=sign * float(regression.intercept_[0]),
    )


def compile_model(kind: str, fitted: Any, rows: NDArray[np.float64]) -> CompiledPredictor | None:
    """The compiled form of a fitted classifier, proven on `rows`; None where there is none.

    A forest repeats scikit-learn's bits. A regression may differ in the last ones, since matrix
    products add in an order of their own. Raises `ModelRefused` where they differ by more.
    """
    made: CompiledPredictor
    if kind in FORESTS:
        made = compile_forest(fitted)
    elif kind in REGRESSIONS:
        made = compile_regression(fitted)
    else:
        return None
    up = fitted.classes_.tolist().index(1)
    said, own = fitted.predict_proba(rows)[:, up], made.probability_up(rows)
    is_same = own.tobytes() == said.tobytes()
    if kind in REGRESSIONS:
        is_same = bool(np.abs(own - said).max() <= REGRESSION_ERROR_MAX)
    if not is_same:
        raise ModelRefused(f"the compiled model ({kind}) does not say what scikit-learn says")
    return made


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
