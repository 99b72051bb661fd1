"""Models fitted on the past of each fold, and what they said about rows they had not seen.

Fitting and scoring belong here; what becomes of the scores belongs in `training` and `verdict`.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from daemon.core.bars import ZeroVolume
from daemon.core.manifests import FoldResult
from daemon.layers.features.sets import FeatureSet
from daemon.layers.monitoring.skill import Gap, Skill, auc_gap, auc_with_interval
from daemon.research.classifiers import GROWN, OWN, Fitted, make_classifier, short_name
from daemon.research.datasets import Dataset, TrainingRefused, labelled_rows
from daemon.research.series import FloatArray, IntArray, Series
from daemon.research.settings import TrainingSettings
from daemon.research.splits import Fold, held_out_folds, purged_walk_forward

# Units of work done, units in all, what is done; called from the fitting threads, one at a time.
Progress = Callable[[int, int, str], None]

OVERLAP_BLOCK_HORIZONS = 4
TREES_A_STEP = 25


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """Raw probabilities of rows no fold's model was taught; arrays follow the order of time."""

    dataset: Dataset
    tested: IntArray  # (t,) rows of the dataset
    fold: IntArray  # (t,) number of the fold that tested them, from 0
    raw: FloatArray  # (t,) probability of up as the model says it
    clusters: IntArray  # (t,) outcomes that may depend on each other share one
    folds: tuple[FoldResult, ...]

    @property
    def up(self) -> IntArray:
        """Outcomes, (t,)."""
        return self.dataset.up[self.tested]

    @property
    def baseline(self) -> FloatArray:
        """The score to beat, (t,): minus the last log return, for short-term prices tend back."""
        return -self.dataset.last_log_return[self.tested]

    def skill(self, level: float = 0.95) -> Skill:
        """AUC of all folds together, with its interval."""
        return auc_with_interval(self.raw, self.up, self.clusters, level)

    def baseline_skill(self) -> Skill:
        """AUC of the baseline on exactly the same rows."""
        return auc_with_interval(self.baseline, self.up, self.clusters)

    def gap(self) -> Gap:
        """How much more AUC the models have than the baseline, row by row compared."""
        return auc_gap(self.raw, self.baseline, self.up, self.clusters)


def walk_forward(
    series: Sequence[Series],
    feature_set: FeatureSet,
    settings: TrainingSettings,
    *,
    seed: int,
    progress: Progress,
) -> WalkForward:
    """Purged expanding walk-forward of a classifier over pooled symbols.

    Raises `TrainingRefused` where the data cannot be split or a training part has one outcome only.
    """
    dataset = labelled(series, feature_set, settings)
    return walk(dataset, settings, seed=seed, progress=progress)


def labelled(
    series: Sequence[Series], feature_set: FeatureSet, settings: TrainingSettings
) -> Dataset:
    """The rows a walk-forward of these settings learns from and is tested on."""
    return labelled_rows(
        series,
        feature_set,
        horizon_bars=settings.horizon_bars,
        rule=settings.rule,
        dead_zone_ratio=settings.dead_zone_bps / 10_000.0,
        zero_volume=ZeroVolume(settings.zero_volume),
    )


def walk(
    dataset: Dataset, settings: TrainingSettings, *, seed: int, progress: Progress
) -> WalkForward:
    """The walk-forward over rows that are already made, for example with shuffled outcomes."""
    return walk_all([Plan(dataset, settings)], seed=seed, progress=progress)[0].walked


def walk_and_fit(
    dataset: Dataset, settings: TrainingSettings, *, seed: int, progress: Progress
) -> tuple[WalkForward, Fitted]:
    """The walk-forward over `dataset` and, fitted beside it, the model of all its rows."""
    plan = Plan(dataset, settings, fits_whole=True)
    found = walk_all([plan], seed=seed, progress=progress)[0]
    assert found.whole is not None
    return found.walked, found.whole


class Plan(NamedTuple):
    """One walk-forward of several that share the processors; `fits_whole` asks for the model of
    all rows as well.
    """

    dataset: Dataset
    settings: TrainingSettings
    fits_whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """What came of a plan: `models` are those of the folds, `whole` the one of all rows."""

    walked: WalkForward
    models: tuple[Fitted, ...]
    whole: Fitted | None
    fit_cpu_s: float  # of fitting, and nothing else


