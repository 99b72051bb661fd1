"""Classifiers by name: turns what a person chose into an estimator that can be fitted and judged.

Belongs here: which classifiers there are and with what they are made. Fitting them on folds belongs
in `walkforward`, turning a fitted one into arrays in `compiling`.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from daemon.research.datasets import TrainingRefused
from daemon.research.series import FloatArray, IntArray

if TYPE_CHECKING:
    from daemon.research.settings import TrainingSettings

OWN = "own"
# Chosen by name; anything else is the import path of a class, package.module:Class.
SHORT_NAMES = {
    "random_forest": "rf",
    "extra_trees": "et",
    "logistic": "lr",
    "gradient_boosting": "gb",
    "lightgbm": "lgbm",
}
# Fitted in steps of their trees, in threads: growing trees holds no lock.
GROWN = frozenset({"random_forest", "extra_trees"})

Value = int | float | bool | str


class Fitted(Protocol):
    """What is asked of any fitted classifier."""

    classes_: Any

    def predict_proba(self, features: FloatArray) -> FloatArray: ...


class Classifier(Fitted, Protocol):
    """What is asked of one that is not fitted yet."""

    def fit(self, features: FloatArray, up: IntArray) -> Any: ...


def short_name(classifier: str) -> str:
    """The first part of a model's id."""
    return SHORT_NAMES.get(classifier, OWN)


def make_classifier(settings: "TrainingSettings", *, seed: int) -> Classifier:
    """An estimator with the settings' own parameters over its defaults; never more than one thread.

    Raises `TrainingRefused`, in one line, for a class that cannot be imported, is no classifier
    with probabilities, or does not take a parameter.
    """
    name = settings.classifier
    maker = _MAKERS.get(name)
    made_of: Mapping[str, Value] = settings.own_parameters
    try:
        made: Classifier = (
            _own(name, made_of, seed) if maker is None else maker(settings, made_of, seed)
        )
    except TypeError as error:
        raise TrainingRefused(f"model.parameters does not fit {name}: {error}") from error
    return made


def _random_forest(settings: "TrainingSettings", own: Mapping[str, Value], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**_forest(settings, seed) | dict(own))


def _extra_trees(settings: "TrainingSettings", own: Mapping[str, Value], seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(**_forest(settings, seed) | {"bootstrap": True} | dict(own))


def _forest(settings: "TrainingSettings", seed: int) -> dict[str, Any]:
    return {
        "n_estimators": settings.n_estimators,
        "max_depth": settings.max_depth,
        "min_samples_leaf": settings.min_samples_leaf,
        "max_samples": None if settings.sample_ratio >= 1.0 else settings.sample_ratio,
        "random_state": seed,
        "n_jobs": 1,
        "warm_start": True,
    }


def _logistic(_settings: "TrainingSettings", own: Mapping[str, Value], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(**{"max_iter": 1_000, "random_state": seed} | dict(own))
    return make_pipeline(StandardScaler(), model)


def _gradient_boosting(settings: "TrainingSettings", own: Mapping[str, Value], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    given: dict[str, Any] = {
        "max_iter": settings.n_estimators,
        "max_depth": settings.max_depth,
        "min_samples_leaf": settings.min_samples_leaf,
        "learning_rate": 0.05,
        "early_stopping": False,
        "random_state": seed,
    }
    return HistGradientBoostingClassifier(**given | dict(own))


def _lightgbm(settings: "TrainingSettings", own: Mapping[str, Value], seed: int) -> Any:
    try:
        lightgbm = importlib.import_module("lightgbm")
    except ImportError as error:
        raise TrainingRefused(
            "model.classifier is lightgbm, which is not installed: pip install 'tradingd[boost]'"
        ) from error
    given: dict[str, Any] = {
        "n_estimators": settings.n_estimators,
        "max_depth": settings.max_depth,
        "min_child_samples": settings.min_samples_leaf,
        "learning_rate": 0.05,
        "random_state": seed,
        "n_jobs": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    return lightgbm.LGBMClassifier(**given | dict(own))


def _own(path: str, own: Mapping[str, Value], seed: int) -> Any:
    module, _, name = path.partition(":")
    known = ", ".join(SHORT_NAMES)
    if not name:
        raise TrainingRefused(
            f"model.classifier is {path!r}, expected {known}, or package.module:Class"
        )
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TrainingRefused(f"model.classifier {path} cannot be imported: {error}") from error
    accepted = inspect.signature(made).parameters
    fixed = {"random_state": seed, "n_jobs": 1}
    given = {key: value for key, value in fixed.items() if key in accepted} | dict(own)
    classifier = made(**given)
    for method in ("fit", "predict_proba"):
        if not callable(getattr(classifier, method, None)):
            raise TrainingRefused(f"model.classifier {path} has no {method}")
    return classifier


_MAKERS: dict[str, Callable[["TrainingSettings", Mapping[str, Value], int], Any]] = {
    "random_forest": _random_forest,
    "extra_trees": _extra_trees,
    "logistic": _logistic,
    "gradient_boosting": _gradient_boosting,
    "lightgbm": _lightgbm,
}
