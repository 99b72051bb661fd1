"""A training in a process of its own: turns a job into the id of a registered model, or an error.

Belongs here: our end of the process, and that whatever becomes of it is no more than an error. The
other end is `research.job`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import ModelRefused, TradingdError
from daemon.core.jobs import TrainingProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.core.jobs import TrainingJob

LINE_BYTES_MAX = 1 << 20
TAIL_BYTES = 4_096
ERROR_NAMED = re.compile("error", re.IGNORECASE)
TRAIN = (sys.executable, "-W", "ignore::UserWarning:sklearn", "-m", "daemon.research.job")


class TrainingTimedOut(TradingdError):
    """The process took longer than it was given, and was ended."""


async def train(
    job: TrainingJob,
    on_progress: Callable[[TrainingProgress], None],
    *,
    within_s: float | None = None,
    command: Sequence[str] = TRAIN,
) -> str:
    """The id of the model, which is in the registry then.

    ModelRefused where the process says why there is none, TrainingTimedOut, or TradingdError when
    it died or spoke nonsense. It and all it has started end with this call, and with our process;
    it knows no secret of ours. A candidate's process gives way to everybody else.
    """
    gently = ("ionice", "-c", "3") if job.candidate and shutil.which("ionice") else ()
    child = await asyncio.create_subprocess_exec(
        *gently, *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        env=_environment(is_gentle=job.candidate is not None),
        start_new_session=True,  # a Ctrl-C is for us, and we end it with all it has started
    )  # fmt: skip
    try:
        async with asyncio.timeout(within_s):
            last, tail = await asyncio.gather(_heard(child, job, on_progress), _tail(child))
            code = await child.wait()
    except TimeoutError:
        msg = f"no model could be trained within {within_s:g} s"
        raise TrainingTimedOut(msg) from None
    finally:
        await _end(child)
    if last.model is None:
        died = f"the training process ended with {code}{tail and f': {tail}'}"
        if job.candidate is not None and job.candidate.memory_megabytes:
            died += f" (retraining.memory_megabytes is {job.candidate.memory_megabytes})"
        msg = f"no model could be trained: {last.error or died}"
        raise ModelRefused(msg) if last.error else TradingdError(msg)
    return last.model


async def _heard(
    child: asyncio.subprocess.Process,
    job: TrainingJob,
    on_progress: Callable[[TrainingProgress], None],
) -> TrainingProgress:
    """The last line; TradingdError for one that is none of a training's."""
    assert child.stdin is not None
    assert child.stdout is not None
    # The pipe stays open: when it closes, we are gone, and the process ends itself.
    with contextlib.suppress(ConnectionError):
        child.stdin.write(msgspec.json.encode(job) + b"\n")
        await child.stdin.drain()
    last = TrainingProgress()
    try:
        async for line in child.stdout:
            last = msgspec.json.decode(line, type=TrainingProgress)
            if last.model is None and last.error is None:
                on_progress(last)
    except (ValueError, msgspec.DecodeError) as error:
        msg = f"no model could be trained: the training process spoke nonsense: {error}"
        raise TradingdError(msg) from error
    return last


async def _tail(child: asyncio.subprocess.Process) -> str:
    """The last line it wrote for people that names an error, as a traceback does, else the last."""
    assert child.stderr is not None
    tail = b""
    while part := await child.stderr.read(TAIL_BYTES):
        tail = (tail + part)[-TAIL_BYTES:]
    lines = tail.decode(errors="replace").strip().splitlines()
    named = [line for line in lines if ERROR_NAMED.search(line)]
    said = (named or lines or [""])[-1]
    return "".join(each for each in said.strip() if each.isprintable())


async def _end(child: asyncio.subprocess.Process) -> None:
    # Also when it has ended by itself: what it has started may be left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


def _environment(*, is_gentle: bool) -> dict[str, str]:
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return {**path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if is_gentle else path
