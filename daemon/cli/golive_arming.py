"""`tradingd golive arm` and `disarm`: a person's word that real orders may be sent, and its end.

Belongs here: asking for the word, and noting it. What has to be met before belongs to
`running.golive.gate`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from daemon.cli.asking import who
from daemon.cli.books import is_real_account
from daemon.cli.control import ask, checked_reason
from daemon.cli.golive_commands import checked, entry, item_lines, settings_for
from daemon.cli.output import progress, show
from daemon.cli.running import config_path
from daemon.config import config_hash, load, recorded
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, DaemonNotRunning, TradingdError, UsageRefused
from daemon.core.timeframes import rfc3339
from daemon.running.golive.gate import canary_of, fingerprint, gate_of, paper_journals
from daemon.running.golive.limits import at_first, limits_of
from daemon.running.golive.paper_costs import paper_costs
from daemon.running.world.live_account import require_fit
from daemon.store.code_version import code_version
from daemon.store.golive import Arming, GoliveStore
from daemon.store.lock import holder
from daemon.store.runs import NoRun, newest_daemon_run, read_spec
from daemon.web.control import Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from daemon.config import Settings
    from daemon.running.golive.gate import Gate

NO_KEY = "none"  # of the exchange in the box


def arm_bot(  # as many options
    confirm: str | None,
    market: str | None,
    accepts_unverified: bool,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Exit 4, and noted, while an item is unmet or another name is typed."""
    settings = settings_for(market, config, state_dir)
    require_fit(settings)
    if not settings.data.is_embedded:
        checked(settings, accepts_unverified=accepts_unverified)
    gate = gate_of(settings, progress)
    if gate.unmet:
        return _refused(gate, settings, as_json=as_json)
    limits = limits_of(settings)
    if gate.evidence.manifest is not None:
        limits += (at_first(settings, gate.evidence.manifest.out_of_sample.auc),)
    if not as_json:
        _say([f"{settings.run.name} on {settings.data.exchange}, {config_hash(settings)}:"])
        _say(f"  {each}" for each in limits)
    typed = _typed(settings.run.name) if confirm is None else confirm
    if typed != settings.run.name:
        msg = f"the bot's name is {settings.run.name}, not {typed}: nothing is armed"
        raise CheckFailed(msg)
    arming = _made(gate, settings, limits)
    store = GoliveStore(settings.run.state_dir)
    store.write(replace(store.read(), arming=arming), entry(settings, "arm", detail=limits))
    told = {name: value for name, value in msgspec.to_builtins(arming).items() if name != "config"}
    line = (
        f"armed: `tradingd run --mode live` sends real orders to {arming.exchange}; any change of "
        "the configuration or of the key ends it, and `tradingd golive disarm`"
    )
    show({**told, "at": rfc3339(arming.at_ns)}, [line], as_json=as_json)
    return 0


def disarm_bot(reason: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Nothing starts any more; a daemon that trades live on this state opens nothing any more."""
    settings = load(config_path(config), {"run.state_dir": state_dir})
    said = checked_reason(reason)
    store = GoliveStore(settings.run.state_dir)
    state = store.read()
    was = state.arming
    store.write(replace(state, arming=None), entry(settings, "disarm", reason=said))
    halted = _halt_live(settings.run.state_dir, f"disarmed: {said}")
    lines = [
        "nothing was armed" if was is None else f"{was.exchange} is disarmed",
        *([halted] if halted else []),
    ]
    result = {"was_armed": was is not None, "reason": said, "who": who(), "daemon": halted or None}
    show(result, lines, as_json=as_json)
    return 0


def _refused(gate: Gate, settings: Settings, *, as_json: bool) -> int:
    ids = tuple(each.id for each in gate.unmet)
    GoliveStore(settings.run.state_dir).note(entry(settings, "refused", detail=ids))
    result = {
        "armed": False,
        "unmet": list(ids),
        "items": [msgspec.to_builtins(each) for each in gate.unmet],
    }
    lines = [*item_lines(gate.unmet), f"nothing is armed: {len(ids)} items are unmet"]
    show(result, lines, as_json=as_json)
    return CheckFailed.exit_code


def _typed(name: str) -> str:
    if not sys.stdin.isatty():
        msg = f"nobody can be asked here: say --confirm {name}, once you have read the limits"
        raise UsageRefused(msg)
    sys.stderr.write(f"type the bot's name ({name}) to arm it: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _made(gate: Gate, settings: Settings, limits: tuple[str, ...]) -> Arming:
    return Arming(
        bot=settings.run.name,
        exchange=settings.data.exchange,
        account=fingerprint(settings) or NO_KEY,
        config_hash=config_hash(settings),
        config=recorded(settings),
        model=gate.evidence.record.model,
        code=code_version(),
        who=who(),
        at_ns=WireClock().now_ns(),
        limits=limits,
        canary=canary_of(settings),
        paper=paper_costs(paper_journals(settings)),
    )


def _halt_live(state_dir: Path, reason: str) -> str:
    """Halt the daemon of this state if it trades live; what became of that, or nothing."""
    if holder(state_dir) is None:
        return ""
    try:
        if not is_real_account(read_spec(newest_daemon_run(state_dir))):
            return ""  # the exchange in the box is exempt
        answer = ask(state_dir, Request("halt", reason))
    except NoRun:
        return ""
    except (DaemonNotRunning, TradingdError) as error:
        return f"WARNING: the daemon was not reached ({error}): touch {state_dir / 'HALT'}"
    if not answer.ok:
        return f"WARNING: the daemon did not halt ({answer.error}): touch {state_dir / 'HALT'}"
    return "the live daemon is halted: it opens nothing, exits go on"


def _say(lines: Iterable[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
