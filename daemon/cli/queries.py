"""Commands that only look: check, status, version. They load neither ccxt nor numpy.

Belongs here: reading files and printing them. Anything that needs the core belongs to `books` or
`replays`.
"""

from __future__ import annotations

import platform
import sys
from decimal import Decimal
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

import msgspec

from daemon import __version__
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import FeaturesSection, config_hash, load, warnings_for
from daemon.core.errors import DaemonNotRunning, JournalBroken, UsageRefused
from daemon.core.instruments import plain
from daemon.running.world.live_account import stop_fault
from daemon.store.lock import holder
from daemon.store.runs import newest_daemon_run, read_result

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.store.runs import RunPaths

LIBRARIES = ("ccxt", "numpy", "scikit-learn", "msgspec", "SQLAlchemy", "aiohttp")
# The smallest order of the large spot exchanges; the exact one is known only once connected.
USUAL_MINIMUM_NOTIONAL = Decimal(5)


def check_config(config: Path | None, state_dir: Path | None) -> int:
    """Prints what is wrong on stderr through ConfigRefused, else what will be used."""
    path = config_path(config)
    settings = load(path, {"run.state_dir": state_dir})
    warnings = warnings_for(settings, USUAL_MINIMUM_NOTIONAL)
    if fault := stop_fault(settings):
        warnings.append(f"live is refused: {fault}")
    for warning in warnings:
        sys.stderr.write(f"{path or 'defaults'}: warning: {warning}\n")
    if settings.alerts.addresses:
        from daemon.running.alerts.addresses import checked

        if lacking := checked(settings.alerts):
            sys.stderr.write(f"{path or 'defaults'}: warning: {lacking}\n")
    if settings.features != FeaturesSection():
        # Only features of one's own can be wrong in a way that the sections do not see.
        from daemon.feature_config import feature_set_of
        from daemon.layers.features.golden import golden_check

        golden_check(feature_set_of(settings))
    risk, reporting, allotted = settings.risk, settings.reporting_currency, settings.allotted
    largest = risk.max_order_notional_quote
    if set(allotted) == {reporting}:  # else nobody knows yet what the capital is worth
        largest = min(largest, allotted[reporting] * Decimal(repr(risk.max_position_ratio)))
    summary = {
        "config": str(path or "built-in defaults"),
        "config_hash": config_hash(settings),
        "mode": settings.run.mode,
        "exchange": settings.data.exchange,
        "symbols": list(settings.data.symbols),
        **({"also": _further(settings)} if settings.data.also else {}),
        "timeframe": settings.data.timeframe,
        "state": str(settings.run.state_dir),
        "allotted": ", ".join(f"{plain(amount)} {each}" for each, amount in allotted.items()),
        "at_most": f"{plain(largest)} {reporting} per order",
        "halts_at": f"{risk.max_drawdown_ratio:g} drawdown",
    }
    show(summary, ["configuration is valid", *pairs(summary, indent="  ")], as_json=False)
    return 0


def _further(settings: Settings) -> dict[str, list[str]]:
    wanted = settings.data.by_exchange
    return {name: list(wanted[name]) for name in settings.data.also}


def show_status(config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """The newest run's last committed state; exit 3 when no daemon is behind it."""
    settings = load(config_path(config), {"run.state_dir": state_dir})
    directory = settings.run.state_dir
    pid = holder(directory)
    if pid is None:
        msg = f"no daemon is running on {directory} ({_how_to_start(directory)})"
        raise DaemonNotRunning(msg)
    paths = newest_daemon_run(directory)
    try:
        state: dict[str, object] = msgspec.json.decode(paths.status.read_bytes())
    except FileNotFoundError:
        state = {"run": paths.run, "state": "starting"}
    result = {"pid": pid, **state}
    process = state.get("process")
    told = process.get("summary") if isinstance(process, dict) else None
    show(result, pairs(result if told is None else result | {"process": told}), as_json=as_json)
    return 0


def _how_to_start(directory: Path) -> str:
    try:
        paths = newest_daemon_run(directory)
        result = read_result(paths)
    except UsageRefused:
        return "start one with: tradingd run"
    if not _has_opened(paths):
        return f"run {paths.run} ended before it could trade, and holds nothing: tradingd run"
    if result is None:
        return f"run {paths.run} was cut off and may hold positions: tradingd run --resume last"
    return f"run {paths.run} has ended; start another with: tradingd run"


def _has_opened(paths: RunPaths) -> bool:
    from daemon.core.events import RunOpened
    from daemon.store.journal_reader import JournalReader

    try:
        return JournalReader.open(paths.journal).latest(RunOpened) is not None
    except JournalBroken:
        return paths.journal.exists()  # what cannot be read may hold anything


def show_version(*, as_json: bool) -> int:
    libraries = {name: _installed(name) for name in LIBRARIES}
    result: dict[str, object] = {
        "tradingd": __version__,
        "python": platform.python_version(),
        **libraries,
    }
    show(result, pairs(result), as_json=as_json)
    return 0


def _installed(name: str) -> str | None:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return None
