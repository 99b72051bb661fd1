"""The models of one run: finds the one it may begin with, or has it and its candidates trained.

Belongs here: what this run's trainings have in common. What a configuration means for a training
belongs to `training_jobs`, when a candidate is wanted to `retraining`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.timeframes import timeframe_ns
from daemon.running.models.candidates import candidate_job
from daemon.running.models.training_jobs import max_age_ns, training_job, usable_model
from daemon.running.models.training_process import train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Settings
    from daemon.core.clock import WireClock
    from daemon.core.events import ModelActivated, StartTraining
    from daemon.core.jobs import CandidateJob, TrainingJob, TrainingProgress
    from daemon.core.manifests import Manifest
    from daemon.layers.features.sets import FeatureSet
    from daemon.running.reporting import Reporter
    from daemon.running.world.sites import World
    from daemon.store.models import ModelRegistry
    from daemon.store.runs import RunPaths


class Trainings:
    """Trainings of a run: on the bars of its store, into its registry, told to its reporter."""

    def __init__(  # noqa: PLR0917  # made in one place, of what a run is made of
        self,
        settings: Settings,
        features: FeatureSet,
        registry: ModelRegistry,
        paths: RunPaths,
        world: World,
        reporter: Reporter,
        wire: WireClock,
    ) -> None:
        self._settings = settings
        self._features = features
        self._registry = registry
        self._paths = paths
        self._world = world
        self._reporter = reporter
        self._wire = wire
        self._timeframe_ns = timeframe_ns(settings.data.timeframe)

    async def first(self, until_ns: int) -> str:
        """The active model if it fits what comes, else one trained on the bars up to `until_ns`."""
        found = usable_model(
            self._registry,
            market=self._world.model_market,
            symbols=tuple(self._world.names.values()),
            settings=self._settings,
            features=self._features,
            first_close_ns=until_ns + self._timeframe_ns,
        )
        if found is not None:
            return found
        model_id = await train(self._job(until_ns), self._on_progress)
        self._reporter.trained(self._registry.manifest(model_id))
        return model_id

    async def candidate(self, asked: StartTraining) -> Manifest:
        """A model that may take the place of the active one, trained while that one decides."""
        config = self._settings.retraining
        job = self._job(asked.until_ns, candidate_job(config, asked.reason))
        model_id = await train(job, self._on_progress, within_s=config.max_minutes * 60.0)
        return await asyncio.to_thread(self._registry.manifest, model_id)

    def is_no_use(self, event: ModelActivated, now_ns: int, unfit: Mapping[str, str]) -> bool:
        """It cannot be loaded, or layer 4 refuses it for its age and none will be asked for."""
        is_too_old = now_ns - event.trained_through_ns > max_age_ns(self._settings)
        return event.model in unfit or (is_too_old and not self._settings.retraining.enabled)

    def _job(self, until_ns: int, candidate: CandidateJob | None = None) -> TrainingJob:
        return training_job(
            self._settings,
            self._features,
            bars_db=self._paths.bars,
            registry=self._paths.models,
            market=self._world.model_market,
            series=self._world.training_series(),
            since_ns=until_ns - self._settings.data.history_bars * self._timeframe_ns,
            until_ns=until_ns,
            created_ns=self._wire.now_ns(),
            candidate=candidate,
        )

    def _on_progress(self, line: TrainingProgress) -> None:
        self._reporter.progress("training", line.done, line.total, line.what)
