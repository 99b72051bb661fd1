"""`tradingd halt` and the like: one question to the running daemon, one line of answer.

Belongs here: asking, and what is said when nobody answers. The other end belongs to `web.control`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from daemon.cli.output import show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.errors import CheckFailed, DaemonNotRunning, TradingdError, UsageRefused
from daemon.running.halt_file import HaltFile
from daemon.store.lock import holder
from daemon.web.control import WITHIN_S, Answer, Request, short_path, wrong_reason

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_BYTES_MAX = 1 << 20
# The daemon gives up twice before: once on reading the request, once on its commit.
ANSWER_WITHIN_S = 2 * WITHIN_S + 2.0


class TimedOut(TradingdError):
    """The daemon did not answer in time; what was asked may still take effect."""

    exit_code = 5


def halt(reason: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Opens no position from the commit on; returns once that is in the journal."""
    answer = _asked(Request("halt", checked_reason(reason)), config, state_dir)
    line = (
        f"trading is halted since {answer.at}: no new positions, exits go on; "
        "end it with: tradingd resume --reason R --confirm"
    )
    _show("halt", reason, answer, line, as_json=as_json)
    return 0


def resume(
    reason: str, confirm: bool, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Ends every halt in force; drawdown is measured anew from here."""
    checked = checked_reason(reason)
    if not confirm:
        msg = (
            "a resume ends every halt, and takes a loss that halted for granted: say --confirm, too"
        )
        raise UsageRefused(msg)
    answer = _asked(Request("resume", checked), config, state_dir)
    is_resumed = "TradingResumed" in answer.caused
    line = f"trading is active since {answer.at}" if is_resumed else "trading was not halted"
    _show("resume", reason, answer, line, as_json=as_json)
    return 0


def cancel_training(
    reason: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Ends the training beside the daemon at once; what becomes of it is in the journal."""
    request = Request("cancel_training", checked_reason(reason))
    answer = _asked(request, config, state_dir)
    line = "the training is ended; the next one waits for retraining.max_gap_hours"
    _show("cancel_training", reason, answer, line, as_json=as_json)
    return 0


def ask(folder: Path, request: Request, *, within_s: float = ANSWER_WITHIN_S) -> Answer:
    """One request to the daemon of a state directory; DaemonNotRunning or TimedOut without one."""
    try:
        line = _exchange(folder, msgspec.json.encode(request) + b"\n", within_s)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise DaemonNotRunning(_nobody(folder)) from None
    except (TimeoutError, BlockingIOError):
        msg = f"the daemon did not answer within {within_s:g} s; it may still do as asked"
        raise TimedOut(msg) from None
    except PermissionError:
        msg = f"{folder} belongs to somebody else: ask as the daemon's user, or as root"
        raise CheckFailed(msg) from None
    except ConnectionError:
        line = b""
    if not line.endswith(b"\n"):
        msg = "the daemon ended before it answered; whether it did as asked is in its journal"
        raise DaemonNotRunning(msg)
    return msgspec.json.decode(line, type=Answer)


def _asked(request: Request, config: Path | None, state_dir: Path | None) -> Answer:
    settings = load(config_path(config), {"run.state_dir": state_dir})
    return asked(settings.run.state_dir, request)


def asked(folder: Path, request: Request) -> Answer:
    """What the daemon did; CheckFailed when it said no, TimedOut when it said nothing in time."""
    answer = ask(folder, request)
    if answer.is_late:
        raise TimedOut(answer.error)
    if not answer.ok:
        raise CheckFailed(answer.error)
    return answer


def _exchange(folder: Path, line: bytes, within_s: float) -> bytes:
    with (
        short_path(folder) as address,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection,
    ):
        connection.settimeout(within_s)
        connection.connect(address)
        # A full house says so before it hears the question: sending fails then, reading does not.
        with suppress(ConnectionError):
            connection.sendall(line)
        with connection.makefile("rb") as answers:
            return answers.readline(ANSWER_BYTES_MAX)


def checked_reason(reason: str) -> str:
    """A reason as it will stand in the journal; UsageRefused."""
    said = reason.strip()
    if wrong := wrong_reason(said):
        msg = f"--reason: {wrong}"
        raise UsageRefused(msg)
    return said


def _nobody(folder: Path) -> str:
    pid = holder(folder)
    if pid is None:
        return f"no daemon is running on {folder} (start one with: tradingd run)"
    return (
        f"the daemon with pid {pid} is starting or stopping, and takes no commands now; to "
        f"halt it before it decides anything: touch {HaltFile(folder).path}"
    )


def _show(command: str, reason: str, answer: Answer, line: str, *, as_json: bool) -> None:
    result = {
        "command": command,
        "reason": reason.strip(),
        "at": answer.at,
        "who": answer.who,
        "caused": list(answer.caused),
        **answer.status,
    }
    show(result, [line], as_json=as_json)