def walk_all(plans: Sequence[Plan], *, seed: int, progress: Progress) -> list[Walked]:
    """All plans at once, each with the result it would have alone."""
    wanted = [_jobs(plan) for plan in plans]
    done = iter(_run([job for jobs in wanted for job in jobs], seed, progress, plans[0].settings))
    return [
        _walked(plan, [(job, next(done)) for job in jobs])
        for plan, jobs in zip(plans, wanted, strict=True)
    ]


def probability_up(model: Fitted, features: FloatArray) -> FloatArray:
    """Raw probability of up, (n,), by the fitted classifier: the reference of what is compiled."""
    up = model.classes_.tolist().index(1)
    probability: FloatArray = model.predict_proba(features)[:, up]
    return probability


def block_bars(decided_ns: IntArray, horizon_bars: int) -> int:
    """How many bars of outcomes count as one cluster, given when they were decided, (n,).

    Outcomes of one moment depend on each other, overlapping horizons chain moments together, and
    how well a forest does comes and goes with the volatility: the third root of the number of
    moments is the usual length of blocks.
    """
    moments: int = len(np.unique(decided_ns))
    chained = 1 if horizon_bars == 1 else OVERLAP_BLOCK_HORIZONS * horizon_bars
    return max(math.ceil(math.cbrt(moments)), chained, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    plan: Plan
    fold: Fold | None  # None: the model of all rows
    train: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    model: Fitted
    raw: FloatArray
    fit_cpu_s: float


def _jobs(plan: Plan) -> list[_Job]:
    dataset, settings, _ = plan
    try:
        folds = _folds(dataset, settings)
    except ValueError as error:
        raise TrainingRefused(f"{len(dataset)} labelled bars: {error}") from error
    folds = tuple(replace(fold, train=fold.train[dataset.teaches[fold.train]]) for fold in folds)
    for fold in folds:
        if len(fold.train) == 0:
            raise TrainingRefused("every move lies in the dead zone: nothing can be learnt")
        if dataset.up[fold.train].min() == dataset.up[fold.train].max():
            raise TrainingRefused("a training part has one outcome only: nothing can be learnt")
    jobs = [_Job(plan, fold, fold.train) for fold in folds]
    if not plan.fits_whole:
        return jobs
    rows = recent_rows(dataset, settings)
    return [*jobs, _Job(plan, None, rows[dataset.teaches[rows]])]


def recent_rows(dataset: Dataset, settings: TrainingSettings) -> IntArray:
    """The rows that the model itself may learn from: all, or those of its window."""
    if not settings.window_bars:
        return np.arange(len(dataset))
    last_ns = int(dataset.decided_ns.max())
    window_ns = settings.window_bars * dataset.timeframe_ns
    return np.flatnonzero(dataset.decided_ns > last_ns - window_ns)


def _folds(dataset: Dataset, settings: TrainingSettings) -> tuple[Fold, ...]:
    length_ns = dataset.timeframe_ns
    if settings.held_out_bars:
        return held_out_folds(
            dataset.decided_ns,
            dataset.label_end_ns,
            folds=settings.folds,
            held_out_ns=settings.held_out_bars * length_ns,
            window_ns=settings.window_bars * length_ns,
            embargo_ns=settings.embargo_bars * length_ns,
        )
    return purged_walk_forward(
        dataset.decided_ns,
        dataset.label_end_ns,
        folds=settings.folds,
        embargo_ns=settings.embargo_bars * length_ns,
    )


def _run(
    jobs: Sequence[_Job], seed: int, progress: Progress, settings: TrainingSettings
) -> list[_Done]:
    # Every fit is single-threaded inside and has the same fixed seed, so the result is that of a
    # loop; the longest go first to end together. Libraries fit without Python's lock, so threads
    # are enough for them; whoever brings his own class gets processes.
    import joblib

    is_own = short_name(settings.classifier) == OWN
    tally = _Tally(progress, sum(_units(job) for job in jobs))
    longest_first = sorted(range(len(jobs)), key=lambda place: -_work(jobs[place]))
    pool = joblib.Parallel(
        n_jobs=settings.processors or joblib.cpu_count(),
        backend="loky" if is_own else "threading",
        return_as="generator",
    )
    add = _nothing if is_own else tally.add
    done: dict[int, _Done] = {}
    finished = pool(joblib.delayed(_fit)(jobs[place], seed, add) for place in longest_first)
    for place, one in zip(longest_first, finished, strict=True):
        done[place] = one
        if is_own:
            tally.add(_units(jobs[place]))
    return [done[place] for place in range(len(jobs))]


def _units(job: _Job) -> int:
    """Trees, where they are counted one by one, else the whole fit as one."""
    settings = job.plan.settings
    return settings.n_estimators if settings.classifier in GROWN else 1


def _work(job: _Job) -> int:
    return len(job.train) * job.plan.settings.n_estimators


def _nothing(_units: int) -> None:
    """A process of its own cannot count with us."""


class _Tally:
    """Counts units over all threads and passes the count on, one caller at a time."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._total = total
        self._done = 0
        self.add(0)

    def add(self, units: int) -> None:
        with self._lock:
            self._done += units
            self._progress(self._done, self._total, "fitting")


def _fit(job: _Job, seed: int, add: Callable[[int], None]) -> _Done:
    dataset, settings, _ = job.plan
    model: Any = make_classifier(settings, seed=seed)
    features, up = dataset.features[job.train], dataset.up[job.train]
    if settings.classifier in GROWN:
        spent_s = _grow(model, features, up, settings.n_estimators, add)
    else:
        before_s = time.thread_time()
        model.fit(features, up)
        spent_s = time.thread_time() - before_s
        add(1)
    if job.fold is None:
        return _Done(model, np.empty(0), spent_s)
    return _Done(model, probability_up(model, dataset.features[job.fold.test]), spent_s)


def _grow(
    forest: Any, features: FloatArray, up: IntArray, wanted: int, add: Callable[[int], None]
) -> float:
    """CPU seconds of growing. In steps it gives the trees that growing at once gives, and something
    to show meanwhile.
    """
    spent_s = 0.0
    for grown in range(0, wanted, TREES_A_STEP):
        trees = min(grown + TREES_A_STEP, wanted)
        forest.set_params(n_estimators=trees)
        before_s = time.thread_time()
        forest.fit(features, up)
        spent_s += time.thread_time() - before_s
        add(trees - grown)
    forest.set_params(warm_start=False)
    return spent_s


def _walked(plan: Plan, done: Sequence[tuple[_Job, _Done]]) -> Walked:
    dataset, settings, _ = plan
    folds = [job.fold for job, _ in done if job.fold is not None]
    raw = [one.raw for job, one in done if job.fold is not None]
    tested = np.concatenate([fold.test for fold in folds])
    numbers = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    clusters = dataset.decided_ns[tested] // (
        dataset.timeframe_ns * block_bars(dataset.decided_ns[tested], settings.horizon_bars)
    )
    results = tuple(
        _result(dataset, fold, one, clusters[numbers == number])
        for number, (fold, one) in enumerate(zip(folds, raw, strict=True))
    )
    models = [one.model for _, one in done]
    return Walked(
        walked=WalkForward(dataset, tested, numbers, np.concatenate(raw), clusters, results),
        models=tuple(models[: len(folds)]),
        whole=models[-1] if plan.fits_whole else None,
        fit_cpu_s=sum(one.fit_cpu_s for _, one in done),
    )


def _result(dataset: Dataset, fold: Fold, raw: FloatArray, clusters: IntArray) -> FoldResult:
    up = dataset.up[fold.test]
    skill = auc_with_interval(raw, up, clusters)
    baseline = auc_with_interval(-dataset.last_log_return[fold.test], up, clusters)
    return FoldResult(
        train_rows=len(fold.train),
        trained_through_ns=int(dataset.label_end_ns[fold.train].max()),
        test_start_ns=fold.test_start_ns,
        test_end_ns=fold.test_end_ns,
        n=skill.n,
        auc=skill.auc,
        auc_low=skill.low,
        auc_high=skill.high,
        baseline_auc=baseline.auc,
    )
