import os
import subprocess
import sys
from collections import Counter

from daemon.simulation.faults import Fault
from daemon.simulation.patterns import PATTERNS
from daemon.simulation.runs import run, run_ours

SEEDS = 100
SAME = "from daemon.simulation.runs import run_ours\nprint(*[run_ours(s).digest for s in range(3)])"


def test_the_shipped_order_path_is_never_wrong_and_every_fault_happens() -> None:
    verdicts = [run_ours(seed) for seed in range(SEEDS)]

    assert [(each.seed, each.wrong, each.told) for each in verdicts if each.wrong] == []
    fired: Counter[str] = sum((each.fired for each in verdicts), Counter())
    assert {each.value for each in Fault} - fired.keys() == set()
    assert sum(each.orders for each in verdicts) > 4 * SEEDS


def test_each_of_the_common_patterns_goes_wrong_in_many_runs() -> None:
    wrong = {
        name: sum(bool(run(name, seed).wrong) for seed in range(60)) for name in sorted(PATTERNS)
    }

    assert min(wrong.values()) >= 20, wrong


def test_an_order_is_doubled_by_each_of_the_common_patterns() -> None:
    for name in PATTERNS:
        assert any("doubled" in run(name, seed).wrong for seed in range(40)), name


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", SAME],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for hash_seed in ("1", "77")
    }

    assert told == {" ".join(run_ours(seed).digest for seed in range(3))}
