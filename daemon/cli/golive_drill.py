"""`tradingd golive drill`: the kill switch tried out on a paper daemon that holds something.

Belongs here: the order of its steps, each checked before the next. What a halt and a flatten do
belongs to the daemon; its journal is the proof that the gate looks at.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from daemon.cli.control import ask
from daemon.cli.output import show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.errors import CheckFailed, UsageRefused
from daemon.core.reasons import TradingState
from daemon.running.world.live_account import LIVE
from daemon.store.runs import read_spec, resolve
from daemon.web.control import Request

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.web.control import Answer

WITHIN_S = 120.0
LOOK_EVERY_S = 0.2
REASON = "kill switch drill"


def run_drill(
    confirm: bool, wait_s: float, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Exit 4 at the first step that does not do what it should; the halt then stands."""
    folder = load(config_path(config), {"run.state_dir": state_dir}).run.state_dir
    before = ask(folder, Request("status")).status
    mode = read_spec(resolve(folder, str(before["run"]))).mode
    if mode == LIVE:
        msg = "the daemon that runs trades live: a drill is for paper"
        raise UsageRefused(msg)
    if before["trading"] != TradingState.ACTIVE:
        msg = f"trading is {before['trading']} already: resume first"
        raise CheckFailed(msg)
    if not confirm:
        msg = "this closes on paper whatever is held: say --confirm"
        raise UsageRefused(msg)
    steps = asyncio.run(_drilled(folder, wait_s))
    show({"run": before["run"], "passed": True, "steps": steps}, steps, as_json=as_json)
    return 0


async def _drilled(folder: Path, wait_s: float) -> list[str]:
    await _await_position(folder, wait_s)
    return [_halted(folder), await _flattened(folder), _resumed(folder)]


async def _await_position(folder: Path, wait_s: float) -> None:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    while not _positions(ask(folder, Request("status")).status):
        if loop.time() >= until_s:
            msg = (
                "nothing is held, so a flatten would prove nothing: try again while a position is, "
                "or wait for one with --wait-s"
            )
            raise CheckFailed(msg)
        await asyncio.sleep(LOOK_EVERY_S)


def _halted(folder: Path) -> str:
    answer = _asked(folder, "halt")
    if answer.status["trading"] == TradingState.ACTIVE:
        msg = "the daemon took the halt and trades on"
        raise CheckFailed(msg)
    return f"halted at {answer.at}"


async def _flattened(folder: Path) -> str:
    loop = asyncio.get_running_loop()
    answer, until_s = _asked(folder, "flatten"), loop.time() + WITHIN_S
    held = _positions(answer.status)
    if not held:
        _asked(folder, "resume")
        msg = "the position was closed before the flatten came, which proves nothing: try again"
        raise CheckFailed(msg)
    while True:
        now = ask(folder, Request("status")).status
        if not _positions(now) and not now["open_orders"]:
            return f"flattened since {answer.at}: {', '.join(held)} closed"
        if loop.time() > until_s:
            msg = f"not flat after {WITHIN_S:g} s: {', '.join(_positions(now))}; it is halted"
            raise CheckFailed(msg)
        sys.stderr.write(f"closing {', '.join(_positions(now)) or 'orders'}\n")
        await asyncio.sleep(LOOK_EVERY_S)


def _resumed(folder: Path) -> str:
    return f"resumed at {_asked(folder, 'resume').at}"


def _asked(folder: Path, command: Any) -> Answer:
    answer = ask(folder, Request(command, REASON))
    if not answer.ok:
        msg = f"{command}: {answer.error}"
        raise CheckFailed(msg)
    return answer


def _positions(status: dict[str, object]) -> dict[str, str]:
    held = status["positions"]
    assert isinstance(held, dict)
    return held
