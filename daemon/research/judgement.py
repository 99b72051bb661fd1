"""Everything a walk-forward has shown: skill, calibration, payoffs, net return and the verdict.

Bringing these together belongs here; how each is measured belongs in its own module.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.core.manifests import (
    CalibrationTable,
    Control,
    Costs,
    Histogram,
    NetReturn,
    OutOfSample,
    Payoffs,
    SurestCalls,
)
from daemon.layers.inference.model import Calibration
from daemon.layers.monitoring.skill import Gap, Skill
from daemon.research.bootstrap import bootstrap_net_return
from daemon.research.calibration import fit_calibration, reliability
from daemon.research.datasets import TrainingRefused
from daemon.research.net_returns import Calibrated, calibrated_forward, net_returns
from daemon.research.payoffs import measure_payoffs, surest_calls
from daemon.research.placebos import usual
from daemon.research.series import Series
from daemon.research.settings import LEVEL, TrainingSettings
from daemon.research.verdict import Evidence, Verdict, judge
from daemon.research.walkforward import WalkForward


@dataclass(frozen=True, slots=True)
class Judgement:
    """What goes into the manifest; all of it is out of sample."""

    out_of_sample: OutOfSample
    calibration: CalibrationTable
    payoffs: Payoffs
    net_return: NetReturn
    surest: SurestCalls | None
    control: Control | None
    probability: Histogram  # of the calibrated probability
    verdict: Verdict


def judge_walk(
    series: Sequence[Series],
    walked: WalkForward,
    settings: TrainingSettings,
    *,
    seed: int,
    control: Control | None = None,
    overfitting: float | None = None,
) -> Judgement:
    """Judge a walk-forward. `series` must be those it was made of, in the same order.

    Calibration and payoffs for use come from all folds; Brier scores, net return and verdict use
    only what earlier folds had shown. Raises `TrainingRefused` where nothing can be judged.
    """
    skill, baseline = walked.skill(), walked.baseline_skill()
    if skill.auc is None or baseline.auc is None:
        raise TrainingRefused("all tested rows have one outcome: nothing can be judged")
    calibrated = calibrated_forward(walked, settings)
    net = _net(series, walked, calibrated, settings, seed)
    surest, gap = surest_calls(walked), walked.gap()
    table = fit_calibration(walked.raw, walked.up, walked.clusters).table()
    looked_up = Calibration(table.knots, table.probabilities, table.standard_errors)
    probability = looked_up.calibrate(walked.raw)[0]
    return Judgement(
        out_of_sample=_out_of_sample(walked, calibrated, skill, baseline, gap),
        calibration=table,
        payoffs=measure_payoffs(
            probability,
            walked.dataset.forward_log_return[walked.tested],
            walked.up,
            settings.confidence_min_ratio,
        ),
        net_return=net,
        surest=surest,
        control=control,
        probability=usual(
            probability[:, None],
            walked.dataset.symbol[walked.tested],
            walked.dataset.symbols,
            settings.psi_window,
        )[0],
        verdict=judge(
            Evidence(
                skill=walked.skill(settings.level),
                baseline=baseline,
                gap=gap,
                net=_net(series, walked, calibrated, settings, seed, settings.level),
                compared=settings.compared,
                costs=Costs(settings.fee_bps, settings.slippage_bps),
                control=control,
                surest=surest,
                overfitting=overfitting,
            )
        ),
    )


def _net(  # noqa: PLR0917  # what a walk-forward earned
    series: Sequence[Series],
    walked: WalkForward,
    calibrated: Calibrated,
    settings: TrainingSettings,
    seed: int,
    level: float = LEVEL,
) -> NetReturn:
    return bootstrap_net_return(
        net_returns(series, walked, calibrated, settings),
        timeframe_ns=walked.dataset.timeframe_ns,
        horizon_bars=settings.horizon_bars,
        trials=settings.trials,
        seed=seed,
        level=level,
    )


def _out_of_sample(
    walked: WalkForward, calibrated: Calibrated, skill: Skill, baseline: Skill, gap: Gap
) -> OutOfSample:
    assert skill.auc is not None
    assert baseline.auc is not None
    known = walked.fold > 0
    up = walked.up[known]
    return OutOfSample(
        n=skill.n,
        auc=skill.auc,
        auc_low=skill.low,
        auc_high=skill.high,
        baseline_auc=baseline.auc,
        gap=gap.value or 0.0,
        gap_low=gap.low,
        gap_high=gap.high,
        brier=float(np.mean((calibrated.probability[known] - up) ** 2)),
        brier_uncalibrated=float(np.mean((walked.raw[known] - up) ** 2)),
        brier_base_rate=float(up.mean() * (1.0 - up.mean())),
        reliability=reliability(calibrated.probability[known], up),
    )
