"""Commands that run the core over what a journal holds: parity.

Belongs here: finding journal and model, and printing what came of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.app import build_core
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import load, restored
from daemon.core.errors import CheckFailed, JournalBroken, UsageRefused
from daemon.core.events import ModelActivated, RunOpened
from daemon.feature_config import feature_set_of
from daemon.running.model_use import use_models
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import read_spec, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.store.runs import RunSpec


def settings_of(spec: RunSpec) -> Settings:
    """What a run was configured with, as it noted it; UsageRefused when it noted nothing."""
    if not spec.settings:
        msg = f"run {spec.run} noted no settings: it was made by an earlier version"
        raise UsageRefused(msg)
    return restored(spec.settings)


def check_parity(
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    allow_no_orders: bool,
    as_json: bool,
) -> int:
    """Exit 0 when every recomputed event equals the recorded one, 4 with the first difference."""
    from daemon.research.parity import compare

    paths = resolve(load(config_path(config), {"run.state_dir": state_dir}).run.state_dir, run)
    settings = settings_of(read_spec(paths))
    journal = JournalReader.open(paths.journal)
    opened = journal.latest(RunOpened)
    activated = [event for _, event in journal.read_kinds(ModelActivated)]
    if opened is None or not activated:
        msg = f"run {paths.run} has no decisions yet: it was stopped before its model was loaded"
        raise JournalBroken(msg)
    features = feature_set_of(settings)
    core = build_core(settings, features, None, [each.id for each in opened.instruments])
    use_models(core, ModelRegistry(paths.models), features, activated)
    parity = compare(journal.read(), core.pipeline)
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
