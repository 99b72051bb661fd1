"""A training as a process of its own: a job on standard input, progress and the model's id on
standard output.

Belongs here: the outside of a training. The training itself belongs to `training`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from daemon.core.errors import TradingdError
from daemon.core.jobs import TrainingJob
from daemon.core.timeframes import timeframe_ns
from daemon.layers.features.sets import heard
from daemon.research.feature_files import kernels_with
from daemon.research.series import Series
from daemon.research.training import TrainingSettings, train
from daemon.store.bars import BarStore
from daemon.store.code_version import code_version
from daemon.store.matrix_cache import MatrixCache
from daemon.store.models import ModelRegistry


def main() -> int:
    """Read one job, train, register and activate; every line printed is JSON."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=TrainingJob)
    try:
        model = _run(job)
    except (TradingdError, ValueError) as error:
        _say({"error": str(error)})
        return 78
    _say({"model": model})
    return 0


def _run(told: TrainingJob) -> str:
    length_ns = timeframe_ns(told.timeframe)
    store = BarStore.open(Path(told.bars_db), read_only=True)
    cache = MatrixCache.beside(Path(told.bars_db), told.cache_megabytes)
    series = []
    for each in told.series:
        opens, ohlcv = cache.read_arrays(
            store, each.market, each.symbol, length_ns, told.since_ns, told.until_ns
        )
        series.append(Series(each.name, opens, ohlcv, length_ns))
    store.close()
    trained = train(
        series,
        heard(told.features, kernels_with(told.features_file)),
        msgspec.convert(told.settings, TrainingSettings),
        seed=told.seed,
        market=told.market,
        timeframe=told.timeframe,
        progress=lambda done, total, what: _say({"done": done, "total": total, "what": what}),
        created_ns=told.created_ns,
        code_version=code_version(),
    )
    registry = ModelRegistry(Path(told.registry))
    manifest = registry.register(trained.manifest, trained.arrays, trained.archive)
    if not told.is_candidate:
        registry.activate(manifest.model_id)
    return manifest.model_id


def _say(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
