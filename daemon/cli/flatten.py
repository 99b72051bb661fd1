"""`tradingd flatten`: says what is held, has it closed, and says what is left.

Belongs here: whom to ask, a running daemon or the run's own journal, and how that is shown. What is
cancelled and sold belongs to the core; without a daemon it is driven by `running.flatten`.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from daemon.cli.books import compared, is_real_account
from daemon.cli.connecting import connect
from daemon.cli.control import ask, asked, checked_reason
from daemon.cli.output import show
from daemon.cli.running import config_path, overrides_of
from daemon.config import load, restored, still_known
from daemon.core import events as e
from daemon.core.clock import WireClock
from daemon.core.errors import (
    CheckFailed,
    DaemonNotRunning,
    ExchangeUnreachable,
    UsageRefused,
)
from daemon.core.instruments import plain
from daemon.running.books.holdings import books_of, holding, outlives
from daemon.running.world.shadow import SHADOW
from daemon.store.journal_reader import JournalReader
from daemon.store.lock import StateLock
from daemon.store.runs import BACKTEST, LAST, newest_daemon_run, read_spec, resolve
from daemon.web.control import Request

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.store.runs import RunPaths, RunSpec

DEFAULT_REASON = "flatten"
LOOK_EVERY_S = 0.5
WITHIN_S = 120.0
NOT_CONFIRMED = (
    "nothing was done: say --confirm to cancel and close all of that and to halt, or --dry-run to "
    "see it only"
)


def flatten(  # noqa: PLR0917  # one parameter per option
    reason: str,
    confirm: bool,
    dry_run: bool,
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Exit 0 when nothing is left that an order can move and both sides' books are equal, 4 with
    what is left; 2 without --confirm, after saying what would be done.
    """
    said = checked_reason(reason or DEFAULT_REASON)
    settings = load(config_path(config), {"run.state_dir": state_dir})
    folder = settings.run.state_dir
    paths = newest_daemon_run(folder) if run == LAST else resolve(folder, run)
    spec = read_spec(paths)
    if spec.mode == BACKTEST:
        msg = f"run {spec.run} is a backtest, which holds nothing"
        raise UsageRefused(msg)
    if dry_run or not confirm:
        return _plan(paths, spec, is_dry=dry_run, as_json=as_json)
    try:
        _ask_for_it(folder, paths, said)
    except DaemonNotRunning:
        with StateLock.acquire(folder, started_ns=WireClock().now_ns()):
            told = asyncio.run(_alone(settings, paths, spec, said))
    else:
        held = asyncio.run(_closed(folder, paths))
        told = _told("running", held, _differences(settings, paths, spec))
    return _show(spec, {"reason": said, **told}, as_json=as_json)


# --- what would be done ---------------------------------------------------------------------------


def _plan(paths: RunPaths, spec: RunSpec, *, is_dry: bool, as_json: bool) -> int:
    """By the journal alone: no lock, no exchange, and nothing changes."""
    held = _held_by_journal(paths)
    lines = [
        *(f"cancel {_order(each)}" for each in held["open_orders"]),
        *(
            f"{'sell' if not quantity.startswith('-') else 'buy'} {quantity.lstrip('-')} of {name}"
            for name, quantity in held["positions"].items()
        ),
        *(
            f"leave {quantity} of {name}: no order can be so small"
            for name, quantity in held["dust"].items()
        ),
        "halt until a resume",
    ]
    result = {"command": "flatten", "run": spec.run, "dry_run": True, "would": held}
    show(result, lines, as_json=as_json)
    if is_dry:
        return 0
    sys.stderr.write(f"tradingd: {NOT_CONFIRMED}\n")
    return UsageRefused.exit_code


def _held_by_journal(paths: RunPaths) -> dict[str, Any]:
    books = books_of(JournalReader.open(paths.journal))
    return holding(books.book, books.blotter)


# --- with a daemon --------------------------------------------------------------------------------


def _ask_for_it(folder: Path, paths: RunPaths, reason: str) -> None:
    """Returns once the request is in the daemon's journal, or may be soon."""
    running = asked(folder, Request("status")).status["run"]
    if running != paths.run:
        msg = f"a daemon is running on {folder} with run {running}: stop it to close {paths.run}"
        raise CheckFailed(msg)
    answer = ask(folder, Request("flatten", reason))
    if not answer.ok and not answer.is_late:
        raise CheckFailed(answer.error)


async def _closed(folder: Path, paths: RunPaths) -> dict[str, Any]:
    """What the daemon holds once it is flat, or after a while; said each time it changes."""
    loop = asyncio.get_running_loop()
    until_s, told = loop.time() + WITHIN_S, None
    while True:
        try:
            held = asked(folder, Request("status")).status
        except DaemonNotRunning:
            held = _held_by_journal(paths)  # it was stopped meanwhile; what it did stands there
            until_s = 0.0
        except CheckFailed:  # many ask at once; it is closing all the same
            if loop.time() > until_s:
                raise
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        left = _left(held)
        if left != told:
            told = left
            sys.stderr.write(f"{left or 'nothing is held, nothing is open'}\n")
        if not left or loop.time() > until_s:
            return held
        await asyncio.sleep(LOOK_EVERY_S)


