"""Commands that run the core over what a journal holds: parity and replay.

Belongs here: finding journal, settings and models of what is recomputed, and printing what came of
it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.app import build_core
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import Settings, config_hash, load, restored
from daemon.core.errors import CheckFailed, JournalBroken, UsageRefused
from daemon.core.events import ModelActivated, RunOpened
from daemon.feature_config import feature_set_of
from daemon.running.models.use import use_models
from daemon.store.code_version import code_version
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import RunPaths, read_spec, read_spec_file, resolve

if TYPE_CHECKING:
    from daemon.app import Core
    from daemon.research.parity import Parity
    from daemon.store.runs import RunSpec

SPEC = "run.json"


class Replayable(Struct, frozen=True, kw_only=True):
    """A journal with everything that a core needs to decide it again."""

    run: str
    label: str
    journal: JournalReader
    opened: RunOpened
    settings: Settings
    models: Path

    def core(self, *, is_resuming: bool = False) -> Core:
        """A fresh one with every model of the journal; ModelRefused when one does not fit that is
        needed: all that were active to decide it again, the newest to know where it stands.
        """
        features = feature_set_of(self.settings)
        instruments = [each.id for each in self.opened.instruments]
        core = build_core(self.settings, features, None, instruments)
        use_models(
            core, ModelRegistry(self.models), features, self.journal, is_resuming=is_resuming
        )
        return core


def settings_of(spec: RunSpec) -> Settings:
    """What a run was configured with, as it noted it; UsageRefused when it noted nothing."""
    if not spec.settings:
        msg = f"run {spec.run} noted no settings: it was made by an earlier version"
        raise UsageRefused(msg)
    return restored(spec.settings)


def replayable(run: str, config: Path | None, state_dir: Path | None) -> Replayable:
    """The run of this id, ended or not; JournalBroken when it never opened."""
    paths = resolve(load(config_path(config), {"run.state_dir": state_dir}).run.state_dir, run)
    return _of_run(paths, JournalReader.open(paths.journal))


def replayable_file(file: Path, config: Path | None, state_dir: Path | None) -> Replayable:
    """A journal wherever it lies, under the settings of its run, or else the configured ones."""
    journal = JournalReader.open(file)
    opened = _opened(journal, f"journal {file}")
    configured = load(config_path(config), {"run.state_dir": state_dir})
    home = RunPaths(configured.run.state_dir, opened.run)
    own = RunPaths(file.resolve().parents[2], opened.run)
    paths = own if own.journal == file.resolve() else home
    for spec_file in (file.parent / SPEC, home.spec):
        spec = read_spec_file(spec_file) if spec_file.is_file() else None
        if spec is not None and spec.run == opened.run:
            return Replayable(
                run=opened.run, label=spec.label, journal=journal, opened=opened,
                settings=settings_of(spec), models=paths.models,
            )  # fmt: skip
    if config_hash(configured) != opened.config_hash:
        msg = (
            f"journal {file} is of run {opened.run}, whose {SPEC} is neither beside it nor in "
            f"{configured.run.state_dir}, and the configuration ({config_hash(configured)}) is not "
            f"the one it was made with ({opened.config_hash}): copy the {SPEC} of the run beside "
            "the journal, or name its --config or --state-dir"
        )
        raise UsageRefused(msg)
    return Replayable(
        run=opened.run, label="", journal=journal, opened=opened,
        settings=configured, models=home.models,
    )  # fmt: skip


def _of_run(paths: RunPaths, journal: JournalReader) -> Replayable:
    spec = read_spec(paths)
    return Replayable(
        run=paths.run,
        label=spec.label,
        journal=journal,
        opened=_opened(journal, f"run {paths.run}"),
        settings=settings_of(spec),
        models=paths.models,
    )


def _opened(journal: JournalReader, name: str) -> RunOpened:
    opened = journal.latest(RunOpened)
    if opened is None or journal.latest(ModelActivated) is None:
        msg = f"{name} has no decisions yet: it was stopped before its model was loaded"
        raise JournalBroken(msg)
    return opened


def check_parity(
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    allow_no_orders: bool,
    as_json: bool,
) -> int:
    """Exit 0 when every recomputed event equals the recorded one, 4 with the first difference."""
    parity = _compared(replayable(run, config, state_dir))
    empty = [kind for kind in parity.empty_kinds() if not (allow_no_orders and kind in ORDER_KINDS)]
    is_identical = parity.first_difference is None and not empty
    result: dict[str, object] = {
        "identical": is_identical,
        "bars": parity.bars,
        "compared": parity.compared,
    }
    if parity.recovered_steps:
        result["thinned_steps"] = parity.recovered_steps  # nothing is left to recompute them from
    if parity.first_difference is not None:
        result["first_difference"] = parity.first_difference
    elif empty:
        hint = "; --allow-no-orders accepts a run that never traded"
        result["first_difference"] = {
            "what": f"nothing differs, but there is nothing to compare for {', '.join(empty)}{hint}"
        }
    show(result, pairs(result), as_json=as_json)
    return 0 if is_identical else CheckFailed.exit_code


# A model may honestly find nothing worth an order; then there is nothing to size either.
ORDER_KINDS = ("orders", "sizings")


def replay(run: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Today's code on the inputs of a journal: exit 0 when it decides the same, 4 where it first
    does not. `run` is last, an id, or the path of a journal.
    """
    file = Path(run)
    if len(file.parts) > 1 and not file.is_file():
        msg = f"there is no journal {file}: name a run's journal.db, a run's id, or last"
        raise UsageRefused(msg)
    known = (
        replayable_file(file, config, state_dir)
        if file.is_file()
        else replayable(run, config, state_dir)
    )
    parity = _compared(known)
    is_identical = parity.first_difference is None
    result: dict[str, object] = {
        "identical": is_identical,
        "run": known.run,
        "label": known.label,
        "steps": parity.steps,
        "bars": parity.bars,
        "compared": parity.compared,
        "also_compared": parity.also_compared,
        "recorded_by": parity.versions,
        "code": code_version(),
    }
    if parity.recovered_steps:
        result["thinned_steps"] = parity.recovered_steps
    if not is_identical:
        result["first_difference"] = _named(parity, known)
    show(result, _replay_lines(result), as_json=as_json)
    return 0 if is_identical else CheckFailed.exit_code


def _compared(known: Replayable) -> Parity:
    from daemon.research.parity import compare

    return compare(known.journal.read(), known.core().pipeline)


def _named(parity: Parity, known: Replayable) -> dict[str, object]:
    from daemon.research.replaying import named

    if parity.difference is None:  # a step that is none
        return dict(parity.first_difference or {})
    row = named(parity.difference, known.opened.timeframe)
    return {**row, "recorded_by": parity.difference.version, "code": code_version()}


def _replay_lines(result: dict[str, object]) -> list[str]:
    difference = result.get("first_difference")
    lines = pairs({name: value for name, value in result.items() if name != "first_difference"})
    if isinstance(difference, dict):
        lines += ["first difference", *pairs(difference, indent="  ")]
        if difference.get("trace"):
            lines.append(f"see it in words: tradingd explain {difference['trace']}")
    lines.append("IDENTICAL" if result["identical"] else "NOT IDENTICAL")
    return lines
