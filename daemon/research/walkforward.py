"""Forests fitted on the past of each fold, and what they said about rows they had not seen.

Fitting and scoring belong here; what becomes of the scores belongs in `training` and `verdict`.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.core.bars import ZeroVolume
from daemon.core.manifests import FoldResult
from daemon.layers.features.sets import FeatureSet
from daemon.layers.monitoring.skill import Skill, auc_with_interval
from daemon.research.datasets import Dataset, TrainingRefused, labelled_rows
from daemon.research.series import FloatArray, IntArray, Series
from daemon.research.settings import TrainingSettings
from daemon.research.splits import Fold, purged_walk_forward

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

# Trees grown, trees in all, what is done; called from the fitting threads, one at a time.
Progress = Callable[[int, int, str], None]

OVERLAP_BLOCK_HORIZONS = 4
TREES_A_STEP = 25


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """Raw probabilities of rows no fold's forest was taught; arrays follow the order of time."""

    dataset: Dataset
    tested: IntArray  # (t,) rows of the dataset
    fold: IntArray  # (t,) number of the fold that tested them, from 0
    raw: FloatArray  # (t,) probability of up as the forest says it
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

    def skill(self) -> Skill:
        """AUC of all folds together, with its 95 % interval."""
        return auc_with_interval(self.raw, self.up, self.clusters)

    def baseline_skill(self) -> Skill:
        """AUC of the baseline on exactly the same rows."""
        return auc_with_interval(self.baseline, self.up, self.clusters)


def walk_forward(
    series: Sequence[Series],
    feature_set: FeatureSet,
    settings: TrainingSettings,
    *,
    seed: int,
    progress: Progress,
) -> WalkForward:
    """Purged expanding walk-forward of a forest over pooled symbols.

    Raises `TrainingRefused` where the data cannot be split or a training part has one outcome only.
    """
    dataset = labelled_rows(
        series,
        feature_set,
        horizon_bars=settings.horizon_bars,
        zero_volume=ZeroVolume(settings.zero_volume),
    )
    return walk(dataset, settings, seed=seed, progress=progress)


def walk(
    dataset: Dataset, settings: TrainingSettings, *, seed: int, progress: Progress
) -> WalkForward:
    """The walk-forward over rows that are already made, for example with shuffled outcomes."""
    jobs = _jobs(dataset, settings)
    done = _run(dataset, settings, seed, progress, jobs)
    return _walked(dataset, settings, jobs, done)


def walk_and_fit(
    dataset: Dataset, settings: TrainingSettings, *, seed: int, progress: Progress
) -> "tuple[WalkForward, RandomForestClassifier]":
    """The walk-forward over `dataset` and, fitted beside it, the forest of all its rows."""
    jobs = _jobs(dataset, settings)
    everything = _Job(len(jobs), None, np.arange(len(dataset)))
    done = _run(dataset, settings, seed, progress, [*jobs, everything])
    return _walked(dataset, settings, jobs, done), done[everything.number].forest


def probability_up(forest: Any, features: FloatArray) -> FloatArray:
    """Raw probability of up, (n,), by scikit-learn in one thread: the reference for exact bits."""
    up = forest.classes_.tolist().index(1)
    probability: FloatArray = forest.predict_proba(features)[:, up]
    return probability


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    number: int
    fold: Fold | None  # None: the forest that will be used
    train: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    number: int
    forest: "RandomForestClassifier"
    raw: FloatArray


def _jobs(dataset: Dataset, settings: TrainingSettings) -> list[_Job]:
    try:
        folds = purged_walk_forward(
            dataset.decided_ns,
            dataset.label_end_ns,
            folds=settings.folds,
            embargo_ns=settings.embargo_bars * dataset.timeframe_ns,
        )
    except ValueError as error:
        raise TrainingRefused(f"{len(dataset)} labelled bars: {error}") from error
    for fold in folds:
        if dataset.up[fold.train].min() == dataset.up[fold.train].max():
            raise TrainingRefused("a training part has one outcome only: nothing can be learnt")
    return [_Job(number, fold, fold.train) for number, fold in enumerate(folds)]


def _run(
    dataset: Dataset,
    settings: TrainingSettings,
    seed: int,
    progress: Progress,
    jobs: Sequence[_Job],
) -> dict[int, _Done]:
    # Threads are enough, growing trees holds no lock. Every fit is single-threaded inside and has
    # the same fixed seed, so the result is that of a loop; the longest go first to end together.
    import joblib

    tally = _Tally(progress, len(jobs) * settings.n_estimators)
    longest_first = sorted(jobs, key=lambda job: -len(job.train))
    pool = joblib.Parallel(n_jobs=settings.processors or joblib.cpu_count(), backend="threading")
    finished = pool(
        joblib.delayed(_fit)(dataset, settings, seed, job, tally) for job in longest_first
    )
    return {done.number: done for done in finished}


class _Tally:
    """Counts trees over all threads and passes the count on, one caller at a time."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._total = total
        self._grown = 0
        self.add(0)

    def add(self, trees: int) -> None:
        with self._lock:
            self._grown += trees
            self._progress(self._grown, self._total, "growing trees")


def _fit(
    dataset: Dataset, settings: TrainingSettings, seed: int, job: _Job, tally: _Tally
) -> _Done:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_samples_leaf,
        max_samples=None if settings.sample_ratio >= 1.0 else settings.sample_ratio,
        random_state=seed,
        n_jobs=1,
        warm_start=True,
    )
    # Growing in steps gives the trees that growing at once gives, and something to show meanwhile.
    for grown in range(0, settings.n_estimators, TREES_A_STEP):
        trees = min(grown + TREES_A_STEP, settings.n_estimators)
        forest.set_params(n_estimators=trees)
        forest.fit(dataset.features[job.train], dataset.up[job.train])
        tally.add(trees - grown)
    forest.set_params(warm_start=False)
    if job.fold is None:
        return _Done(job.number, forest, np.empty(0))
    return _Done(job.number, forest, probability_up(forest, dataset.features[job.fold.test]))


def _walked(
    dataset: Dataset, settings: TrainingSettings, jobs: Sequence[_Job], done: dict[int, _Done]
) -> WalkForward:
    folds = [job.fold for job in jobs if job.fold is not None]
    raw = [done[job.number].raw for job in jobs]
    tested = np.concatenate([fold.test for fold in folds])
    numbers = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    # Outcomes of one moment depend on each other; overlapping horizons chain moments together.
    horizon = settings.horizon_bars
    block = dataset.timeframe_ns * (1 if horizon == 1 else OVERLAP_BLOCK_HORIZONS * horizon)
    clusters = dataset.decided_ns[tested] // block
    results = tuple(
        _result(dataset, fold, one, clusters[numbers == number])
        for number, (fold, one) in enumerate(zip(folds, raw, strict=True))
    )
    return WalkForward(dataset, tested, numbers, np.concatenate(raw), clusters, results)


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
