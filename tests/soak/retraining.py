"""Asks for candidates in markets whose truth is known: how often one passes where nothing is to be
found, and how soon one is found after an edge of the opposite sign has appeared.

Every market has an edge that dies on day 30. In the first kind nothing comes after it: candidates
are made on NOTHING_DAY, when only the old edge's bars could mislead, judged with the usual costs
and once more as if trading were free, where nothing but the tests stands between luck and a claim.
In the others an edge of the opposite sign appears on day 60, and one candidate is made so many days
after that. Rules and windows are the defaults of [retraining]; trees are TREES instead of 300. Done
markets are kept in state/soak and not done again while the code they ran is the same.
"""

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from daemon.config import RetrainingSection
from daemon.core.manifests import Manifest
from daemon.embedded.changes import Change
from daemon.embedded.synthetic import SyntheticMarket
from daemon.layers.features.catalog import reference_features
from daemon.research.candidacy import HeldOut, best_window
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from daemon.research.training import Trained, train
from tests.soak.verdict import FREE, HOUR_MS, SETTINGS, SYMBOLS, a_series

KEPT = Path("state/soak")
ROOT = Path(__file__).parents[2]
FIRST_SEED = 2_001
NOTHING_SEEDS = 120
FOUND_SEEDS = 15
NOTHING_DAY = 75
DAYS_AFTER = (15, 20, 30)
EDGES = (-0.4, -0.7)
# One in forty may pass by luck, 3 of these; more than 7 would in one of a hundred such soaks.
PASSED_MAX = 7
TREES = 25
JOBS = 2
DAY_MS = 24 * HOUR_MS
HISTORY_DAYS = 120


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate: `edge` appeared so many days before, 0.0 where none did."""

    seed: int
    edge: float
    days: int
    window_days: float
    auc: float
    entries: int
    passed: bool
    passed_free: bool
    failed: tuple[str, ...]


def main() -> int:
    """Do what is not done yet; one JSON line on stdout, 1 when too many pass by luck."""
    nothing = [(seed, 0.0, NOTHING_DAY) for seed in _seeds(NOTHING_SEEDS)]
    found = [
        (seed, edge, days) for edge in EDGES for days in DAYS_AFTER for seed in _seeds(FOUND_SEEDS)
    ]
    KEPT.mkdir(parents=True, exist_ok=True)
    told = summary(_run([*nothing, *found], KEPT / f"retraining-{_key()}.jsonl"))
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    return 0 if told["ok"] else 1


def case(seed: int, edge: float, days: int) -> Case:
    """The candidate of one market."""
    changes = [Change(after_ms=30 * DAY_MS, edge=0.0)]
    if edge:
        changes.append(Change(after_ms=60 * DAY_MS, edge=edge))
    market = SyntheticMarket(
        SYMBOLS, HOUR_MS, seed=seed, edge=0.4, history_bars=24 * HISTORY_DAYS, changes=changes
    )
    until_day = 60 + days if edge else days
    first, count = -24 * HISTORY_DAYS, 24 * (HISTORY_DAYS + until_day)
    series = [a_series(market, symbol, first, count) for symbol in SYMBOLS]
    settings = replace(SETTINGS, n_estimators=TREES)
    usual = candidate(series, settings, seed)
    free = usual if edge else candidate(series, replace(FREE, n_estimators=TREES), seed)
    return Case(
        seed=seed,
        edge=edge,
        days=days,
        window_days=int(usual.settings["window_bars"]) / 24,
        auc=usual.out_of_sample.auc,
        entries=usual.net_return.entries,
        passed=usual.edge_shown,
        passed_free=free.edge_shown,
        failed=usual.failed,
    )


def candidate(series: list[Series], settings: TrainingSettings, seed: int) -> Manifest:
    """As after lost skill, by the default rules."""
    features, rules = reference_features("1h"), RetrainingSection()

    def make(bars: "Iterable[Series]", own: TrainingSettings) -> Trained:
        return train(
            list(bars), features, own, seed=seed, market="synthetic", timeframe="1h",
            progress=lambda *_: None,
        )  # fmt: skip

    return best_window(
        series,
        settings,
        rules.windows_bars,
        HeldOut(rules.held_out_bars, rules.held_out_folds),
        lookback_bars=features.lookback,
        make=make,
    ).manifest


def summary(cases: Iterable[Case]) -> dict[str, object]:
    """Counts against the bound, and what is told beside them."""
    cases = list(cases)
    nothing = [each for each in cases if not each.edge]
    passed = sum(each.passed for each in nothing)
    passed_free = sum(each.passed_free for each in nothing)
    return {
        "soak": "retraining",
        "ok": len(nothing) == NOTHING_SEEDS and max(passed, passed_free) <= PASSED_MAX,
        "nothing": {
            "markets": len(nothing),
            "passed": passed,
            "passed_free": passed_free,
            "bound": PASSED_MAX,
        },
        "found": [
            _told([each for each in cases if (each.edge, each.days) == (edge, days)])
            for edge in EDGES
            for days in DAYS_AFTER
        ],
        "trees": TREES,
    }


def _told(cases: list[Case]) -> dict[str, object]:
    if not cases:
        return {}
    return {
        "edge": cases[0].edge,
        "days": cases[0].days,
        "markets": len(cases),
        "passed": sum(each.passed for each in cases),
        "auc": round(float(np.mean([each.auc for each in cases])), 3),
        "entries": round(float(np.mean([each.entries for each in cases])), 1),
        "window_days": float(np.median([each.window_days for each in cases])),
    }


def _seeds(count: int) -> range:
    return range(FIRST_SEED, FIRST_SEED + count)


def _run(wanted: list[tuple[int, float, int]], kept: Path) -> list[Case]:
    import joblib

    lines = kept.read_bytes().splitlines() if kept.exists() else []
    done = {(one.seed, one.edge, one.days): one for one in map(_read, lines) if one is not None}
    missing = [one for one in wanted if one not in done]
    pool = joblib.Parallel(n_jobs=JOBS, backend="loky", return_as="generator_unordered")
    with kept.open("ab") as file:
        for found in pool(joblib.delayed(case)(*one) for one in missing):
            file.write(msgspec.json.encode(found) + b"\n")
            file.flush()
            done[found.seed, found.edge, found.days] = found
            sys.stderr.write(f"\rretraining {len(done)}/{len(wanted)} candidates ")
            sys.stderr.flush()
    sys.stderr.write("\n")
    return [done[one] for one in wanted]


def _read(line: bytes) -> Case | None:
    # A run that was killed may have left half a line.
    try:
        return msgspec.json.decode(line, type=Case)
    except msgspec.DecodeError:
        return None


def _key() -> str:
    """Which code and settings a kept result belongs to."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    places = ("research", "embedded", "layers/features", "config/retraining.py")
    for place in places:
        path = ROOT / "daemon" / place
        for each in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(each.read_bytes())
    return digest.hexdigest()[:12]
