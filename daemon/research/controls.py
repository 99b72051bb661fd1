"""What the same forests find where there is nothing to find: outcomes dealt out anew.

Belongs here: making the control and how much it costs. What it means belongs in `verdict`.
"""

import math
from dataclasses import replace

import numpy as np

from daemon.core.manifests import Control
from daemon.research.datasets import Dataset
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import Plan, WalkForward

# Two folds and a third of the trees make it cost a tenth of the walk-forward it vouches for.
FOLDS = 2
TREES_MAX = 100
STREAM = 0x5EED


def shuffled(dataset: Dataset, settings: TrainingSettings, *, seed: int) -> Plan:
    """A walk-forward, to be fitted in full, over outcomes that are shuffled within each symbol.

    All outcomes of a symbol are permuted over all its rows, learnt and tested ones alike, so that
    nothing about a row tells its outcome any more. Whatever skill remains has come from the test
    into the training. It cannot see features that know the future: theirs is shuffled away too.
    """
    up = dataset.up.copy()
    rng = np.random.default_rng([seed, STREAM])
    for number in range(len(dataset.symbols)):
        mine = np.flatnonzero(dataset.symbol == number)
        up[mine] = rng.permutation(dataset.up[mine])
    smaller = replace(
        settings,
        folds=min(settings.folds, FOLDS),
        n_estimators=min(settings.n_estimators, TREES_MAX),
    )
    return Plan(replace(dataset, up=up), smaller)


def control_of(walked: WalkForward) -> Control | None:
    """AUC of a walk-forward over shuffled outcomes, and how far chance would take it from one half.

    Without dependence and with ties counting half, the AUC's variance there is
    (ups + downs + 1) / (12 ups downs) (Mann and Whitney 1947). None with one outcome only.
    """
    ups = int(walked.up.sum())
    downs = len(walked.up) - ups
    if not ups or not downs:
        return None
    area = walked.skill().auc
    assert area is not None
    error = math.sqrt((ups + downs + 1) / (12.0 * ups * downs))
    return Control(auc=area, standard_error=error, n=len(walked.up))
