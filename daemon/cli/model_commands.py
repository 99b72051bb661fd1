"""What the commands on models do: shows manifests, compares them, and changes which one is active.

Belongs here: finding a registry and saying what is in it. What may become active belongs to
`store.models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from daemon.cli.asking import who
from daemon.cli.control import asked, checked_reason
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, ModelRefused, TradingdError, UsageRefused
from daemon.core.timeframes import rfc3339
from daemon.layers.monitoring.pairing import sentence
from daemon.running.models.story import in_shadow
from daemon.store.journal_reader import JournalReader
from daemon.store.lock import holder
from daemon.store.model_audit import Change, changes, note
from daemon.store.models import ModelRegistry, ModelState
from daemon.store.runs import newest_daemon_run
from daemon.web.control import Request

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.core.manifests import Manifest
    from daemon.running.models.story import InShadow
    from daemon.store.models import ModelEntry

# Long tables of numbers: two models always differ in them, and nobody reads them.
UNCOMPARED = frozenset(
    {"model_id", "arrays_sha256", "calibration", "files", "folds", "probes", "reference"}
    | {"created_ns", "reference_probability", "verdict"}
)
COLUMNS = ("model", "state", "trained_through", "symbols", "timeframe", "auc", "edge_shown")


def list_models(config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Newest training first; a model that cannot be read is listed with the reason."""
    directory = _state(config, state_dir)
    registry = ModelRegistry(directory / "models")
    rows = [_row(registry, entry) for entry in registry.list()]
    rows.sort(key=lambda row: str(row.get("trained_through", "")), reverse=True)
    lines = _columns(rows) if rows else [f"no model in {directory / 'models'} yet"]
    shadows = _in_shadow(directory)
    lines += [
        f"{each.part} {each.model} since {rfc3339(each.since_ns)}: {sentence(each.comparison)}"
        for each in shadows
    ]
    show({"models": rows, "in_shadow": msgspec.to_builtins(shadows)}, lines, as_json=as_json)
    return 0


