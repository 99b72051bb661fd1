"""Asks each rule of health about models whose skill is known: how often wrong, how late right?

`make soak SOAK=skill`, with options `make soak SOAK="skill --seeds 20"`. Of every kind of model
(horizon, promised AUC, symbols) and each seed there are five fates: the skill holds for a year, is
three quarters of the promised all the time, was never there, dies, or turns into its opposite, the
latter two at bar 2,000 of a year. How streams are made is said in `_skill_streams`. The default
rule is asked about every seed, the two others, which take far longer, about the first OTHER_SEEDS.
With `--write` the figures go into daemon/layers/monitoring/measured.py, from where `tradingd health
--explain` and docs/health.md have them. Exit 1 when a bound that docs/health.md states does not
hold, or when the figures stored there are others than those found.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from daemon.config import HealthSection
from daemon.layers.monitoring.measured import MEASURED, Delay, Measured, lines_of
from tests.soak._skill_bounds import beyond, stored_otherwise
from tests.soak._skill_streams import (
    CHANGE_BAR,
    CHANGES,
    YEAR_BARS,
    Fate,
    Kind,
    streams,
    told_of,
    told_of_all,
)

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "daemon" / "layers" / "monitoring" / "measured.py"
OTHERS = ("auc_window", "last_n")
POLICIES = ("sequential", *OTHERS)
SEEDS = 200
OTHER_SEEDS = 40
KINDS = tuple(
    Kind(auc, horizon, symbols)
    for horizon, auc, symbols in (
        *((1, auc, 2) for auc in (0.55, 0.60, 0.70)),
        *((4, auc, 2) for auc in (0.55, 0.60, 0.70)),
        *((1, 0.60, symbols) for symbols in (1, 5)),
    )
)
HAS_OPTIONS = True


class Case(msgspec.Struct, frozen=True):
    """What one rule said of one stream."""

    kind: Kind
    fate: Fate
    policy: str
    critical: int | None  # bars after the change, where there is one
    shown: int | None
    doubted: int | None


def main(options: Sequence[str] = ()) -> int:
    """One JSON line on stdout; 1 when the default rule errs more often than is said of it."""
    parser = argparse.ArgumentParser(prog="make soak SOAK=skill")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(options)
    cases, places = [], [(kind, fate) for kind in KINDS for fate in Fate]
    for done, (kind, fate) in enumerate(places):
        sys.stderr.write(f"\rskill {done}/{len(places)} {kind.auc} {kind.horizon} {fate}     ")
        cases += judged(kind, fate, asked.seeds)
    sys.stderr.write(f"\rskill {len(places)}/{len(places)}\n")
    rows = summary(cases)
    if asked.write:
        MODULE.write_text(_written(rows))
    warned = warned_ratios(cases)
    is_whole = asked.seeds == SEEDS
    broken = list(beyond(rows, warned, HealthSection(), is_whole=is_whole))
    if is_whole and not asked.write:
        broken += stored_otherwise(rows, MEASURED)
    told = {
        "soak": "skill",
        "ok": not broken,
        "broken": broken,
        "seeds": asked.seeds,
        "warned_ratios": warned,
        "observed_bars": YEAR_BARS - CHANGE_BAR,
        "rows": msgspec.to_builtins(rows),
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    return 1 if broken else 0


def judged(kind: Kind, fate: Fate, seeds: int) -> list[Case]:
    """Streams of one kind and fate, asked about after the change where there is one."""
    after = CHANGE_BAR if fate in CHANGES else 0
    given, config = streams(kind, fate, range(seeds)), HealthSection()
    told = told_of_all(given, kind, config, after)
    if fate is not Fate.NEVER:
        told += [told_of(each, kind, config, OTHERS, after) for each in given[:OTHER_SEEDS]]
    return [
        Case(kind, fate, policy, None if bar is None else bar - after, one.shown, one.doubted)
        for one in told
        for policy, bar in one.critical.items()
    ]


def summary(cases: Iterable[Case]) -> list[Measured]:
    """A row for every rule and kind of model."""
    by: dict[tuple[Kind, Fate, str], list[Case]] = {}
    for each in cases:
        by.setdefault((each.kind, each.fate, each.policy), []).append(each)
    return [_row(by, kind, policy) for policy in POLICIES for kind in KINDS]


def warned_ratios(cases: Iterable[Case]) -> list[float]:
    """Of models that hold three quarters of their promise, how many saw a WARNING in the year."""
    by: dict[Kind, list[bool]] = {}
    for each in cases:
        if each.policy == "sequential" and each.fate is Fate.THREE_QUARTERS:
            by.setdefault(each.kind, []).append(each.doubted is not None)
    return [round(sum(seen) / len(seen), 4) for seen in by.values()]


def _row(by: dict[tuple[Kind, Fate, str], list[Case]], kind: Kind, policy: str) -> Measured:
    holds = by[kind, Fate.HOLDS, policy]
    never = _delay([each.shown for each in by[kind, Fate.NEVER, "sequential"]])
    shown = [each.shown for each in by[kind, Fate.HOLDS, "sequential"]]
    return Measured(
        policy=policy,
        horizon_bars=kind.horizon,
        symbols=kind.symbols,
        auc=kind.auc,
        seeds=len(holds),
        alarms_ratio=_share(holds),
        alarms_kept_ratio=_share(by[kind, Fate.THREE_QUARTERS, policy]),
        dies=_delay([each.critical for each in by[kind, Fate.DIES, policy]]),
        turns=_delay([each.critical for each in by[kind, Fate.TURNS, policy]]),
        shown=_delay(shown) if policy == "sequential" else None,
        shown_wrongly_ratio=never.found_ratio if policy == "sequential" else None,
    )


def _share(cases: Sequence[Case]) -> float:
    return round(sum(each.critical is not None for each in cases) / len(cases), 4)


def _delay(bars: Sequence[int | None]) -> Delay:
    found = sorted(each if each is not None else 10**9 for each in bars)
    median, late = (found[int(np.ceil(share * len(found))) - 1] for share in (0.5, 0.9))
    ratio = sum(each is not None for each in bars) / len(bars)
    return Delay(
        round(ratio, 4),
        None if median == 10**9 else median,
        None if late == 10**9 else late,
    )


def _written(rows: Sequence[Measured]) -> str:
    """The module with another table in it."""
    head, _, rest = MODULE.read_text().partition('TABLE = """\n')
    _, _, foot = rest.partition('"""\n')
    table = "".join(f"{line}\n" for line in lines_of(rows))
    return f'{head}TABLE = """\n{table}"""\n{foot}'
