"""`tradingd train`: recorded or stored bars in, a judged and registered model out.

Belongs here: which bars, and what becomes of the model. Training itself belongs to `research`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.backtests.tested_bars import recorded_bars
from daemon.cli.backtests import asked_bars
from daemon.cli.model_commands import promoted
from daemon.cli.output import pairs, progress, show
from daemon.core.clock import WireClock
from daemon.core.errors import UsageRefused
from daemon.core.instruments import names_of
from daemon.core.timeframes import parse_time, timeframe_ns
from daemon.feature_config import feature_set_of
from daemon.research.backtest import series_of
from daemon.research.search import search
from daemon.research.training import TrainingSettings, train
from daemon.research.walkforward import labelled
from daemon.running.models.training_jobs import training_settings
from daemon.store.code_version import code_version
from daemon.store.models import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.backtests.tested_bars import Recorded
    from daemon.config import Settings
    from daemon.core.manifests import Manifest
    from daemon.research.series import Series


def train_model(  # noqa: PLR0917  # the options of the command
    data: Sequence[str],
    symbol: str | None,
    since: str | None,
    until: str | None,
    trials: int,
    promote: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """A candidate with its verdict; `promote` is the reason for making it the active one at once.

    Exit 0 whether an edge is shown or not: that none is there is a result.
    """
    settings, files = asked_bars(data, symbol, config, state_dir)
    recorded = recorded_bars(settings, files)
    series = _series(settings, recorded, since, until)
    features = feature_set_of(settings)
    wanted = TrainingSettings(**training_settings(settings))  # type: ignore[arg-type]
    overfitting = None
    if trials > 1:
        ordered = sorted(series, key=lambda one: one.symbol)
        dataset = labelled(ordered, features, wanted)
        found = search(
            ordered, dataset, wanted, trials=trials, seed=settings.run.seed, progress=progress_of
        )
        wanted, overfitting = found.settings, found.overfitting
    trained = train(
        series,
        features,
        wanted,
        seed=settings.run.seed,
        market=recorded.market,
        timeframe=settings.data.timeframe,
        progress=progress_of,
        created_ns=WireClock().now_ns(),
        code_version=code_version(),
        overfitting=overfitting,
    )
    registry = ModelRegistry(settings.run.state_dir / "models")
    manifest = registry.register(trained.manifest, trained.arrays, trained.archive)
    result = _result(manifest, overfitting)
    if promote is not None:
        promoted(settings.run.state_dir, manifest.model_id, promote)
        nexts = []
    else:
        nexts = [f"use it: tradingd models promote {manifest.model_id} --reason WHY"]
    show(result, [*pairs(result), *nexts], as_json=as_json)
    return 0


def _result(manifest: Manifest, overfitting: float | None) -> dict[str, object]:
    scored, net = manifest.out_of_sample, manifest.net_return
    return {
        "model": manifest.model_id,
        "kind": manifest.kind,
        "symbols": list(manifest.symbols),
        "rows": manifest.train_rows,
        "auc": scored.auc,
        "auc_low": scored.auc_low,
        "auc_high": scored.auc_high,
        "baseline_auc": scored.baseline_auc,
        "brier": scored.brier,
        "sharpe": net.sharpe,
        "deflated_sharpe": net.deflated_sharpe,
        "trials": net.trials,
        "overfitting": overfitting,
        "edge_shown": manifest.edge_shown,
        "verdict": manifest.verdict,
    }


def progress_of(done: int, total: int, what: str) -> None:
    """Progress as research tells it."""
    progress(what, done, total)


def _series(
    settings: Settings, recorded: Recorded, since: str | None, until: str | None
) -> list[Series]:
    """The bars of each instrument between two times, as research takes them."""
    length_ns = timeframe_ns(settings.data.timeframe)
    since_ns = 0 if since is None else parse_time(since)
    until_ns = None if until is None else parse_time(until)
    names = names_of(each.id for each in recorded.instruments)
    series = []
    for instrument in recorded.instruments:
        bars = [
            bar
            for bar in recorded.bars
            if bar.instrument == instrument.id
            and bar.open_ns >= since_ns
            and (until_ns is None or bar.close_ns <= until_ns)
        ]
        if not bars:
            msg = f"{recorded.name}: no bars of {instrument.id.symbol} in the time asked for"
            raise UsageRefused(msg)
        series.append(series_of(names[instrument.id], bars, length_ns))
    return series
