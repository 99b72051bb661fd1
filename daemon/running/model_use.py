"""Hands a run's models to a fresh core: verified, with what was usual when they were trained.

Belongs here: what replaying and recovering need before the first event. Choosing and training a
model belongs to `boot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.running.boot import load_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.app import Core
    from daemon.core.events import ModelActivated
    from daemon.layers.features.sets import FeatureSet
    from daemon.store.models import ModelRegistry


def use_models(
    core: Core, registry: ModelRegistry, features: FeatureSet, activated: Iterable[ModelActivated]
) -> None:
    """Every model that was ever activated, each once; ModelRefused when one does not fit."""
    for model_id in dict.fromkeys(each.model for each in activated):
        manifest, model = load_model(registry, model_id, features)
        core.inference.use_model(model)
        core.monitoring.use_references(
            manifest.model_id, manifest.reference, manifest.reference_probability
        )
