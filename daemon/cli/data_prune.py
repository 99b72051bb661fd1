"""`tradingd data prune`: takes away what the settings no longer keep, and says what.

Belongs here: the order of it, and printing. What may go is decided in `pruning` and `thinning`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from daemon.app import build_core
from daemon.bars.pruning import old_bars, old_runs, prune_bars, remove_runs
from daemon.bars.thinning import find_cut, thin
from daemon.cli.data_store import named
from daemon.cli.output import progress, show
from daemon.cli.replays import settings_of
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.clock import WireClock
from daemon.core.errors import TradingdError
from daemon.core.events import ModelActivated, RunOpened
from daemon.core.timeframes import DAY_NS, rfc3339
from daemon.feature_config import feature_set_of
from daemon.running.models.use import use_models
from daemon.store.bar_pruning import BarPruning
from daemon.store.journal_reader import JournalReader
from daemon.store.lock import StateLock
from daemon.store.models import ModelRegistry
from daemon.store.runs import BACKTEST, RunPaths, all_runs, read_spec

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.app import Core
    from daemon.bars.pruning import OldRun
    from daemon.config import Settings
    from daemon.store.bar_pruning import PrunedSeries


def prune(config: Path | None, state_dir: Path | None, *, is_dry: bool, as_json: bool) -> int:
    """Prints what went, or would go. LockHeld while a daemon runs, unless it is dry."""
    settings = load(config_path(config), {"run.state_dir": state_dir})
    directory, now_ns = settings.run.state_dir, WireClock().now_ns()
    lock = nullcontext() if is_dry else StateLock.acquire(directory, started_ns=now_ns)
    with lock:
        bars = old_bars(settings, directory / "bars.db")
        runs = old_runs(settings, now_ns)
        if not is_dry:
            for done, _ in enumerate(prune_bars(directory / "bars.db", bars), 1):
                progress("pruning bars", done, len(bars))
            remove_runs(directory, runs)
        gone = {each.paths.run for each in runs}
        left = [RunPaths(directory, run) for run in all_runs(directory) if run not in gone]
        journals = _journals(settings, left, is_dry=is_dry)
        freed = 0 if is_dry or not bars else _rebuilt(directory / "bars.db")
    result = _result(settings, bars, runs, journals, freed, is_dry=is_dry)
    show(result, _lines(result), as_json=as_json)
    return 0


def _rebuilt(path: Path) -> int:
    with BarPruning(path) as pruning:
        return pruning.rebuild()


def _journals(settings: Settings, left: list[RunPaths], *, is_dry: bool) -> list[dict[str, object]]:
    """Old predictions out of every journal; one that cannot be thinned stays, with the reason."""
    keep_ns = round(settings.store.keep_predictions_days * DAY_NS)
    rows: list[dict[str, object]] = []
    for done, paths in enumerate(left if keep_ns else [], 1):
        progress("thinning journals", done, len(left))
        if not paths.journal.is_file() or read_spec(paths).mode == BACKTEST:
            continue  # a backtest is made again, or goes whole
        try:
            events = _thin(paths, keep_ns, is_dry=is_dry)
        except TradingdError as error:
            rows.append({"run": paths.run, "events": 0, "stays": str(error)})
            continue
        if events:
            rows.append({"run": paths.run, "events": events})
    return rows


def _thin(paths: RunPaths, keep_ns: int, *, is_dry: bool) -> int:
    settings = settings_of(read_spec(paths))
    features = feature_set_of(settings)
    # Whatever a layer remembers of single predictions fits in one of these windows.
    window_bars = max(
        features.lookback, settings.health.window_outcomes, settings.risk.volatility_bars + 1
    )
    window_bars += settings.model.horizon_bars
    if is_dry:
        return len(find_cut(JournalReader(paths.journal), keep_ns, window_bars).gone)
    journal = JournalReader.open(paths.journal)
    opened = journal.latest(RunOpened)
    if opened is None or journal.latest(ModelActivated) is None:
        return 0

    def make_core() -> Core:
        core = build_core(settings, features, None, [each.id for each in opened.instruments])
        use_models(core, ModelRegistry(paths.models), features, journal, is_resuming=False)
        return core

    return thin(paths.journal, keep_ns=keep_ns, window_bars=window_bars, make_core=make_core)


def _result(
    settings: Settings,
    bars: list[PrunedSeries],
    runs: list[OldRun],
    journals: list[dict[str, object]],
    freed: int,
    *,
    is_dry: bool,
) -> dict[str, object]:
    return {
        "dry_run": is_dry,
        "keep_bars_days": settings.store.keep_bars_days,
        "keep_predictions_days": settings.store.keep_predictions_days,
        "keep_runs_days": settings.store.keep_runs_days,
        "bars": [
            {"series": named(each.key), "before": rfc3339(each.until_ns), "rows": each.rows}
            for each in bars
        ],
        "runs": [{"run": each.paths.run, "bytes": each.bytes} for each in runs],
        "journals": journals,
        "bytes_freed": freed + (0 if is_dry else sum(each.bytes for each in runs)),
    }


def _lines(result: dict[str, object]) -> list[str]:
    word = "would go" if result["dry_run"] else "gone"
    lines = []
    for kind in ("bars", "runs", "journals"):
        rows = result[kind]
        assert isinstance(rows, list)
        days = result["keep_predictions_days" if kind == "journals" else f"keep_{kind}_days"]
        kept = f"kept for {days:g} days" if days else "kept for ever"
        lines.append(f"{kind}: {kept}{'' if rows or not days else ', nothing is older'}")
        for row in rows:
            told = ", ".join(f"{name} {value}" for name, value in row.items())
            lines.append(f"  {told}" if "stays" in row else f"  {told}: {word}")
    return lines