def show_model(model: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """The manifest; ModelRefused when it is not the one that was registered."""
    root = _state(config, state_dir) / "models"
    registry = ModelRegistry(root)
    manifest = registry.manifest(model)
    state = next(each.state for each in registry.list() if each.model_id == model)
    story = [each for each in changes(root) if model in (each.model, each.replaced)]
    whole = {
        "state": state.value,
        "manifest": msgspec.to_builtins(manifest),
        "changes": msgspec.to_builtins(story),
    }
    lines = [f"{model}: {state.value}", *pairs(_summary(manifest), indent="  ")]
    lines += [f"  {each.ts} {each.what} by {each.who}: {each.reason}" for each in story]
    show(whole, lines, as_json=as_json)
    return 0


def diff_models(
    one: str, other: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Every field in which the manifests differ, but for ids and long tables of numbers."""
    registry = ModelRegistry(_state(config, state_dir) / "models")
    first, second = _flat(registry.manifest(one)), _flat(registry.manifest(other))
    names = [name for name in (*first, *second) if first.get(name) != second.get(name)]
    found = {name: [first.get(name), second.get(name)] for name in dict.fromkeys(names)}
    lines = [f"{name}: {_short(a)} | {_short(b)}" for name, (a, b) in found.items()]
    show(
        {"one": one, "other": other, "differences": found},
        lines or ["they differ in nothing but their numbers"],
        as_json=as_json,
    )
    return 0


def promote_model(
    model: str, reason: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Verified first; ModelRefused, with nothing changed, when it must not be used."""
    directory = _state(config, state_dir)
    show_change(promoted(directory, model, reason), as_json=as_json)
    return 0


def promoted(directory: Path, model: str, reason: str) -> Change:
    """Make it the active one and note who asked and why; UsageRefused, ModelRefused.

    A running daemon is asked: it changes between two bars, or says why not.
    """
    if holder(directory) is not None:
        return _asked(directory, "promote", model, reason)
    registry = ModelRegistry(directory / "models")
    checked = _checked(reason)
    before = registry.active_for(registry.manifest(model).key)
    registry.activate(model)
    return _noted(directory, "promote", model, None if before == model else before, checked)


def rollback_model(
    model: str | None, reason: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """The one model that is active, or the one named; ModelRefused where none was before it."""
    directory = _state(config, state_dir)
    if holder(directory) is not None:
        show_change(_asked(directory, "rollback", model or "", reason), as_json=as_json)
        return 0
    registry = ModelRegistry(directory / "models")
    checked = _checked(reason)
    active = [each for each in registry.list() if each.state is ModelState.ACTIVE]
    if model is not None:
        active = [each for each in active if each.model_id == model]
    if len(active) != 1:
        names = ", ".join(each.model_id for each in active) or "none"
        asked = "" if model is None else f" {model} is not one of them;"
        msg = f"which model? active are: {names};{asked} name one"
        raise UsageRefused(msg)
    back, again = registry.rollback(active[0].key)
    change = _noted(directory, "rollback", again, back, checked)
    show_change(change, as_json=as_json)
    return 0


def _noted(directory: Path, what: str, model: str, replaced: str | None, reason: str) -> Change:
    change = Change(
        ts=rfc3339(WireClock().now_ns()),
        what=what,
        model=model,
        replaced=replaced,
        who=who(),
        reason=reason,
    )
    note(directory / "models", change)
    return change


def _asked(
    directory: Path, command: Literal["promote", "rollback"], model: str, reason: str
) -> Change:
    """What the daemon answered; CheckFailed with its reason, DaemonNotRunning at a start."""
    answer = asked(directory, Request(command, checked_reason(reason), model))
    if not answer.model:
        msg = f"model {model} was made the active one in the same moment by somebody else"
        raise CheckFailed(msg)
    return Change(
        ts=answer.at,
        what=command,
        model=answer.model,
        replaced=answer.replaced or None,
        who=answer.who,
        reason=reason.strip(),
        run=str(answer.status.get("run", "")),
        at=answer.at,
    )


def show_change(change: Change, *, as_json: bool) -> None:
    """In a line, or as it is kept."""
    line = f"{change.model} is active"
    line += f" instead of {change.replaced}" if change.replaced else ""
    line += f" since {change.at}, in the running daemon" if change.at else ""
    show(msgspec.to_builtins(change), [line], as_json=as_json)


def _in_shadow(directory: Path) -> list[InShadow]:
    """Of the newest run; nothing where there is none, or its journal cannot be read."""
    try:
        return in_shadow(JournalReader.open(newest_daemon_run(directory).journal))
    except TradingdError:
        return []


def _state(config: Path | None, state_dir: Path | None) -> Path:
    return load(config_path(config), {"run.state_dir": state_dir}).run.state_dir


def _checked(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        msg = 'say why with --reason "...": it is kept beside the registry'
        raise UsageRefused(msg)
    return text


def _row(registry: ModelRegistry, entry: ModelEntry) -> dict[str, object]:
    known: dict[str, object] = {"model": entry.model_id, "state": entry.state.value}
    try:
        manifest = registry.manifest(entry.model_id)
    except ModelRefused as refused:
        return {**known, "refused": str(refused)}
    scored = manifest.out_of_sample
    return {
        **known,
        "kind": manifest.kind,
        "market": manifest.market,
        "symbols": list(manifest.symbols),
        "timeframe": manifest.timeframe,
        "trained_through": rfc3339(manifest.trained_through_ns),
        "rows": manifest.train_rows,
        "auc": scored.auc,
        "auc_low": scored.auc_low,
        "auc_high": scored.auc_high,
        "edge_shown": manifest.edge_shown,
        "verdict": manifest.verdict,
    }


def _columns(rows: list[dict[str, object]]) -> list[str]:
    cells = [COLUMNS] + [tuple(_cell(row, name) for name in COLUMNS) for row in rows]
    widths = [max(len(each[place]) for each in cells) for place in range(len(COLUMNS))]
    lines = [
        "  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)) for row in cells
    ]
    return [line.rstrip() for line in lines] + [
        f"refused: {row['refused']}" for row in rows if "refused" in row
    ]


def _cell(row: dict[str, Any], name: str) -> str:
    if name == "auc" and "auc" in row:
        return f"{row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}]"
    if name == "trained_through":
        return str(row.get(name, "-"))[:16]
    if name == "symbols":
        return ",".join(row.get(name, ()))
    if name == "edge_shown" and name in row:
        return "yes" if row[name] else "no"
    return str(row.get(name, "-"))


def _summary(manifest: Manifest) -> dict[str, object]:
    scored, data = manifest.out_of_sample, manifest.data
    return {
        "kind": manifest.kind,
        "for": f"{', '.join(manifest.symbols)} {manifest.timeframe} of {manifest.market}",
        "label": f"{manifest.label}, {manifest.horizon_bars} bars ahead",
        "features": f"{manifest.feature_set.name} {manifest.feature_set.fingerprint[:12]}: "
        + ", ".join(manifest.feature_set.names),
        "data": ", ".join(
            f"{each.symbol} {rfc3339(each.first_open_ns)[:10]} to "
            f"{rfc3339(each.last_open_ns)[:10]}, {each.bars} bars, sha256 {each.sha256[:12]}"
            for each in data
        ),
        "rows": manifest.train_rows,
        "trained_through": rfc3339(manifest.trained_through_ns),
        "auc": f"{scored.auc:.4f} [{scored.auc_low:.4f}, {scored.auc_high:.4f}], n {scored.n}",
        "baseline_auc": round(scored.baseline_auc, 4),
        "brier": f"{scored.brier:.4f} (constant: {scored.brier_base_rate:.4f})",
        "folds": ", ".join("-" if f.auc is None else f"{f.auc:.3f}" for f in manifest.folds),
        "settings": manifest.settings,
        "seed": manifest.seed,
        "code": manifest.code_version or "-",
        "libraries": manifest.libraries,
        "edge_shown": manifest.edge_shown,
        "verdict": manifest.verdict,
    }


def _flat(manifest: Manifest) -> dict[str, object]:
    flat: dict[str, object] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{name}.{key}" if name else key)
        else:
            flat[name] = value

    whole = msgspec.to_builtins(manifest)
    walk({name: value for name, value in whole.items() if name not in UNCOMPARED}, "")
    return flat


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
