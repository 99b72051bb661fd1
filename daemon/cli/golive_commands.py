"""What the commands of `tradingd golive` do: show the gate, check, arm and disarm.

Belongs here: asking, printing, and who did it. What is asked for belongs to `running.golive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.cli.output import progress, show
from daemon.cli.running import RunRequest, asked_for, config_path
from daemon.config import config_hash, load
from daemon.core.errors import CheckFailed
from daemon.core.timeframes import rfc3339
from daemon.running.golive import gate_of, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.config import Settings
    from daemon.running.golive import Gate
    from daemon.running.golive_items import Item


def show_gate(
    market: str | None, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Exit 0 when every item is met, 4 while one is not."""
    settings = settings_for(market, config, state_dir)
    gate = gate_of(settings, progress)
    show(_told(gate, settings), _lines(gate, settings), as_json=as_json)
    return CheckFailed.exit_code if gate.unmet else 0


def settings_for(market: str | None, config: Path | None, state_dir: Path | None) -> Settings:
    """As `tradingd run --market` would read them."""
    path = config_path(config)
    asked = asked_for(RunRequest(market=market), path) if market is not None else {}
    return load(path, {**asked, "run.state_dir": state_dir})


def _told(gate: Gate, settings: Settings) -> dict[str, object]:
    arming = gate.arming
    is_exempt = settings.data.is_embedded
    return {
        "ready": not gate.unmet,
        "armed": not gate.disarmed_by,
        "exempt": is_exempt,
        "bot": settings.run.name,
        "exchange": settings.data.exchange,
        "config_hash": config_hash(settings),
        "model": gate.evidence.record.model or None,
        "runs": list(gate.evidence.runs),
        "unmet": [each.id for each in gate.unmet],
        "items": [msgspec.to_builtins(each) for each in gate.items],
        "arming": None
        if arming is None
        else {
            "at": rfc3339(arming.at_ns),
            "who": arming.who,
            "exchange": arming.exchange,
            "config_hash": arming.config_hash,
            "model": arming.model,
            "code": arming.code,
            "limits": list(arming.limits),
        },
        "disarmed_by": list(gate.disarmed_by),
    }


def _lines(gate: Gate, settings: Settings) -> Iterator[str]:
    model = gate.evidence.record.model or "no model yet"
    yield (
        f"{settings.run.name} on {settings.data.exchange}, configuration {config_hash(settings)}, "
        f"{model}, {len(gate.evidence.runs)} paper runs"
    )
    yield from item_lines(gate.items)
    n = len(gate.unmet)
    yield f"{n} of {len(gate.items)} items are unmet" if n else "every item is met"
    yield _standing(gate, settings)


def item_lines(items: tuple[Item, ...]) -> Iterator[str]:
    width = max(len(each.id) for each in items)
    for each in items:
        mark = "no" if not each.met else "by override" if each.is_overridden else "ok"
        yield f"  {each.id:<{width}}  {mark}: {each.measured}"
        if not each.met:
            yield f"  {'':<{width}}  wanted: {each.required}"
            yield f"  {'':<{width}}  do: {each.todo}"


def _standing(gate: Gate, settings: Settings) -> str:
    if settings.data.is_embedded:
        return "the exchange in the box needs no arming: this is what a real one would ask for"
    arming = gate.arming
    if arming is None:
        return "not armed: live trading ends with exit 77" + (
            "" if gate.unmet else "; arm it by `tradingd golive arm`"
        )
    said = f"armed at {rfc3339(arming.at_ns)} by {arming.who}"
    if gate.disarmed_by:
        return f"disarmed by a change ({shortened(gate.disarmed_by)}); it was {said}"
    model = gate.evidence.record.model
    is_other = bool(model) and arming.model != model
    return said + (f", with model {arming.model}; paper has {model} by now" if is_other else "")
