"""`tradingd simulate-orders`: thousands of runs under faults, and how many of them end wrong.

Belongs here: options, processes and words. What a run is belongs to `simulation`.
"""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.cli.output import progress, show
from daemon.core.errors import UsageRefused
from daemon.simulation.patterns import PATTERNS
from daemon.simulation.runs import OURS, Verdict, run

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 50  # seeds that a process takes at a time
SHOWN_MAX = 10
CHECK_FAILED = 4


class Part(Struct, frozen=True):
    """What came of some seeds in a row."""

    first: int
    verdicts: tuple[Verdict, ...]


def simulate(pattern: str, seeds: int, first: int, jobs: int, *, as_json: bool) -> int:
    """Run them all; exit code 4 when the shipped order path was wrong even once."""
    known = (*PATTERNS, OURS)
    if pattern not in known:
        msg = f"--pattern {pattern}: expected one of {', '.join(known)}"
        raise UsageRefused(msg)
    parts: dict[int, Part] = {}
    done = wrong = 0
    for part in _parts(pattern, first, seeds, jobs):
        parts[part.first] = part
        done += len(part.verdicts)
        wrong += sum(bool(each.wrong) for each in part.verdicts)
        progress(f"runs of {pattern}", done, seeds, f"{wrong} wrong")
    verdicts = [each for start in sorted(parts) for each in parts[start].verdicts]
    result = _summed(pattern, verdicts)
    show(result, _lines(result, verdicts), as_json=as_json)
    return CHECK_FAILED if pattern == OURS and wrong else 0


def run_part(pattern: str, first: int, count: int) -> Part:
    """So many seeds, one after the other, in this process."""
    gc.collect()
    gc.disable()  # what a run leaves behind is collected between the parts
    try:
        return Part(first, tuple(run(pattern, seed) for seed in range(first, first + count)))
    finally:
        gc.enable()


def _parts(pattern: str, first: int, seeds: int, jobs: int) -> Iterator[Part]:
    end = first + seeds
    chunks = [(start, min(CHUNK, end - start)) for start in range(first, end, CHUNK)]
    if jobs == 1 or len(chunks) == 1:
        for start, count in chunks:
            yield run_part(pattern, start, count)
        return
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawning) as pool:
        asked = [pool.submit(run_part, pattern, start, count) for start, count in chunks]
        try:
            for each in as_completed(asked):
                yield each.result()
        finally:
            for each in asked:
                each.cancel()


def _summed(pattern: str, verdicts: list[Verdict]) -> dict[str, object]:
    kinds: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    digest = hashlib.sha256()
    for each in verdicts:
        kinds.update(each.wrong)
        fired.update(each.fired)
        digest.update(each.digest.encode())
    wrong = [each.seed for each in verdicts if each.wrong]
    return {
        "runs": len(verdicts),
        "wrong": len(wrong),
        "kinds": dict(sorted(kinds.items())),
        "pattern": pattern,
        "orders": sum(each.orders for each in verdicts),
        "halted": sum(any("halted" in text for text in each.told) for each in verdicts),
        "faults": dict(sorted(fired.items())),
        "wrong_seeds": wrong[:SHOWN_MAX],
        "digest": digest.hexdigest()[:16],
    }


def _lines(result: dict[str, object], verdicts: list[Verdict]) -> Iterator[str]:
    runs, wrong = len(verdicts), sum(bool(each.wrong) for each in verdicts)
    yield f"{result['pattern']}: {wrong} of {runs} runs wrong, {result['orders']} orders"
    kinds, faults = result["kinds"], result["faults"]
    assert isinstance(kinds, dict)
    assert isinstance(faults, dict)
    for name, count in sorted(kinds.items(), key=lambda each: -each[1]):
        yield f"  {name:<12} {count:>7}"
    yield f"faults: {', '.join(f'{name} {count}' for name, count in faults.items())}"
    yield f"runs in which trading was halted: {result['halted']}; digest {result['digest']}"
    for each in [each for each in verdicts if each.wrong][:SHOWN_MAX]:
        told = f": {'; '.join(each.told)}" if each.told else ""
        yield f"  seed {each.seed}: {', '.join(each.wrong)}{told}"
