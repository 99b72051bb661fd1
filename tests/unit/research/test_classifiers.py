"""Every classifier that can be chosen: judged alike, and the same live as it was trained."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daemon.core.manifests import Manifest
from daemon.layers.features.catalog import reference_features
from daemon.layers.inference.model import ActiveModel
from daemon.layers.inference.predictors import COMPILED
from daemon.research.series import FloatArray
from daemon.research.training import Trained, TrainingRefused, TrainingSettings, train
from daemon.running.models.loading import load_model
from daemon.running.models.process import STARTS_MAX, ModelProcess
from daemon.store.models import ModelRegistry
from tests.unit.research.markets import a_market_with_edge

FEATURES = reference_features("1h")
SMALL = TrainingSettings(n_estimators=20, folds=3, max_depth=4)
HAS_LIGHTGBM = importlib.util.find_spec("lightgbm") is not None


class NearestMean:
    """Somebody's own classifier: the nearer class mean, by distance as a logistic."""

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def fit(self, features: FloatArray, up: FloatArray) -> "NearestMean":
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = features.shape[1]
        self.scale_ = features.std(axis=0) + 1e-12
        self.means_ = [(features[up == each] / self.scale_).mean(axis=0) for each in (0, 1)]
        return self

    def predict_proba(self, features: FloatArray) -> FloatArray:
        scaled = features / self.scale_
        down, up = (((scaled - mean) ** 2).sum(axis=1) for mean in self.means_)
        share = 1.0 / (1.0 + np.exp(self.sharpness * (up - down)))
        return np.column_stack([1.0 - share, share])


OWN = f"{NearestMean.__module__}:NearestMean"


def trained(settings: TrainingSettings, seed: int = 1) -> Trained:
    return train(
        [a_market_with_edge(1_500, 1)], FEATURES, settings, seed=seed, market="synthetic",
        timeframe="1h", progress=lambda *_: None,
    )  # fmt: skip


def registered(folder: Path, made: Trained) -> tuple[Manifest, ActiveModel]:
    registry = ModelRegistry(folder)
    manifest = registry.register(made.manifest, made.arrays, made.archive)
    return load_model(registry, manifest.model_id, FEATURES)


@pytest.mark.parametrize(
    ("classifier", "kind", "finds"),
    [
        ("random_forest", "rf", True),
        ("extra_trees", "et", True),
        ("logistic", "lr", False),  # the planted edge is no weighted sum of features
        ("gradient_boosting", "gb", True),
        pytest.param(
            "lightgbm", "lgbm", True,
            marks=pytest.mark.skipif(not HAS_LIGHTGBM, reason="lightgbm is not installed"),
        ),
        (OWN, "own", False),
    ],
)  # fmt: skip
def test_any_classifier_is_judged_stored_and_answers_live_as_it_was_taught(
    tmp_path: Path, classifier: str, kind: str, finds: bool
) -> None:
    made = trained(replace(SMALL, classifier=classifier))

    manifest, model = registered(tmp_path, made)

    assert manifest.kind == kind
    assert manifest.model_id.startswith(f"{kind}-")
    assert (manifest.out_of_sample.auc_low > 0.55) is finds
    # Loading has compared the probes bit for bit, together and one by one.
    rows = np.array(manifest.probes.rows)
    rows[0, 0] = np.nan
    said = model.predict(rows)
    assert np.isnan(said.probability_up[0])
    assert np.isfinite(said.probability_up[1:]).all()
    assert isinstance(model.predictor, ModelProcess) is (kind not in COMPILED)
    if isinstance(model.predictor, ModelProcess):
        model.predictor.close()


def test_the_same_training_gives_the_same_bytes_for_every_kind() -> None:
    for classifier in ("extra_trees", "logistic", "gradient_boosting"):
        settings = replace(SMALL, classifier=classifier)

        assert trained(settings).manifest == trained(settings).manifest, classifier


def test_parameters_of_ones_own_reach_the_classifier() -> None:
    soft = trained(replace(SMALL, classifier="logistic", parameters='{"C": 0.0001}'))
    usual = trained(replace(SMALL, classifier="logistic"))

    spread = [np.ptp(each.manifest.probes.probabilities) for each in (soft, usual)]
    assert spread[0] < spread[1]
    assert soft.manifest.settings["parameters"] == '{"C": 0.0001}'


@pytest.mark.parametrize(
    ("classifier", "parameters", "words"),
    [
        ("logistic", '{"depth": 3}', "does not fit logistic"),
        ("nowhere.module:Class", "{}", "cannot be imported"),
        ("json:loads", "{}", "does not fit"),
        ("random_tree", "{}", "expected random_forest"),
    ],
)
def test_a_classifier_that_cannot_be_made_is_refused_in_one_line(
    classifier: str, parameters: str, words: str
) -> None:
    with pytest.raises(TrainingRefused, match=words):
        trained(replace(SMALL, classifier=classifier, parameters=parameters))


def test_a_model_process_that_dies_answers_nothing_and_is_started_again() -> None:
    made = trained(replace(SMALL, classifier="gradient_boosting"))
    served = ModelProcess(made.archive, len(FEATURES.names))
    rows = np.array(made.manifest.probes.rows)
    expected = np.array(made.manifest.probes.probabilities)
    assert served.probability_up(rows).tobytes() == expected.tobytes()

    for _ in range(STARTS_MAX - 1):
        assert served._child is not None
        served._child.kill()
        served._child.wait()
        assert np.isnan(served.probability_up(rows)).all()
        assert served.probability_up(rows).tobytes() == expected.tobytes()

    assert served._child is not None
    served._child.kill()
    served._child.wait()
    assert np.isnan(served.probability_up(rows)).all()
    assert np.isnan(served.probability_up(rows)).all()  # it has ended too often
    served.close()


def test_an_archive_that_is_no_model_gives_no_probability() -> None:
    served = ModelProcess(b"no pickle", 3)

    assert np.isnan(served.probability_up(np.zeros((2, 3)))).all()
    served.close()


def test_a_served_model_with_a_changed_archive_is_refused_before_it_is_opened(
    tmp_path: Path,
) -> None:
    made = trained(replace(SMALL, classifier="gradient_boosting"))
    registry = ModelRegistry(tmp_path)
    model_id = registry.register(made.manifest, made.arrays, made.archive).model_id
    archive = tmp_path / model_id / "archive.joblib"
    changed = bytearray(archive.read_bytes())
    changed[len(changed) // 2] ^= 1
    archive.write_bytes(changed)

    with pytest.raises(Exception, match="sha256"):
        load_model(registry, model_id, FEATURES)
