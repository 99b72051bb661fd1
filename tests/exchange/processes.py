"""The command `tradingd exchange` as a child process: what tests of its life are made of.

Belongs here: starting, reading the ready line and ending. An exchange inside the test's own process
belongs in loopback.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.embedded.server import Endpoints
from daemon.embedded.signing import Credentials
from tests.exchange.loopback import ccxt_client

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 60.0


@dataclass(slots=True)
class Child:
    """A running exchange and what it said when it was ready."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]

    @property
    def endpoints(self) -> Endpoints:
        port = int(self.ready["rest"].rsplit(":", 1)[1])
        return Endpoints(self.ready["rest"], self.ready["stream"], self.ready["ws_api"], port)

    def client(self) -> Any:
        return ccxt_client(self.endpoints, Credentials(self.ready["key"], self.ready["secret"]))

    async def end(self, how: signal.Signals) -> tuple[int, str, str]:
        """Exit code and what else it wrote to stdout and stderr."""
        self.process.send_signal(how)
        return await finished(self.process)


async def started(state: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command; `--state` is given."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon", "exchange", "--state", str(state), *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Wait for the end: exit code, stdout and stderr."""
    async with asyncio.timeout(READY_WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def serving(state: Path, *arguments: str) -> AsyncIterator[Child]:
    """A child that is ready; killed at the end if it still runs."""
    process = await started(state, *arguments)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        if not line:
            raise AssertionError(await finished(process))
        yield Child(process, json.loads(line))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
