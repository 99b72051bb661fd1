"""A walk-forward over recorded bars, as the numbers and words `tradingd walkforward` prints.

Belongs here: from rows of a recording to the fields of the result. The walk-forward and its verdict
belong to `evaluation`, reading files to `store`.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np

from daemon.core.errors import UsageRefused
from daemon.core.timeframes import NS_PER_MS, rfc3339
from daemon.research.candidates import pick
from daemon.research.series import Series, content_sha256
from daemon.research.verdict import BPS
from daemon.research.walkforward import labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.manifests import FoldResult
    from daemon.layers.features.sets import FeatureSet
    from daemon.research.evaluation import Evaluated
    from daemon.research.settings import TrainingSettings
    from daemon.research.walkforward import Progress
    from daemon.store.recordings import Row

DIGITS = 6


def load_libraries() -> None:
    """Import what takes seconds, so that whoever measures a walk-forward does not measure this."""
    import joblib
    import sklearn.ensemble

    assert joblib
    assert sklearn.ensemble


def series_of_rows(symbol: str, rows: Sequence[Row], timeframe_ns: int) -> Series:
    """Rows of a recording, ascending, each time once, as the arrays research takes."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    # Milliseconds stay exact in a float for 285,000 years.
    open_ns = table[:, 0].astype(np.int64) * NS_PER_MS
    try:
        return Series(symbol, open_ns, np.ascontiguousarray(table[:, 1:]), timeframe_ns)
    except ValueError as error:
        raise UsageRefused(str(error)) from error


def walk_recorded(
    series: Series,
    feature_set: FeatureSet,
    candidates: Sequence[TrainingSettings],
    *,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, object], float]:
    """The fields of the result, and the CPU seconds that growing trees took.

    Of several candidates, which may differ in their forests only, the best is judged.

    The same series, features, settings and seed give the same fields, bit for bit.
    """
    dataset = labelled([series], feature_set, candidates[0])
    picked = pick([series], dataset, candidates, seed=seed, progress=progress)
    settings, found = picked.settings, picked.evaluated
    fields = {
        "symbol": series.symbol,
        "bars": len(series.open_ns),
        "from": rfc3339(int(series.open_ns[0])),
        "until": rfc3339(int(series.close_ns[-1])),
        "data_sha256": content_sha256(series),
        "features": feature_set.fingerprint,
        "seed": seed,
        "horizon_bars": settings.horizon_bars,
        "label": settings.label,
        "fee_bps": settings.fee_bps,
        "slippage_bps": settings.slippage_bps,
        "depth": settings.max_depth,
        "candidates": [
            {"depth": one.max_depth, "sharpe_per_bar": _rounded(sharpe)}
            for one, sharpe in zip(candidates, picked.sharpes, strict=False)
        ],
        "overfitting_probability": _rounded(picked.overfitting),
        "trials": settings.trials,
    }
    return {**fields, **_result(found)}, found.fit_cpu_s


def _result(found: Evaluated) -> dict[str, object]:
    scored, net = found.judged.out_of_sample, found.judged.net_return
    control, surest = found.judged.control, found.judged.surest
    folds = found.made.walked.folds
    areas = [fold.auc for fold in folds if fold.auc is not None]
    return {
        "folds": [_fold(fold) for fold in folds],
        "mean_auc": _rounded(statistics.fmean(areas)),
        "n": scored.n,
        "auc": _rounded(scored.auc),
        "auc_low": _rounded(scored.auc_low),
        "auc_high": _rounded(scored.auc_high),
        "baseline_auc": _rounded(scored.baseline_auc),
        "auc_gap": _rounded(scored.gap),
        "auc_gap_low": _rounded(scored.gap_low),
        "auc_gap_high": _rounded(scored.gap_high),
        "shuffled_auc": None if control is None else _rounded(control.auc),
        "shuffled_standard_error": None if control is None else _rounded(control.standard_error),
        "net_return_ratio": _rounded(net.total_ratio),
        "net_low": _rounded(net.per_bar_low * net.bars),
        "net_high": _rounded(net.per_bar_high * net.bars),
        "traded_bars": net.bars,
        "entries": net.entries,
        "sharpe": _rounded(net.sharpe),
        "sharpe_low": _rounded(net.sharpe_low),
        "sharpe_high": _rounded(net.sharpe_high),
        "deflated_sharpe": _rounded(net.deflated_sharpe),
        "surest_calls": None
        if surest is None
        else {
            "n": surest.n,
            "gross_bps": _rounded(surest.gross_ratio * BPS),
            "gross_low_bps": _rounded(surest.gross_low * BPS),
            "gross_high_bps": _rounded(surest.gross_high * BPS),
        },
        "brier": _rounded(scored.brier),
        "brier_base_rate": _rounded(scored.brier_base_rate),
        "reliability": [
            {"n": one.n, "said": _rounded(one.said), "rose": _rounded(one.rose)}
            for one in scored.reliability
        ],
        "edge_shown": found.judged.verdict.edge_shown,
        "failed": [test.value for test in found.judged.verdict.failed],
        "verdict": found.judged.verdict.sentence,
    }


def _fold(fold: FoldResult) -> dict[str, object]:
    return {
        "from": rfc3339(fold.test_start_ns),
        "until": rfc3339(fold.test_end_ns),
        "trained_on": fold.train_rows,
        "n": fold.n,
        "auc": _rounded(fold.auc),
        "auc_low": _rounded(fold.auc_low),
        "auc_high": _rounded(fold.auc_high),
        "baseline_auc": _rounded(fold.baseline_auc),
    }


def _rounded(value: float | None) -> float | None:
    # Minus zero reads like a loss.
    return None if value is None else round(value, DIGITS) + 0.0
