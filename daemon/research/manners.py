"""How a training behaves beside a daemon: it gives way to it, and does not outlive it.

Belongs here: what the system is asked for; where it says no, the training goes on without.
"""

import contextlib
import os
import resource
import signal
import threading
from pathlib import Path
from typing import BinaryIO

NICE = 10
# The kernel ends the process with the highest number first when memory is short.
OOM_FILE = Path("/proc/self/oom_score_adj")
OOM_FIRST = "1000"


def give_way(memory_megabytes: int) -> None:
    """Let others go first, for time and for memory; more address space than this is an error."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        OOM_FILE.write_text(OOM_FIRST)
    if memory_megabytes:
        limit = memory_megabytes << 20
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def end_with(pipe: BinaryIO) -> None:
    """End this process and all it has started when `pipe` closes: whoever held it has gone."""

    def wait() -> None:
        # Beneath its buffer, whose lock would abort an interpreter that ends by an error.
        while os.read(pipe.fileno(), 1):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
