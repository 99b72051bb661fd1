import hashlib
import os
import subprocess
import sys
from pathlib import Path

from daemon.core import events as e
from tests.unit.core.simulation import Simulation, a_core, a_run

ROOT = Path(__file__).parents[2]
SEEDS = range(4)
TELL = "from tests.replay.test_determinism import digest; print(digest())"


def digest() -> str:
    """Of every event and command of some stories, and of the same after recovering half way."""
    told = hashlib.sha256()
    for seed in SEEDS:
        steps = a_run(seed).steps
        for step in steps:
            for event in step.events:
                told.update(e.encode(event))
            told.update(repr(step.commands).encode())
        half = len(steps) // 2
        fresh = a_core(Simulation(seed).settings)
        fresh.pipeline.recover(each for step in steps[:half] for each in step.events)
        for step in steps[half:]:
            for event in fresh.pipeline.step(step.events[0]).events:
                told.update(e.encode(event))
    return told.hexdigest()


def digest_of_a_process(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return told.stdout.strip()


def test_two_processes_with_different_hash_seeds_tell_the_same_bytes() -> None:
    first, second = digest_of_a_process("1"), digest_of_a_process("2718")

    assert first == second
    assert len(first) == 64


def test_this_process_tells_the_same_bytes_as_another() -> None:
    assert digest() == digest_of_a_process("0")
