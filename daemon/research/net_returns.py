"""What the out-of-sample predictions would have earned after costs, traded as layer 4 would.

The rule and its books belong here; whether the result proves anything belongs in `verdict`.
Everything the rule uses at a bar was known at that bar: calibration and payoffs of a fold come
from outcomes of the folds before it that had ended by then, so the first fold is not traded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from daemon.core.edges import SHRINK_STANDARD_ERRORS
from daemon.core.manifests import Payoffs
from daemon.research.calibration import fit_calibration
from daemon.research.payoffs import BoolArray, measure_payoffs
from daemon.research.series import CLOSE, FloatArray, IntArray, Series
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import WalkForward


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """Predictions with the calibration that was known before their fold; NaN in the first fold."""

    probability: FloatArray  # (t,) of up
    standard_error: FloatArray  # (t,)
    payoffs: tuple[Payoffs | None, ...]  # per fold, of the folds before it


@dataclass(frozen=True, slots=True, eq=False)
class NetReturns:
    """Net return per bar of the symbols together, each with an equal share of the capital."""

    close_ns: IntArray  # (b,) time of the decision whose bar this is
    ratio: FloatArray  # (b,)
    entries: int


def calibrated_forward(walked: WalkForward, settings: TrainingSettings) -> Calibrated:
    """Calibrate every fold but the first by what the folds before it have shown.

    Outcomes that were still open at a fold's first decision do not count for it.
    """
    probability = np.full(len(walked.raw), np.nan)
    error = np.full(len(walked.raw), np.nan)
    payoffs: list[Payoffs | None] = [None]
    forward = walked.dataset.forward_log_return[walked.tested]
    ended_ns = walked.dataset.return_end_ns[walked.tested]
    for number in range(1, len(walked.folds)):
        now = walked.fold == number
        known = (walked.fold < number) & (ended_ns <= walked.folds[number].test_start_ns)
        calibrator = fit_calibration(walked.raw[known], walked.up[known], walked.clusters[known])
        probability[now] = calibrator.probability(walked.raw[now])
        error[now] = calibrator.standard_error(walked.raw[now])
        payoffs.append(
            measure_payoffs(
                calibrator.probability(walked.raw[known]),
                forward[known],
                walked.up[known],
                settings.confidence_min_ratio,
            )
        )
    return Calibrated(probability, error, tuple(payoffs))


def net_returns(
    series: Sequence[Series],
    walked: WalkForward,
    calibrated: Calibrated,
    settings: TrainingSettings,
) -> NetReturns:
    """Trade all folds but the first. `series` must be those `walked` was made of."""
    is_traded = walked.fold > 0
    tested = walked.tested[is_traded]
    first_ns, last_ns = walked.dataset.decided_ns[tested[[0, -1]]].tolist()
    length_ns = walked.dataset.timeframe_ns
    grid = first_ns + length_ns * np.arange((last_ns - first_ns) // length_ns + 1)
    total = np.zeros(len(grid))
    entries = 0
    for number, one in enumerate(series):
        mine = is_traded & (walked.dataset.symbol[walked.tested] == number)
        held = _positions(one, walked, calibrated, mine, settings)
        earned, opened = _books(one, held, settings.cost_ratio)
        close_ns = one.close_ns
        inside = (close_ns >= first_ns) & (close_ns <= last_ns)
        total[(close_ns[inside] - first_ns) // length_ns] += earned[inside]
        entries += opened
    return NetReturns(grid, total / len(series), entries)


class _Prediction(NamedTuple):
    probability_up: float
    standard_error: float
    payoffs: Payoffs | None


def _positions(
    series: Series,
    walked: WalkForward,
    calibrated: Calibrated,
    mine: BoolArray,
    settings: TrainingSettings,
) -> IntArray:
    bars = walked.dataset.bar[walked.tested[mine]]
    if not len(bars):
        return np.zeros(len(series.open_ns), dtype=np.int64)
    is_confident = 2.0 * np.abs(calibrated.probability - 0.5) >= settings.confidence_min_ratio
    chosen = np.flatnonzero(mine & is_confident)
    predictions = {
        bar: _Prediction(probability, error, calibrated.payoffs[fold])
        for bar, probability, error, fold in zip(
            walked.dataset.bar[walked.tested[chosen]].tolist(),
            calibrated.probability[chosen].tolist(),
            calibrated.standard_error[chosen].tolist(),
            walked.fold[chosen].tolist(),
            strict=True,
        )
    }
    held = np.zeros(len(series.open_ns), dtype=np.int64)
    position, expires_ns = 0, 0
    closes = series.close_ns.tolist()
    for bar in range(int(bars[0]), len(closes)):
        row = predictions.get(bar)
        wanted = None if row is None else _wanted(position, row, settings)
        if wanted is not None:
            position = wanted
            expires_ns = closes[bar] + settings.horizon_bars * series.timeframe_ns
        elif closes[bar] >= expires_ns:
            position = 0
        held[bar] = position
    return held


def _wanted(position: int, row: _Prediction, settings: TrainingSettings) -> int | None:
    if row.payoffs is None:
        return None
    side = 1 if row.probability_up > 0.5 else -1
    if side < 0 and not settings.allow_short:
        return 0
    right = max(row.probability_up, 1.0 - row.probability_up)
    shrunk = max(0.5, right - SHRINK_STANDARD_ERRORS * row.standard_error)
    payoff = row.payoffs.up if side > 0 else row.payoffs.down
    edge_ratio = shrunk * payoff.win_ratio - (1.0 - shrunk) * payoff.loss_ratio
    # Holding on costs nothing now; a new round trip costs both ways and has to leave the margin.
    if position != side:
        edge_ratio -= 2.0 * settings.cost_ratio + settings.cost_margin_bps / 10_000.0
    return side if edge_ratio > 0.0 else None


def _books(series: Series, held: IntArray, cost_ratio: float) -> tuple[FloatArray, int]:
    closes = series.ohlcv[:, CLOSE]
    earned = np.zeros(len(closes))
    earned[:-1] = held[:-1] * (closes[1:] / closes[:-1] - 1.0)
    before = np.concatenate([[0], held[:-1]])
    opened = (held != before) & (held != 0)
    return earned - cost_ratio * np.abs(held - before), int(opened.sum())
