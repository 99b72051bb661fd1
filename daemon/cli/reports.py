"""Commands that show a run whole: the report as one page, and all of its tables as files.

Belongs here: finding a run, its journal, model and settings. What is shown belongs to `reports`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daemon.cli.output import show
from daemon.cli.replays import settings_of
from daemon.cli.running import config_path
from daemon.config import HealthSection, load
from daemon.core.errors import ModelRefused, UsageRefused
from daemon.reports.facts import gather
from daemon.running.summary import summarise
from daemon.store.artifacts import replace_durably
from daemon.store.code_version import code_version
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import read_spec, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.manifests import Manifest
    from daemon.reports.facts import Facts
    from daemon.reports.page import Identity
    from daemon.store.runs import RunPaths

ALL = "all"


def write_report(
    run: str,
    output: Path,
    config: Path | None,
    state_dir: Path | None,
    *,
    is_forced: bool,
    as_json: bool,
) -> int:
    """One self-contained page of a run of any mode, finished or still going on."""
    from daemon.reports.page import BYTES_MAX, page

    if output.exists() and not is_forced:
        msg = f"{output} exists: --force overwrites it"
        raise UsageRefused(msg)
    paths = _paths(run, config, state_dir)
    _say("reading the journal")
    facts = _facts(paths)
    if not facts.bars:
        msg = f"run {paths.run} has not decided on one bar yet: there is nothing to report"
        raise UsageRefused(msg)
    settings = _settings(paths)
    _say("drawing")
    html = page(facts, _identity(paths, settings), _manifest(paths, facts))
    content = html.encode()
    assert len(content) < BYTES_MAX, f"the report has {len(content)} bytes"
    try:
        replace_durably(output, content)
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror}"
        raise UsageRefused(msg) from error
    result = {"run": paths.run, "report": str(output), "bytes": len(content)}
    show(result, [f"{output}: {len(content) / 1e6:.2f} MB, open it in a browser"], as_json=as_json)
    return 0


def write_exports(
    what: str,
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    output: Path,
    form: str,
    is_forced: bool,
    as_json: bool,
) -> int:
    """The tables of a run as files in a folder: `what` is one of them, or all."""
    from daemon.reports.exports import write_tables
    from daemon.reports.tables import tables

    paths = _paths(run, config, state_dir)
    facts = _facts(paths)
    settings = _settings(paths)
    made = tables(facts, _manifest(paths, facts), _window(settings))
    if what != ALL and what not in made:
        msg = f"cannot export {what!r}; choose {ALL} or one of {', '.join(made)}"
        raise UsageRefused(msg)
    chosen = made if what == ALL else {what: made[what]}
    written = write_tables(chosen, output, form, is_forced=is_forced)
    rows = {name: len(its) for name, its in chosen.items()}
    lines = [f"{path}  {rows[path.name.removesuffix(f'.{form}')]} rows" for path in written]
    show({"run": paths.run, "folder": str(output), "rows": rows}, lines, as_json=as_json)
    return 0


def _paths(run: str, config: Path | None, state_dir: Path | None) -> RunPaths:
    return resolve(load(config_path(config), {"run.state_dir": state_dir}).run.state_dir, run)


def _facts(paths: RunPaths) -> Facts:
    facts = gather(event for _, event in JournalReader.open(paths.journal).read())
    if facts.opened is None:
        msg = f"run {paths.run} was killed before its first step: there is nothing to report"
        raise UsageRefused(msg)
    return facts


def _settings(paths: RunPaths) -> Settings | None:
    """What the run was configured with; None when it noted nothing."""
    try:
        return settings_of(read_spec(paths))
    except UsageRefused as error:
        _say(f"{error}; its limits are left out")
        return None


def _identity(paths: RunPaths, settings: Settings | None) -> Identity:
    from daemon.reports.page import Identity

    spec = read_spec(paths)
    events = (event for _, event in JournalReader.open(paths.journal).read())
    summary = summarise(events, lookback=0)  # only its verdict is shown, which looks at no window
    return Identity(
        label=spec.label,
        config_hash=spec.config_hash,
        seed=spec.seed,
        version=code_version(),
        drawdown_limit_ratio=None if settings is None else settings.risk.max_drawdown_ratio,
        cost_bps=None
        if settings is None
        else settings.execution.fee_bps + settings.execution.slippage_bps,
        window_outcomes=_window(settings),
        verdict=str(summary["verdict"]),
        edge_shown=bool(summary["edge_shown"]),
    )


def _window(settings: Settings | None) -> int:
    """How many outcomes rolling skill and drift look at."""
    return (HealthSection() if settings is None else settings.health).window_outcomes


def _manifest(paths: RunPaths, facts: Facts) -> Manifest | None:
    """Of the newest model, where this state directory still has it."""
    if not facts.models:
        return None
    try:
        return ModelRegistry(paths.models).manifest(facts.models[-1].model)
    except ModelRefused:
        return None


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
