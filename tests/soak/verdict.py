"""Asks the verdict about markets whose truth is known: 100 with a strong edge, 100 with none.

With a strong planted edge it has to be found, and the AUC's interval has to hold the truth, in at
least FOUND_MIN and HELD_MIN of 100 seeds; without one it may be claimed in CLAIMED_MAX at most. As
no forecast of nothing is worth its costs, the markets without an edge are judged once more as if
trading were free, where only the tests themselves stand between luck and a claim. USUAL_SEEDS
markets with the edge `run-paper` plants are told beside them, without a bound.

The truth is the AUC these very forests have on an endless market: they score FRESH_BARS bars of
each symbol that come after everything they saw, and a bar counts as up with the probability the
market itself had for it, so that no luck of outcomes is in it. The AUC of the best possible
forecast is told beside it: a forest stays below it, and no honest interval has to reach it.

Smaller than the default: BARS bars of each symbol instead of 8,760, TREES trees instead of 300 and
FOLDS folds instead of 6. Nothing else differs from `tradingd walkforward`. The first SETTLING_BARS
bars are left out, in which the market's volatility is still near where it began. Done seeds are
kept in state/soak and not done again while the code they ran is the same.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from daemon.embedded.synthetic import SyntheticMarket
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.sets import FeatureSet
from daemon.research.datasets import Dataset, labelled_rows
from daemon.research.evaluation import evaluate
from daemon.research.judgement import judge_walk
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import probability_up

ROOT = Path(__file__).parents[2]
KEPT = Path("state/soak")

FIRST_SEED = 1_001
SEEDS = 100
USUAL_SEEDS = 20
FOUND_MIN = 90
HELD_MIN = 90
CLAIMED_MAX = 7

STRONG, USUAL, NONE = 0.7, 0.4, 0.0
SYMBOLS = ("BTC/USDT", "ETH/USDT")
HOUR_MS = 3_600_000
NS_PER_MS = 1_000_000
SETTLING_BARS = 2_000
BARS = 4_000
FRESH_BARS = 16_000
TREES = 40
FOLDS = 5
JOBS = 2
SETTINGS = TrainingSettings(
    n_estimators=TREES, folds=FOLDS, confidence_min_ratio=0.30, processors=1
)
FREE = replace(
    SETTINGS, fee_bps=0.0, slippage_bps=0.0, cost_margin_bps=0.0, confidence_min_ratio=0.0
)

Floats = npt.NDArray[np.float64]


def main() -> int:
    """Run what is not done yet; one JSON line on stdout, 1 when a bound is missed."""
    wanted = [
        (seed, edge)
        for edge, seeds in ((STRONG, SEEDS), (NONE, SEEDS), (USUAL, USUAL_SEEDS))
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
    ]
    KEPT.mkdir(parents=True, exist_ok=True)
    cases = _run(wanted, KEPT / f"verdict-{_key()}.jsonl")
    told = summary(cases)
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    return 0 if told["ok"] else 1


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed has shown."""

    seed: int
    edge: float
    auc: float
    auc_low: float
    auc_high: float
    baseline_auc: float
    truth: float
    best: float
    shuffled_auc: float
    net_low: float
    deflated_sharpe: float
    entries: int
    edge_shown: bool
    failed: tuple[str, ...]
    free_entries: int
    free_edge_shown: bool  # were trading free
    free_failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Rows of a stretch of the market with the probability it had for each of them, (m,)."""

    dataset: Dataset
    probability_up: Floats


def case(seed: int, edge: float) -> Case:
    """One market, judged as a walk-forward is, and its truth."""
    market = SyntheticMarket(SYMBOLS, HOUR_MS, seed=seed, edge=edge)
    features = reference_features("1h")
    series = [a_series(market, symbol, SETTLING_BARS, BARS) for symbol in SYMBOLS]
    dataset = labelled_rows(series, features, horizon_bars=1)
    found = evaluate(series, dataset, SETTINGS, seed=seed, progress=lambda *_: None)
    fresh = known(market, features, SETTLING_BARS + BARS, FRESH_BARS)
    scores = [probability_up(forest, fresh.dataset.features) for forest in found.made.models]
    judged = found.judged
    assert judged.control is not None
    free = judge_walk(series, found.made.walked, FREE, seed=seed, control=judged.control)
    return Case(
        seed=seed,
        edge=edge,
        auc=judged.out_of_sample.auc,
        auc_low=judged.out_of_sample.auc_low,
        auc_high=judged.out_of_sample.auc_high,
        baseline_auc=judged.out_of_sample.baseline_auc,
        truth=expected_auc(np.concatenate(scores), np.tile(fresh.probability_up, len(scores))),
        best=expected_auc(fresh.probability_up, fresh.probability_up),
        shuffled_auc=judged.control.auc,
        net_low=judged.net_return.per_bar_low,
        deflated_sharpe=judged.net_return.deflated_sharpe,
        entries=judged.net_return.entries,
        edge_shown=judged.verdict.edge_shown,
        failed=tuple(test.value for test in judged.verdict.failed),
        free_entries=free.net_return.entries,
        free_edge_shown=free.verdict.edge_shown,
        free_failed=tuple(test.value for test in free.verdict.failed),
    )


def a_series(market: SyntheticMarket, symbol: str, first: int, count: int) -> Series:
    """`count` bars of the market from its bar number `first` on."""
    start_ms = market.from_ms + first * HOUR_MS
    bars = market.bars(symbol.replace("/", ""), start_ms, start_ms + count * HOUR_MS, count)
    numbers = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
    open_ns = np.array([bar.open_ms * NS_PER_MS for bar in bars], dtype=np.int64)
    return Series(symbol, open_ns, np.array(numbers, dtype=np.float64), HOUR_MS * NS_PER_MS)


def known(market: SyntheticMarket, features: FeatureSet, first: int, count: int) -> Known:
    series = [a_series(market, symbol, first, count) for symbol in SYMBOLS]
    dataset = labelled_rows(series, features, horizon_bars=1)
    ids = [symbol.replace("/", "") for symbol in dataset.symbols]
    rows = zip(dataset.symbol.tolist(), dataset.decided_ns.tolist(), strict=True)
    chances = [market.probability_up(ids[place], at // NS_PER_MS) for place, at in rows]
    return Known(dataset, np.array(chances))


def expected_auc(scores: Floats, probability_up: Floats) -> float:
    """The AUC of `scores` (n,) over all outcomes there could be, each up by its probability."""
    _, place = np.unique(scores, return_inverse=True)
    ups, downs = np.bincount(place, probability_up), np.bincount(place, 1.0 - probability_up)
    below = np.cumsum(downs) - downs
    return float((ups * (below + downs / 2.0)).sum() / (ups.sum() * downs.sum()))


def summary(cases: Iterable[Case]) -> dict[str, object]:
    """Counts against their bounds, and what is told beside them."""
    by_edge = {
        edge: [each for each in cases if each.edge == edge] for edge in (STRONG, USUAL, NONE)
    }
    strong, nothing = by_edge[STRONG], by_edge[NONE]
    counts = {
        "found": _count(strong, lambda each: each.edge_shown),
        "held": _count(strong, lambda each: each.auc_low <= each.truth <= each.auc_high),
        "claimed": _count(nothing, lambda each: each.edge_shown),
        "claimed_free": _count(nothing, lambda each: each.free_edge_shown),
    }
    is_ok = (
        len(strong) == len(nothing) == SEEDS
        and counts["found"] >= FOUND_MIN
        and counts["held"] >= HELD_MIN
        and counts["claimed"] <= CLAIMED_MAX
        and counts["claimed_free"] <= CLAIMED_MAX
    )
    return {
        "soak": "verdict",
        "ok": is_ok,
        "seeds": SEEDS,
        **counts,
        "bounds": {"found": FOUND_MIN, "held": HELD_MIN, "claimed": CLAIMED_MAX},
        "strong": _told(strong),
        "usual": _told(by_edge[USUAL]),
        "none": _told(nothing),
        "bars": BARS,
        "trees": TREES,
        "folds": FOLDS,
    }


def _told(cases: Sequence[Case]) -> dict[str, object]:
    """Of one edge: means, coverage, and how often each declared test did not hold."""
    if not cases:
        return {}
    return {
        "edge": cases[0].edge,
        "edge_shown": _count(cases, lambda each: each.edge_shown),
        "seeds": len(cases),
        "held": _count(cases, lambda each: each.auc_low <= each.truth <= each.auc_high),
        "auc": _mean(each.auc for each in cases),
        "auc_width": _mean(each.auc_high - each.auc_low for each in cases),
        "truth": _mean(each.truth for each in cases),
        "best_auc": _mean(each.best for each in cases),
        "baseline_auc": _mean(each.baseline_auc for each in cases),
        "shuffled_auc": _mean(each.shuffled_auc for each in cases),
        "entries": _mean(each.entries for each in cases),
        "failed": dict(sorted(Counter(one for each in cases for one in each.failed).items())),
        "free_entries": _mean(each.free_entries for each in cases),
        "free_failed": dict(
            sorted(Counter(one for each in cases for one in each.free_failed).items())
        ),
    }


def _count(cases: Iterable[Case], holds: Callable[[Case], bool]) -> int:
    return sum(1 for each in cases if holds(each))


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _run(wanted: Sequence[tuple[int, float]], kept: Path) -> list[Case]:
    import joblib

    lines = kept.read_bytes().splitlines() if kept.exists() else []
    done = {(each.seed, each.edge): each for each in map(_read, lines) if each is not None}
    missing = [one for one in wanted if one not in done]
    pool = joblib.Parallel(n_jobs=JOBS, backend="loky", return_as="generator_unordered")
    with kept.open("ab") as file:
        for found in pool(joblib.delayed(case)(seed, edge) for seed, edge in missing):
            file.write(msgspec.json.encode(found) + b"\n")
            file.flush()
            done[found.seed, found.edge] = found
            sys.stderr.write(f"\rverdict {len(done)}/{len(wanted)} markets ")
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
    for folder in ("research", "layers", "embedded"):
        for path in sorted((ROOT / "daemon" / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
