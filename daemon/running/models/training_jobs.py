"""Says what a model is to be trained on and how, and which one is that already.

Belongs here: what the configuration means for a training. The process that trains belongs to
`training_process`, when a running daemon wants one to `retraining`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from daemon.core.errors import ModelForeign
from daemon.core.jobs import CandidateJob, TrainingJob, TrainingSeries
from daemon.core.manifests import model_key
from daemon.core.timeframes import DAY_NS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.config import Settings
    from daemon.layers.features.sets import FeatureSet
    from daemon.store.models import ModelRegistry


def usable_model(
    registry: ModelRegistry,
    *,
    market: str,
    symbols: Sequence[str],
    settings: Settings,
    features: FeatureSet,
    first_close_ns: int,
) -> str | None:
    """Id of the market's active model, if it is what this configuration would train today.

    Not one that is too old or written by another version, nor one that has seen labels of bars that
    are still to come.
    """
    found = registry.active_for(
        model_key(market, symbols, settings.data.timeframe, features.fingerprint)
    )
    if found is None:
        return None
    try:
        manifest = registry.manifest(found)
    except ModelForeign:
        return None
    age_ns = first_close_ns - manifest.trained_through_ns
    wanted = training_settings(settings)
    is_alike = manifest.seed == settings.run.seed and all(
        manifest.settings.get(name) == value for name, value in wanted.items()
    )
    is_fresh = 0 <= age_ns <= max_age_ns(settings)
    return found if is_alike and is_fresh else None


def max_age_ns(settings: Settings) -> int:
    """How long after its last label a model may be used, in market time."""
    return round(settings.model.max_age_days * DAY_NS)


def training_settings(settings: Settings) -> dict[str, int | float | bool | str]:
    """What the configuration says about a training, by the names research uses."""
    return {
        "classifier": settings.model.classifier,
        "parameters": json.dumps(settings.model.parameters, sort_keys=True),
        "n_estimators": settings.model.trees,
        "max_depth": settings.model.depth,
        "min_samples_leaf": settings.model.min_leaf,
        "folds": settings.model.folds,
        "horizon_bars": settings.model.horizon_bars,
        "label": settings.model.label,
        "dead_zone_bps": settings.model.dead_zone_bps,
        "barrier_unit": settings.model.barrier_unit,
        "profit_barrier": settings.model.profit_barrier,
        "stop_barrier": settings.model.stop_barrier,
        "barrier_bars": settings.model.barrier_bars,
        "fee_bps": settings.execution.fee_bps,
        "slippage_bps": settings.execution.slippage_bps,
        "confidence_min_ratio": settings.signal.confidence_min_ratio,
        "cost_margin_bps": settings.signal.cost_margin_bps,
        "allow_short": settings.signal.allow_short,
        "psi_window": settings.health.window_outcomes,
        "zero_volume": settings.data.zero_volume,
    }


def training_job(
    settings: Settings,
    features: FeatureSet,
    *,
    bars_db: Path,
    registry: Path,
    market: str,
    series: Sequence[TrainingSeries],
    since_ns: int,
    until_ns: int,
    created_ns: int,
    candidate: CandidateJob | None = None,
) -> TrainingJob:
    return TrainingJob(
        bars_db=str(bars_db),
        registry=str(registry),
        market=market,
        series=tuple(series),
        timeframe=settings.data.timeframe,
        features=features.told(),
        features_file=settings.features.file,
        since_ns=since_ns,
        until_ns=until_ns,
        settings=training_settings(settings),
        seed=settings.run.seed,
        created_ns=created_ns,
        cache_megabytes=settings.store.cache_megabytes,
        candidate=candidate,
    )
