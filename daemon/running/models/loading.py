"""Makes of what the registry keeps a model that can answer, and the event of its promises.

Belongs here: loading and proving. Who is given it belongs to `models.use`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.errors import ModelRefused
from daemon.core.events import ModelActivated, Payoff
from daemon.core.labels import rule_of
from daemon.layers.inference.model import ActiveModel, Calibration
from daemon.layers.inference.predictors import COMPILED, Predictor, compiled
from daemon.running.models.process import ModelProcess

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from daemon.core.manifests import Manifest
    from daemon.layers.features.sets import FeatureSet
    from daemon.store.models import ModelRegistry


def load_model(
    registry: ModelRegistry, model_id: str, features: FeatureSet
) -> tuple[Manifest, ActiveModel]:
    """The verified model, ready to predict; ModelRefused when anything about it does not fit."""
    manifest, arrays = registry.load(model_id, feature_fingerprint=features.fingerprint)
    archive = None if manifest.kind in COMPILED else registry.archive(model_id)
    try:
        model = active_model(manifest, arrays, archive)
        model.require_features(features.fingerprint, features.names)
        model.check_probe(manifest.probes.rows, manifest.probes.probabilities)
    except ValueError as error:
        msg = f"model {model_id}: {error}"
        raise ModelRefused(msg) from error
    return manifest, model


def active_model(
    manifest: Manifest, arrays: dict[str, npt.NDArray[np.generic]], archive: bytes | None = None
) -> ActiveModel:
    """`archive` is needed where the kind has no compiled form: it is then served by a process."""
    table = manifest.calibration
    predictor: Predictor
    if manifest.kind in COMPILED:
        predictor = compiled(manifest.kind, arrays)
    else:
        assert archive is not None, "a model without a compiled form needs its archive"
        predictor = ModelProcess(archive, len(manifest.feature_set.names))
    return ActiveModel(
        model_id=manifest.model_id,
        feature_fingerprint=manifest.feature_set.fingerprint,
        feature_names=manifest.feature_set.names,
        predictor=predictor,
        calibration=Calibration(table.knots, table.probabilities, table.standard_errors),
    )


def activation(manifest: Manifest, ts_ns: int) -> ModelActivated:
    """The event that hands the model's promises to the layers."""
    up, down = manifest.payoffs.up, manifest.payoffs.down
    scored = manifest.out_of_sample
    return ModelActivated(
        ts_ns=ts_ns,
        model=manifest.model_id,
        feature_fingerprint=manifest.feature_set.fingerprint,
        feature_names=manifest.feature_set.names,
        horizon_bars=manifest.horizon_bars,
        trained_through_ns=manifest.trained_through_ns,
        long_payoff=Payoff(win_ratio=up.win_ratio, loss_ratio=up.loss_ratio, n=up.n),
        short_payoff=Payoff(win_ratio=down.win_ratio, loss_ratio=down.loss_ratio, n=down.n),
        auc=scored.auc,
        auc_low=scored.auc_low,
        auc_high=scored.auc_high,
        label=rule_of(manifest.settings),
    )
