"""A walk-forward from rows to verdict: the models, the control beside them, and what they show.

The order of these steps belongs here, so that a training and a walk-forward alone cannot differ;
each step belongs in its own module.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.research.classifiers import Fitted
from daemon.research.controls import control_of, shuffled
from daemon.research.datasets import Dataset, TrainingRefused
from daemon.research.judgement import Judgement, judge_walk
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import Plan, Progress, Walked, walk_all

ROWS_MIN = 200


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A walk-forward and its verdict; `fit_cpu_s` includes the control's fits."""

    made: Walked
    judged: Judgement
    fit_cpu_s: float

    @property
    def whole(self) -> Fitted:
        """The model of all rows, where it was asked for."""
        assert self.made.whole is not None, "evaluate with fits_whole"
        return self.made.whole


def evaluate(
    series: Sequence[Series],
    dataset: Dataset,
    settings: TrainingSettings,
    *,
    seed: int,
    progress: Progress,
    fits_whole: bool = False,
    overfitting: float | None = None,
) -> Evaluated:
    """Walk forward over `dataset`, which must be made of `series` in their order, and judge it.

    `fits_whole` fits the model of all rows beside it; `overfitting` is what a search for these
    settings has shown. Raises `TrainingRefused` where there
    are fewer than ROWS_MIN rows, or they cannot be split or judged.
    """
    require_enough(dataset)
    plans = [Plan(dataset, settings, fits_whole), shuffled(dataset, settings, seed=seed)]
    made, control = walk_all(plans, seed=seed, progress=progress)
    judged = judge_walk(
        series,
        made.walked,
        settings,
        seed=seed,
        control=control_of(control.walked),
        overfitting=overfitting,
    )
    return Evaluated(made, judged, made.fit_cpu_s + control.fit_cpu_s)


def require_enough(dataset: Dataset) -> None:
    """Raises `TrainingRefused` for fewer than ROWS_MIN rows."""
    if len(dataset) < ROWS_MIN:
        raise TrainingRefused(
            f"{len(dataset)} labelled bars of {', '.join(dataset.symbols)} are too few to learn "
            f"from, at least {ROWS_MIN} are needed: a longer history, or one with fewer holes"
        )
