"""A training as a process of its own: a job on standard input, progress and the model's id on
standard output.

Belongs here: the outside of a training. The training itself belongs to `training`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import TradingdError
from daemon.core.jobs import TrainingJob
from daemon.core.timeframes import timeframe_ns
from daemon.layers.features.sets import heard
from daemon.research.candidacy import HeldOut, best_window
from daemon.research.feature_files import kernels_with
from daemon.research.manners import end_with, give_way
from daemon.research.series import Series
from daemon.research.training import Trained, TrainingSettings, train
from daemon.store.bars import BarStore
from daemon.store.code_version import code_version
from daemon.store.matrix_cache import MatrixCache
from daemon.store.models import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Read one job, train and register; every line printed is JSON.

    The first line on standard input is the job, and when the pipe closes this process ends.
    """
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=TrainingJob)
    end_with(sys.stdin.buffer)
    if job.candidate is not None:
        give_way(job.candidate.memory_megabytes)
    try:
        model = run(job)
    except (TradingdError, ValueError) as error:
        _say({"error": str(error)})
        return 78
    _say({"model": model})
    return 0


def run(told: TrainingJob) -> str:
    """The id of the model, registered: active, a candidate, or refused by its verdict."""
    trained = _trained(told, read_series(told))
    registry = ModelRegistry(Path(told.registry))
    manifest = registry.register(trained.manifest, trained.arrays, trained.archive)
    if told.candidate is None:
        registry.activate(manifest.model_id)
    elif not manifest.edge_shown:
        registry.refuse(manifest.model_id)
    return manifest.model_id


def read_series(told: TrainingJob) -> list[Series]:
    """The believed bars of every series that had closed by `until_ns`; what lacks is a hole."""
    length_ns = timeframe_ns(told.timeframe)
    store = BarStore.open(Path(told.bars_db), read_only=True)
    cache = MatrixCache.beside(Path(told.bars_db), told.cache_megabytes)
    series = []
    for each in told.series:
        opens, ohlcv = cache.read_arrays(
            store, each.market, each.symbol, length_ns, told.since_ns, told.until_ns
        )
        whole = Series(each.name, opens, ohlcv, length_ns)
        series.append(whole.closed_by(told.until_ns))
    store.close()
    return series


def _trained(told: TrainingJob, series: Sequence[Series]) -> Trained:
    features = heard(told.features, kernels_with(told.features_file))
    settings = msgspec.convert(told.settings, TrainingSettings)

    def make(bars: Sequence[Series], own: TrainingSettings) -> Trained:
        return train(
            bars,
            features,
            own,
            seed=told.seed,
            market=told.market,
            timeframe=told.timeframe,
            progress=lambda done, total, what: _say({"done": done, "total": total, "what": what}),
            created_ns=told.created_ns,
            code_version=code_version(),
        )

    asked = told.candidate
    if asked is None or not asked.windows_bars:
        return make(series, settings)
    return best_window(
        series,
        settings,
        asked.windows_bars,
        HeldOut(asked.held_out_bars, asked.held_out_folds),
        lookback_bars=features.lookback,
        make=make,
    )


def _say(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
