"""What of a state directory is older than it has to be kept, and taking it away.

Belongs here: which bars, runs and predictions may go, and what they are kept for. Deleting rows
belongs to `store.bar_pruning`, rewriting a journal to `thinning`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.errors import UsageRefused
from daemon.core.timeframes import DAY_NS
from daemon.running.books.holdings import held_by, outlives
from daemon.store.bar_pruning import BarPruning, PrunedSeries
from daemon.store.bars import BarStore
from daemon.store.runs import (
    BACKTEST,
    LAST,
    RunPaths,
    all_runs,
    newest_daemon_run,
    read_result,
    read_spec,
    remove,
    resolve,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.config import Settings


class OldRun(Struct, frozen=True):
    """A run that may go whole."""

    paths: RunPaths
    bytes: int


def old_bars(settings: Settings, path: Path) -> list[PrunedSeries]:
    """What `store.keep_bars_days` lets go of each series, measured from its own newest bar.

    The bars a training reads stay, however old they are.
    """
    keep_ns = round(settings.store.keep_bars_days * DAY_NS)
    if not keep_ns or not path.is_file():
        return []
    needed = settings.data.history_bars * settings.data.parts_per_bar
    found = []
    store = BarStore.open(path, read_only=True)
    with BarPruning(path) as pruning:
        for key in store.series():
            span = store.span(key.market, key.symbol, key.timeframe_ns)
            assert span is not None, "a series has a bar"
            end_ns = span.last_open_ns + key.timeframe_ns
            until_ns = end_ns - max(keep_ns, needed * key.timeframe_ns)
            until_ns -= until_ns % key.timeframe_ns  # a gap that is cut there stays on the grid
            rows = pruning.count(key, until_ns)
            if rows:
                found.append(PrunedSeries(key, until_ns, rows))
    store.close()
    return found


def prune_bars(path: Path, old: list[PrunedSeries]) -> Iterator[int]:
    """Delete them; yields the rows of one series after the other."""
    if old:
        with BarPruning(path) as pruning:
            for each in old:
                yield pruning.prune(each.key, each.until_ns)


def old_runs(settings: Settings, now_ns: int) -> list[OldRun]:
    """Runs that nothing was written to for `store.keep_runs_days`, oldest first.

    Never the last one nor the last of a daemon, and none that could be gone on with and holds
    something on an account that is still there. Models stay: another run may use them.
    """
    keep_ns = round(settings.store.keep_runs_days * DAY_NS)
    state_dir = settings.run.state_dir
    if not keep_ns:
        return []
    found = []
    for run in reversed(all_runs(state_dir)):
        paths = RunPaths(state_dir, run)
        if run in _needed(state_dir) or now_ns - _written_ns(paths) < keep_ns:
            continue
        if _is_over(paths) or not (outlives(read_spec(paths)) and held_by(paths.journal)):
            found.append(OldRun(paths, _bytes_of(paths.folder)))
    return found


def _needed(state_dir: Path) -> set[str]:
    needed = {resolve(state_dir, LAST).run}
    with contextlib.suppress(UsageRefused):
        needed.add(newest_daemon_run(state_dir).run)
    return needed


def _is_over(paths: RunPaths) -> bool:
    result = read_result(paths)
    is_closed = result is not None and bool(result.get("is_closed"))
    return is_closed or read_spec(paths).mode == BACKTEST


def remove_runs(state_dir: Path, old: list[OldRun]) -> None:
    sweep(state_dir)
    for each in old:
        remove(each.paths)


def _written_ns(paths: RunPaths) -> int:
    files = (paths.spec, paths.result, paths.status, paths.journal)
    wals = (paths.journal.with_name(f"{paths.journal.name}-wal"),)
    return max(each.stat().st_mtime_ns for each in (*files, *wals) if each.is_file())


def _bytes_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