def _differences(settings: Settings, paths: RunPaths, spec: RunSpec) -> dict[str, list[str]]:
    """Its books against the account; on paper in process there is no other side."""
    if spec.mode == SHADOW or not (spec.endpoints() or is_real_account(spec)):
        return {}
    try:
        return compared(settings, paths, spec)
    except (ExchangeUnreachable, UsageRefused) as error:
        return {spec.exchange_name: [f"not compared: {error}"]}


def _left(held: dict[str, Any]) -> str:
    parts = [f"{quantity} of {name}" for name, quantity in held["positions"].items()]
    parts += [_order(each) for each in held["open_orders"]]
    return ", ".join(parts)


# --- without one ----------------------------------------------------------------------------------


async def _alone(settings: Settings, paths: RunPaths, spec: RunSpec, reason: str) -> dict[str, Any]:
    from daemon.running.flatten import Flattener

    as_begun = _as_begun(settings, spec)
    sys.stderr.write(f"no daemon is running: closing what run {spec.run} holds\n")
    world = await connect(as_begun, spec, paths, speed=None, is_closing=True)
    try:
        for site in world.sites:
            if site.process is not None:
                site.process.leave()  # whoever goes on with the run finds it as it was
        _require_same_account(world.sites, paths)
        flattener = Flattener(as_begun, paths, world, _say)
        who = f"{getpass.getuser()} uid {os.getuid()} pid {os.getpid()}, no daemon"
        done = await flattener.run(reason, who, within_s=WITHIN_S)
    finally:
        await world.close()
    return _told("down", done.held, done.differences)


def _as_begun(settings: Settings, spec: RunSpec) -> Settings:
    """What the run was begun with: neither a file that has changed since must keep it from closing,
    nor a version that has other keys.
    """
    if not spec.settings:
        return load(None, {"run.state_dir": settings.run.state_dir, **overrides_of(spec)})
    begun = restored(still_known(spec.settings))
    run = begun.run.model_copy(update={"state_dir": settings.run.state_dir})
    return begun.model_copy(update={"exchange": settings.exchange, "run": run})


def _require_same_account(sites: Any, paths: RunPaths) -> None:
    opened = JournalReader.open(paths.journal).latest(e.RunOpened)
    if opened is None:
        msg = f"run {paths.run} was killed before its first step: it never held anything"
        raise CheckFailed(msg)
    for site in sites:
        account = opened.account_on(site.exchange).account
        if account != site.account:
            msg = f"{site.exchange} answers for account {site.account}, not {account}"
            raise ExchangeUnreachable(msg)


def _say(event: e.Event) -> None:
    """What happens, as it happens, for the person who waits."""
    if isinstance(event, e.OrderCancelRequested):
        text = f"cancelling {event.client_order_id} of {event.instrument.symbol}"
    elif isinstance(event, e.OrderIntended):
        quantity = f"{plain(event.quantity)} of {event.instrument.symbol}"
        text = f"{event.client_order_id}: {event.side} {quantity} ({event.leg})"
    elif isinstance(event, e.OrderFilled):
        text = f"{event.client_order_id}: {plain(event.quantity)} at {plain(event.price)}"
    elif isinstance(event, e.OrderCompleted):
        text = f"{event.client_order_id}: {event.state}"
    elif isinstance(event, e.OrderDenied | e.OrderRefused | e.OrderNotSent | e.OrderAbsent):
        text = f"{event.instrument.symbol}: {event.reason}"
    else:
        return
    sys.stderr.write(f"{text}\n")


# --- what came of it ------------------------------------------------------------------------------


def _told(daemon: str, held: dict[str, Any], differences: dict[str, list[str]]) -> dict[str, Any]:
    is_equal = not any(differences.values())
    left = {name: held[name] for name in ("positions", "open_orders", "dust")}
    is_flat = not left["positions"] and not left["open_orders"]
    return {
        "daemon": daemon,
        "flat": is_flat,
        "books_equal": is_equal,
        "left": left,
        "differences": [f"{name}: {text}" for name, texts in differences.items() for text in texts],
    }


def _show(spec: RunSpec, told: dict[str, Any], *, as_json: bool) -> int:
    result = {"command": "flatten", "run": spec.run, "dry_run": False, **told}
    is_done = told["flat"] and told["books_equal"]
    lines = [
        *(f"left: {quantity} of {name}" for name, quantity in told["left"]["positions"].items()),
        *(f"left: {_order(each)}" for each in told["left"]["open_orders"]),
        *(
            f"left: {quantity} of {name}, which no order can move"
            for name, quantity in told["left"]["dust"].items()
        ),
        *told["differences"],
    ]
    if told["flat"]:
        lines.append("flat: nothing is held that an order can move, nothing is open")
    if told["flat"] and not spec.endpoints() and not outlives(spec):
        lines.append("the account is on paper, in this run's journal")
    end = "trading is halted; end it with: tradingd resume --reason R --confirm"
    if not is_done and told["daemon"] == "running":
        end = "NOT DONE: the daemon goes on closing until a resume; " + end
    elif not is_done:
        end = "NOT DONE: ask again, or close the rest at the exchange; " + end
    show(result, [*lines, end], as_json=as_json)
    return 0 if is_done else CheckFailed.exit_code


def _order(each: dict[str, str]) -> str:
    return f"{each['leg']} {each['order']} ({each['type']} {each['side']} {each['quantity']})"
