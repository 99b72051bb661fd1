"""What the commands of `tradingd golive` do: show the gate, check, arm and disarm.

Belongs here: asking, printing, and who did it. What is asked for belongs to `running.golive.gate`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from daemon.cli.asking import who
from daemon.cli.control import checked_reason
from daemon.cli.output import progress, show
from daemon.cli.running import RunRequest, asked_for, config_path
from daemon.config import config_hash, load
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, UsageRefused
from daemon.core.timeframes import rfc3339
from daemon.running.golive.checks import asked
from daemon.running.golive.gate import fingerprint, gate_of, shortened
from daemon.store.code_version import code_version
from daemon.store.golive import Entry, GoliveStore, Override

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.config import Settings
    from daemon.running.golive.gate import Gate
    from daemon.running.golive.items import Item
    from daemon.store.golive import Arming, GoliveState

CHECKED = frozenset({"key_scope", "clock"})


def show_gate(
    market: str | None, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Exit 0 when every item is met, 4 while one is not."""
    settings = settings_for(market, config, state_dir)
    gate = gate_of(settings, progress)
    show(_told(gate, settings), _lines(gate, settings), as_json=as_json)
    return CheckFailed.exit_code if gate.unmet else 0


def check_exchange(
    market: str | None,
    accepts_unverified: bool,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Exit 4 when the key must not be used, or the clock is too far off."""
    settings = settings_for(market, config, state_dir)
    require_real(settings)
    state = checked(settings, accepts_unverified=accepts_unverified)
    chosen = [each for each in gate_of(settings).items if each.id in CHECKED]
    result = {
        "exchange": settings.data.exchange,
        "met": all(each.met for each in chosen),
        "key": msgspec.to_builtins(state.key),
        "clock": msgspec.to_builtins(state.clock),
        "items": [msgspec.to_builtins(each) for each in chosen],
    }
    show(result, item_lines(tuple(chosen)), as_json=as_json)
    return 0 if result["met"] else CheckFailed.exit_code


def checked(settings: Settings, *, accepts_unverified: bool) -> GoliveState:
    """The exchange asked anew and its answers kept; UsageRefused without a key."""
    key = fingerprint(settings)
    if key is None:
        msg = (
            f"{settings.data.exchange} cannot be asked about a key that is not there: put the "
            "credentials exchange__api_key and exchange__api_secret in place (docs/safety.md)"
        )
        raise UsageRefused(msg)
    told, clock = asyncio.run(asked(settings, key, accepts_unverified=accepts_unverified))
    store = GoliveStore(settings.run.state_dir)
    state = replace(store.read(), key=told, clock=clock)
    said = told.refused or "; ".join(told.remarks) or "may trade, may not withdraw"
    offset = f"clock {clock.offset_ms:+.0f} ms, give or take {clock.error_ms:.0f}"
    store.write(state, entry(settings, "check", detail=(f"key {key}: {said}", offset)))
    return state


def override_skill(
    reason: str, market: str | None, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Noted with who and why; UsageRefused without a model on paper to take."""
    settings = settings_for(market, config, state_dir)
    said = checked_reason(reason)
    model = gate_of(settings).evidence.record.model
    if not model:
        msg = "there is no paper run of this configuration, and so no model to take: start one"
        raise UsageRefused(msg)
    made = Override(model=model, reason=said, who=who(), at_ns=WireClock().now_ns())
    store = GoliveStore(settings.run.state_dir)
    state = replace(store.read(), override=made)
    store.write(state, entry(settings, "override", reason=said, detail=(model,)))
    line = f"{model} is taken without proof of skill, by {made.who}: {said}"
    show(msgspec.to_builtins(made), [line], as_json=as_json)
    return 0


def entry(
    settings: Settings, what: str, *, reason: str = "", detail: tuple[str, ...] = ()
) -> Entry:
    """A line for the audit: now, and by whoever typed the command."""
    return Entry(
        ts=rfc3339(WireClock().now_ns()),
        what=what,
        who=who(),
        reason=reason,
        bot=settings.run.name,
        exchange=settings.data.exchange,
        config_hash=config_hash(settings),
        detail=detail,
    )


def require_real(settings: Settings) -> None:
    if settings.data.is_embedded:
        msg = (
            "the exchange in the box needs none of this: name the real one as data.exchange, or "
            "by --market"
        )
        raise UsageRefused(msg)


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
        "live": None
        if gate.live is None
        else {
            "run": gate.live.run,
            "model": gate.live.model,
            "since": rfc3339(gate.live.since_ns),
        },
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
    if gate.arming is not None and not gate.disarmed_by:
        yield from _since_then(gate, gate.arming)


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
    said = f"armed at {rfc3339(arming.at_ns)} by {arming.who}, with model {arming.model}"
    if gate.disarmed_by:
        return f"disarmed by a change ({shortened(gate.disarmed_by)}); it was {said}"
    return said


def _since_then(gate: Gate, arming: Arming) -> Iterator[str]:
    """What is another than it was when a person armed it, though the arming holds."""
    live, paper = gate.live, gate.evidence.record.model
    if live is not None and live.model != arming.model:
        yield (
            f"  NOT the one that was armed: live decides with {live.model} since "
            f"{rfc3339(live.since_ns)} (run {live.run}); `tradingd models show {live.model}` says "
            "how it came to that"
        )
    if paper and paper != arming.model:
        yield f"  paper has {paper} by now"
    if arming.code != code_version():
        yield f"  the code was {arming.code} and is {code_version()}"
