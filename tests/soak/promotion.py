"""Asks the rule of promotion about models whose skill is known: how often wrong, how late right?

`make soak SOAK=promotion`, with options `make soak SOAK="promotion --seeds 20"`. The figures of
docs/retraining.md are its output.
"""

import argparse
import sys
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from daemon.config import PromotionSection
from tests.soak._promotion_market import BOLD, CONSTANT, Trial

SEEDS = 200
BARS_MAX = 1_100
HAS_OPTIONS = True
NEVER = 1e-9


class Case(NamedTuple):
    """Two models and what must not become of them more often than `wrong_max`."""

    name: str
    shares: tuple[float, float]
    auc: float
    wrong: str = "ModelPromoted"
    wrong_max: float = 1.0
    is_dead: bool = False
    is_back: bool = False


CASES = (
    Case("no better: both know nothing", (BOLD, BOLD), 0.58, wrong_max=0.05),
    Case("no better: both know the same", (0.7, 0.7), 0.60, wrong_max=0.05),
    Case("worse: 0.56 beside 0.60", (1.0, 0.6), 0.60, wrong_max=0.01),
    Case("worse: nothing beside 0.58", (1.0, BOLD), 0.58, wrong_max=0.01),
    Case("better: 0.58 beside nothing", (BOLD, 1.0), 0.58, wrong="ChallengerDropped worse"),
    Case("better: 0.62 beside 0.57", (0.6, 1.0), 0.62, wrong="ChallengerDropped worse"),
    Case("better: 0.60 beside 0.58", (0.8, 1.0), 0.60, wrong="ChallengerDropped worse"),
    Case("dead champion, 0.58", (CONSTANT, 1.0), 0.58, "ChallengerDropped unskilled", is_dead=True),
    Case("dead champion, nothing", (CONSTANT, BOLD), 0.58, wrong_max=0.05, is_dead=True),
    Case("back: both know the same", (0.7, 0.7), 0.60, "ModelRolledBack", 0.05, is_back=True),
    Case("back: the new one knows nothing", (1.0, BOLD), 0.58, "", is_back=True),
    Case("back: the new one is better", (0.6, 1.0), 0.60, "ModelRolledBack", 0.05, is_back=True),
)


def verdicts(case: Case, seeds: Sequence[int], symbols: int) -> list[tuple[str, int]]:
    """What was decided in each life, and after how many bars."""
    # Beside a dead champion only the rule for that is asked.
    config = PromotionSection(error_rate=NEVER) if case.is_dead else PromotionSection()
    return [
        Trial(
            seed, case.shares, auc=case.auc, symbols=symbols, is_dead=case.is_dead,
            is_back=case.is_back, config=config,
        ).verdict(BARS_MAX)
        for seed in seeds
    ]  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """1 when the rule is wrong more often than it says."""
    parser = argparse.ArgumentParser(prog="promotion")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = range(parser.parse_args(list(arguments)).seeds)
    code = 0
    for symbols in (1, 4):
        for case in CASES:
            told = verdicts(case, seeds, symbols)
            sys.stdout.write(f"{symbols} {case.name}: {_told(told)}\n")
            sys.stdout.flush()
            wrong = sum(word.startswith(case.wrong) for word, _ in told if case.wrong)
            # Three deviations of so many lives are chance.
            room = 3.0 * (case.wrong_max * (1.0 - case.wrong_max) / len(told)) ** 0.5
            if wrong > len(told) * (case.wrong_max + room):
                sys.stdout.write(f"  {wrong} of {len(told)} are wrong\n")
                code = 1
    return code


def _told(told: list[tuple[str, int]]) -> str:
    words = sorted({word for word, _ in told})
    parts = []
    for word in words:
        bars = sorted(bar for each, bar in told if each == word)
        share = 100.0 * len(bars) / len(told)
        parts.append(f"{word or 'nothing'} {share:.1f} % (median {median(bars):.0f} bars)")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
