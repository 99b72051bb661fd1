"""The models of a backtest: gives the pipeline at every moment the model it would have had then.

Belongs here: when a model is due and on which bars it is trained. Training itself belongs to
`research.training`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.errors import UsageRefused
from daemon.core.instruments import names_of
from daemon.core.timeframes import DAY_NS, rfc3339, timeframe_ns
from daemon.research.backtest import series_of
from daemon.running.models.loading import activation, active_model, load_model
from daemon.running.models.training_jobs import training_settings
from daemon.store.code_version import code_version
from daemon.store.models import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.app import Core
    from daemon.backtests.tested_bars import Recorded
    from daemon.config import Settings
    from daemon.core.events import Input
    from daemon.core.manifests import Manifest
    from daemon.layers.features.sets import FeatureSet
    from daemon.layers.inference.model import ActiveModel

    Say = Callable[[str, int, int], None]


class Models:
    """Gives the pipeline the model it would have had, and remembers which were used."""

    def __init__(  # noqa: PLR0917  # made in one place, of what a backtest is made of
        self,
        settings: Settings,
        features: FeatureSet,
        core: Core,
        recorded: Recorded,
        model_id: str | None,
        say: Say,
    ) -> None:
        self._settings = settings
        self._features = features
        self._core = core
        self._recorded = recorded
        self._fixed = model_id
        self._say = say
        self._registry = ModelRegistry(settings.run.state_dir / "models")
        self._length_ns = timeframe_ns(settings.data.timeframe)
        self._max_age_ns = round(settings.model.max_age_days * DAY_NS)
        self._trained_through_ns: int | None = None
        self.used: list[str] = []

    def due(self, close_ns: int) -> list[Input]:
        """The activation to take before the slot that closes at `close_ns`, if one is due."""
        through_ns = self._trained_through_ns
        if through_ns is not None:
            is_old = close_ns - through_ns > self._max_age_ns
            if self._fixed is not None or not is_old:
                return []
        manifest, model = self._next(close_ns - self._length_ns)
        if manifest.trained_through_ns >= close_ns:
            msg = (
                f"model {manifest.model_id} was trained through "
                f"{rfc3339(manifest.trained_through_ns)}: it has seen what it would be tested on"
            )
            raise UsageRefused(msg)
        self._trained_through_ns = manifest.trained_through_ns
        self.used.append(manifest.model_id)
        self._core.inference.use_model(model)
        self._core.monitoring.use_references(
            manifest.model_id, manifest.reference, manifest.reference_probability
        )
        return [activation(manifest, close_ns - self._length_ns)]

    def _next(self, now_ns: int) -> tuple[Manifest, ActiveModel]:
        if self._fixed is not None:
            return load_model(self._registry, self._fixed, self._features)
        from daemon.research.training import TrainingSettings, train

        since_ns = now_ns - self._settings.data.history_bars * self._length_ns
        names = names_of(each.id for each in self._recorded.instruments)
        series = []
        for instrument in self._recorded.instruments:
            bars = [
                bar
                for bar in self._recorded.bars
                if bar.instrument == instrument.id
                and since_ns <= bar.open_ns
                and bar.close_ns <= now_ns
            ]
            series.append(series_of(names[instrument.id], bars, self._length_ns))
        trained = train(
            series,
            self._features,
            TrainingSettings(**training_settings(self._settings)),  # type: ignore[arg-type]
            seed=self._settings.run.seed,
            market=self._recorded.market,
            timeframe=self._settings.data.timeframe,
            code_version=code_version(),
            progress=lambda done, total, _what: self._say(
                f"model {len(self.used) + 1}", done, total
            ),
        )
        # Kept as a candidate, so that reports and parity find it; nothing trades with it.
        manifest = self._registry.register(trained.manifest, trained.arrays, trained.archive)
        return manifest, active_model(manifest, dict(trained.arrays), trained.archive)
