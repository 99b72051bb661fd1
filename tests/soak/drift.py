"""Asks how often drift is found where there is none, and how late where there is.

`make soak SOAK=drift`, with options `make soak SOAK="drift --lives 20"`. Every life is a training
and sixty days of hourly rows after it, looked at once a day; features remember from nothing to
weeks (`tests.unit.research.slow_features`). The figures of docs/health.md are its output.
"""

import argparse
import sys
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from daemon.config import HealthSection, RetrainingSection
from daemon.core.instruments import InstrumentId
from daemon.core.scores import Shift
from daemon.layers.monitoring.shifts import References, Rules, measure_drift
from daemon.research.placebos import FALSE_ALARM_RATIO, usual
from daemon.research.series import FloatArray
from tests.unit.research.slow_features import NAMES, SYMBOLS, features

LIVES, DAYS, DAY, FORTNIGHT = 100, 60, 24, 14
HAS_OPTIONS = True
CASES = ((8_700, 1), (8_700, 2), (8_700, 5), (2_000, 2), (1_440, 2), (480, 2), (240, 2))
MOVED = 1.0  # deviations that one feature of one symbol moves by
CONFIG, OPENS = HealthSection(), RetrainingSection()


class Life(NamedTuple):
    """Looks that found drift, those in which PSI alone was beyond, and the days that count."""

    looks: int
    drifting: int
    by_psi: int
    by_threshold: int
    first_day: int | None  # with drift
    asked_day: int | None  # when a new model would have been asked for
    found_day: int | None  # when the planted shift was found


def lived(seed: int, rows: int, symbols: int) -> Life:
    rng = np.random.default_rng((seed, rows, symbols))
    market = features(rng, symbols=symbols, length=rows + DAYS * DAY)
    references = _taught(market[:, :rows])
    live = market[:, rows:]
    moved = live.copy()
    moved[0, :, 0] += MOVED
    looks = [day for day in range(1, DAYS + 1) if day * DAY >= CONFIG.drift_rows_min]
    found = [_look(references, live, day) for day in looks]
    row, asked = 0, None
    for day, (drifting, _, _, largest) in zip(looks, found, strict=True):
        row = row + 1 if drifting and largest > OPENS.psi_min else 0
        if row >= OPENS.drift_samples and asked is None:
            asked = day
    first = next((day for day, one in zip(looks, found, strict=True) if one[0]), None)
    return Life(
        looks=len(looks),
        drifting=sum(one[0] for one in found),
        by_psi=sum(one[1] for one in found),
        by_threshold=sum(one[2] for one in found),
        first_day=first,
        asked_day=asked,
        found_day=next((day for day in looks if _is_found(references, moved, day)), None),
    )


def _taught(rows: FloatArray) -> References:
    symbols, length, k = rows.shape
    flat = rows.transpose(1, 0, 2).reshape(-1, k)
    of = np.tile(np.arange(symbols), length)
    made = usual(flat, of, SYMBOLS[:symbols], CONFIG.window_outcomes)
    return References(dict(zip(NAMES, made, strict=True)), made[0])


def _look(references: References, live: FloatArray, day: int) -> tuple[bool, bool, bool, float]:
    """Whether it drifts, by PSI alone, by the threshold alone, and the largest PSI that drifts."""
    shifts = _measured(references, live, day)
    drifting = [each for each in shifts if each.is_drift]
    return (
        bool(drifting),
        any(each.psi > (each.psi_limit or np.inf) for each in shifts),
        any(each.psi > OPENS.psi_min for each in shifts),
        max((each.psi for each in drifting), default=0.0),
    )


def _is_found(references: References, moved: FloatArray, day: int) -> bool:
    return any(
        each.is_drift and each.feature == NAMES[0] for each in _measured(references, moved, day)
    )


def _measured(references: References, live: FloatArray, day: int) -> Sequence[Shift]:
    newest = live[:, max(0, day * DAY - CONFIG.window_outcomes) : day * DAY]
    recent = {InstrumentId("x", name): rows for name, rows in zip(SYMBOLS, newest, strict=False)}
    said = {each: rows[:, :1] for each, rows in recent.items()}
    rules = Rules(CONFIG.psi_warn, CONFIG.drift_rows_min)
    return measure_drift(references, NAMES, recent, said, rules).features


def main(arguments: Sequence[str] = ()) -> int:
    """1 when chance is called drift more often than the placebo promises."""
    parser = argparse.ArgumentParser(prog="drift")
    parser.add_argument("--lives", type=int, default=LIVES)
    lives = parser.parse_args(list(arguments)).lives
    code = 0
    for rows, symbols in CASES:
        told = [lived(seed, rows, symbols) for seed in range(lives)]
        looks = sum(one.looks for one in told)
        share = sum(one.drifting for one in told) / looks
        sys.stdout.write(f"| {rows:,} | {symbols} | {_row(told, looks)} |\n")
        sys.stdout.flush()
        # Looks of one life share most of their rows: a life holds three windows, no more.
        room = 3.0 * (FALSE_ALARM_RATIO / (3 * lives)) ** 0.5
        if share > FALSE_ALARM_RATIO + room:
            sys.stdout.write(f"  {share:.1%} of looks are wrong\n")
            code = 1
    return code


def _row(told: Sequence[Life], looks: int) -> str:
    def days(name: str) -> list[int]:
        return [day for one in told if (day := getattr(one, name)) is not None]

    early = sum(day <= FORTNIGHT for day in days("first_day"))
    found = days("found_day")
    return " | ".join(
        (
            f"{sum(one.by_threshold for one in told) / looks:.1%}",
            f"{sum(one.by_psi for one in told) / looks:.1%}",
            f"{sum(one.drifting for one in told) / looks:.1%}",
            f"{early / len(told):.0%}",
            f"{len(days('asked_day')) / len(told):.0%}",
            f"{len(found) / len(told):.0%}, day {median(found):.0f}" if found else "never",
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
