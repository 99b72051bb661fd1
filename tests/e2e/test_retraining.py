"""A training beside a running daemon: its process killed, and the daemon killed over it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.core.manifests import MANIFEST_SCHEMA
from tests.e2e.command import SMALL, Tradingd, finished
from tests.e2e.watched import Watched, is_line

if TYPE_CHECKING:
    from collections.abc import Callable

OFTEN = f"""{SMALL}
[retraining]
after_days = 0.5
new_bars_min = 10
min_gap_hours = 6
"""
BARS = 30
SWAPPED = {"model.unfit", "model.activated"}


def test_whichever_side_of_a_training_is_killed_the_run_goes_on_and_says_what_became_of_it(
    tmp_path: Path,
) -> None:
    tradingd = Tradingd(tmp_path, OFTEN)
    try:
        first = Watched(tradingd.start("--market", "synthetic", "--bars", str(BARS)))
        first.until(is_line("retraining.opened", reason="age", attempt=1))
        os.kill(training_of(first.pid), signal.SIGKILL)
        meanwhile = first.until(is_line("training.failed"))

        opened = first.until(is_line("retraining.opened", attempt=2))[-1]
        child = training_of(first.pid)
        first.end(signal.SIGKILL)
        asyncio.run(until(lambda: is_gone(child)))

        lines = tradingd.run("--resume", "last")
        parity = tradingd.query("parity", "--allow-no-orders")
    finally:
        tradingd.stop_exchange()

    failed = meanwhile[-1]
    assert "bar.closed" not in {each["event"] for each in meanwhile}, "the market has to wait"
    assert failed["fault"] == "process"
    assert "ended with -9" in failed["reason"]
    ended = next(
        each for each in lines if each["event"] in {"candidate.trained", "training.failed"}
    )
    assert ended["event"] == "candidate.trained" or ended["fault"] == "candidate", ended
    assert ended["at"] >= opened["at"]
    assert finished(lines)["bars"] == 2 * BARS
    assert parity["identical"], parity


def test_a_run_whose_model_another_version_wrote_goes_on_with_a_new_one(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)
    try:
        first = Watched(tradingd.start("--market", "synthetic", "--bars", "12"))
        before = first.until(is_line("model.activated"))[-1]["model"]
        first.until(is_line("bar.closed"))
        first.end(signal.SIGKILL)
        manifest = tradingd.state / "models" / str(before) / "manifest.json"
        manifest.write_text(manifest.read_text().replace(MANIFEST_SCHEMA, "tradingd.model/0"))

        lines = tradingd.run("--resume", "last")
    finally:
        tradingd.stop_exchange()

    told = [(each["event"], each["model"]) for each in lines if each["event"] in SWAPPED]
    assert told[0] == ("model.unfit", before)
    assert told[-1][0] == "model.activated"
    assert told[-1][1] != before
    assert finished(lines)["bars"] == 24
    assert {each["model"] for each in lines if each["event"] == "model.predicted"} == {told[-1][1]}


def training_of(daemon: int) -> int:
    """The process that the daemon has started for a training."""
    found: list[int] = []

    def is_there() -> bool:
        children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        found.extend(
            int(each)
            for each in children
            if b"daemon.research.job" in Path(f"/proc/{each}/cmdline").read_bytes()
        )
        return bool(found)

    asyncio.run(until(is_there))
    return found[0]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)
