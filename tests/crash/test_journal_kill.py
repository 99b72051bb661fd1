"""The journal after kill -9 amid appends: no acknowledged step is lost, none is there by half."""

import os
import random
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path

from daemon.store.journal_reader import JournalReader
from tests.crash.writing import step_of

ROOT = Path(__file__).parents[2]
KILLS = 6


def killed_after(path: Path, steps: int) -> list[int]:
    """Step numbers that a writer acknowledged before it was killed at about its `steps`th."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.writing", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(steps)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
    # A line without its end was cut by the kill and acknowledged nothing.
    return acknowledged + [int(line) for line in rest.splitlines(keepends=True) if "\n" in line]


def test_a_killed_writer_loses_no_acknowledged_step_and_leaves_no_half_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    moments = random.Random(20240101)

    for _ in range(KILLS):
        acknowledged = killed_after(path, moments.randint(1, 40))

        steps = {
            number: tuple(event for _, event in events)
            for number, events in groupby(JournalReader.open(path).read(), key=lambda each: each[0])
        }
        assert list(steps) == list(range(1, len(steps) + 1)), "in order and without a hole"
        assert set(acknowledged) <= set(steps), "what was acknowledged is there"
        assert all(events == step_of(number) for number, events in steps.items()), "and is whole"
