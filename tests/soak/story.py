"""Ninety days of a model that dies, twice: undisturbed, and killed and resumed ten times.

`make soak SOAK=story` runs the market of `tests.e2e.model_story` and tells what the daemon came to
think of its model, day by day, on stderr. Half of the kills come at bars at which the undisturbed
run came to think something else, where a training or a sample is under way, the others anywhere.
Options by the environment: SEED, KILLS. One JSON line on stdout; exit 1 when the killed run passed
through other states, or through the same ones more than BARS_APART bars apart.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tests.e2e.model_story import random_bars, story

if TYPE_CHECKING:
    from tests.e2e.model_story import State

BARS_APART = 3
OPTIONS = (("SEED", "3"), ("KILLS", "10"))


def main() -> int:
    seed, kills = (int(os.environ.get(name, default)) for name, default in OPTIONS)
    undisturbed, _ = _told("undisturbed", seed, [])
    bars = kill_bars(undisturbed, kills, seed)
    killed, finished = _told("killed", seed, bars)
    differences = differing(undisturbed, killed)
    result = {
        "soak": "story",
        "seed": seed,
        "killed_at_bars": bars,
        "states": [f"day {each.day:.1f}: {each.what}" for each in undisturbed],
        "apart_bars": [b.bar - a.bar for a, b in zip(undisturbed, killed, strict=False)],
        "verdict": finished["verdict"],
        "differences": differences,
        "holds": not differences,
    }
    sys.stdout.write(orjson.dumps(result).decode() + "\n")
    return 1 if differences else 0


def kill_bars(states: list[State], kills: int, seed: int) -> list[int]:
    """So many different ones, half of them where something happened."""
    happened = sorted({each.bar for each in states})
    some = random.Random(seed).sample(happened, min(kills // 2, len(happened)))
    others = [bar for bar in random_bars(kills, seed) if bar not in some]
    return sorted(some + others[: kills - len(some)])


def differing(one: list[State], other: list[State]) -> list[str]:
    """Where two runs passed through other states, or through one too far apart."""
    if [each.what for each in one] != [each.what for each in other]:
        first = next(
            (
                place
                for place, (a, b) in enumerate(zip(one, other, strict=False))
                if a.what != b.what
            ),
            min(len(one), len(other)),
        )
        return [
            f"state {first + 1}: {_said(one, first)} in one, {_said(other, first)} in the other"
        ]
    return [
        f"{a.what}: bar {a.bar} in one, {b.bar} in the other"
        for a, b in zip(one, other, strict=True)
        if abs(a.bar - b.bar) > BARS_APART
    ]


def _said(states: list[State], place: int) -> str:
    return "nothing" if place >= len(states) else f"{states[place].what} (bar {states[place].bar})"


def _told(name: str, seed: int, bars: list[int]) -> tuple[list[State], dict[str, Any]]:
    with (
        tempfile.TemporaryDirectory(prefix="tradingd-story-") as folder,
        story(Path(folder), seed=seed) as run,
    ):
        finished = run.told(bars)
        states = run.states()
    sys.stderr.write(f"{name}:\n")
    sys.stderr.writelines(f"  day {each.day:5.1f}  {each.what}\n" for each in states)
    return states, finished


if __name__ == "__main__":
    sys.exit(main())
