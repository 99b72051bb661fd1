"""Which run a start means: goes on with the newest one, begins anew, or refuses in words.

Belongs here: what may have changed since a run was started, and what a run that is left behind
still holds. Running it belongs to `running`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daemon.config import changes, config_hash
from daemon.core.errors import TradingdError, UsageRefused
from daemon.running.books.holdings import held_by, outlives
from daemon.running.world.exchange_process import ExchangeProcess
from daemon.store.runs import NoRun, newest_daemon_run, read_result, read_spec

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.store.runs import RunPaths, RunSpec


async def unfinished(
    settings: Settings, *, market: str, edge: float | None, exchange_url: str | None, is_new: bool
) -> RunSpec | None:
    """The newest run, if starting means going on with it; None begins a new one.

    UsageRefused when the newest run holds something on an account that outlives it, and was started
    as something else than what is asked for now, or when nobody can say what it holds.
    """
    newest = _newest(settings.run.state_dir, is_new=is_new)
    if newest is None:
        return None
    spec, paths = newest
    if is_new:
        _say_left(spec, paths)
        return None
    if spec.market == market and not settings.data.is_embedded:
        require_same(spec, settings, paths)
        return spec
    is_same = spec.market == market and spec.edge == edge and not differences(spec, settings)
    is_same = is_same and spec.options.get("exchange_url") == exchange_url
    if is_same and await _is_alive(settings, paths):
        sys.stderr.write(
            f"going on with run {spec.run}, which was killed, as it was started; "
            "--new begins another\n"
        )
        return spec
    held = held_by(paths.journal)
    if held and outlives(spec):
        msg = (
            f"run {spec.run} on {spec.market} {held}, and is not what is asked for now: go on with "
            f"it by `tradingd run --resume {spec.run}`, or leave it behind with --new"
        )
        raise UsageRefused(msg)
    _say_left(spec, paths)
    return None


def _newest(state_dir: Path, *, is_new: bool) -> tuple[RunSpec, RunPaths] | None:
    """The newest run, unless it reached its end."""
    try:
        paths = newest_daemon_run(state_dir)
        spec, result = read_spec(paths), read_result(paths)
    except NoRun:
        return None
    except UsageRefused as damaged:
        if not is_new:
            msg = f"{damaged}; put it back, or leave what that run holds behind with --new"
            raise UsageRefused(msg) from damaged
        sys.stderr.write(f"tradingd: warning: {damaged}: whatever that run holds is left behind\n")
        return None
    is_over = result is not None and bool(result.get("is_closed"))
    return None if is_over else (spec, paths)


async def _is_alive(settings: Settings, paths: RunPaths) -> bool:
    """Whether an embedded exchange of the run still serves; one that does not is started again."""
    for name in settings.data.by_exchange:
        if await ExchangeProcess.find(paths.exchange_of(name)) is not None:
            return True
    return False


def require_same(spec: RunSpec, settings: Settings, paths: RunPaths) -> None:
    """UsageRefused naming every key that trading hangs on and that was another at the start."""
    found = differences(spec, settings)
    if found:
        held = held_by(paths.journal)
        msg = (
            f"run {spec.run} goes on only as it was started: {'; '.join(found)}. Put it back, or "
            f"begin anew with `tradingd run --new`{f' (the run {held})' if held else ''}"
        )
        raise UsageRefused(msg)


def differences(spec: RunSpec, settings: Settings) -> list[str]:
    """What trading hangs on and has changed since the run was started, in words."""
    if spec.settings:
        return [str(each) for each in changes(spec.settings, settings)]
    if spec.config_hash == config_hash(settings):
        return []
    return [f"configuration was {spec.config_hash} and is {config_hash(settings)}"]


def _say_left(spec: RunSpec, paths: RunPaths) -> None:
    try:
        held = held_by(paths.journal)
    except TradingdError as error:
        held = f"cannot be read ({error})"
    if held:
        sys.stderr.write(
            f"tradingd: warning: run {spec.run} on {spec.market} is left behind and {held}; "
            f"`tradingd run --resume {spec.run}` goes on with it\n"
        )
