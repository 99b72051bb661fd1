"""Runs `tradingd` in a child process on a small configuration and reads what it prints.

Belongs here: starting, killing and reading the command. What must be true of it belongs to the
tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 180
STOP_WITHIN_S = 60
# A training this small takes seconds; everything else is as shipped.
SMALL = """
[data]
history_bars = 1500
[model]
trees = 40
folds = 3
[health]
sample_every_bars = 12
"""

# Live, a model opens nothing before its health is known, which takes longer than a test runs.
LIVE = SMALL + '[risk]\ntrade_unknown_model = "always"\n'


class Tradingd:
    """The command on one state directory."""

    def __init__(self, folder: Path, config: str = SMALL) -> None:
        self.state = folder / "state"
        self._config = folder / "config.toml"
        self._config.write_text(config, encoding="utf-8")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRADINGD__")
        } | {"PYTHONPATH": str(ROOT), "TRADINGD__RUN__STATE_DIR": str(self.state)}
        self._folder = folder

    def use(self, ready: Mapping[str, Any]) -> Self:
        """Trade on a separate exchange with its key."""
        self.environment |= {
            "TRADINGD__EXCHANGE__API_KEY": ready["key"],
            "TRADINGD__EXCHANGE__API_SECRET": ready["secret"],
        }
        return self

    def command(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run to the end; fails with everything it said when the exit code is another."""
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *arguments, "--config", str(self._config)],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        said = f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == code, f"exit {done.returncode}, expected {code}: {said}"
        return done

    def run(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """`tradingd run` to its end: all its log lines."""
        done = self.command("run", *arguments, code=code)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """A command with --json: its one object."""
        done = self.command(*arguments, "--json", code=code)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`tradingd run` in the background, its stdout to be read by the caller."""
        with (self._folder / "stderr").open("a", encoding="utf-8") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", "daemon", "run", *arguments, "--config", str(self._config)],
                cwd=self._folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def stop_exchange(self) -> None:
        """End every exchange that a killed daemon left behind, by the pid it wrote down."""
        last = (self.state / "runs" / "last").read_text("utf-8").strip()
        for folder in sorted((self.state / "runs" / last).glob("exchange*")):
            self.kill_exchange(folder.name, signal.SIGTERM)

    def kill_exchange(self, folder: str, how: signal.Signals) -> None:
        """Signal one exchange of the newest run."""
        last = (self.state / "runs" / "last").read_text("utf-8").strip()
        known = json.loads((self.state / "runs" / last / folder / "exchange.json").read_text())
        pid = (known.get("endpoint") or {}).get("pid")
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), how)


@contextlib.contextmanager
def an_exchange(folder: Path, *options: str, seed: int = 42) -> Iterator[dict[str, Any]]:
    """What a separate `tradingd exchange` says when it is ready; it outlives what is run on it."""
    fixed = ("--state", str(folder / "exchange"), "--seed", str(seed))
    child = subprocess.Popen(
        [sys.executable, "-m", "daemon", "exchange", *fixed, *options],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())
    finally:
        child.terminate()
        child.communicate(timeout=STOP_WITHIN_S)


def finished(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last line, which must be run.finished."""
    assert lines[-1]["event"] == "run.finished", lines[-1]
    return lines[-1]
