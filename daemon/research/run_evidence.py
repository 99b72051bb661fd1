"""What a run's events prove: outcomes against the baseline, returns per bar, and the same verdict
a training gets.

Belongs here: which events are evidence. The tests belong to `verdict`; a shorter verdict, which
needs no bars, belongs to `layers/monitoring/trades`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from daemon.core import events as e
from daemon.layers.monitoring.skill import Skill, auc_gap, auc_with_interval
from daemon.research.bootstrap import bootstrap_net_return
from daemon.research.net_returns import NetReturns
from daemon.research.verdict import Evidence, judge
from daemon.research.walkforward import block_bars

if TYPE_CHECKING:
    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.core.manifests import NetReturn
    from daemon.research.series import FloatArray

DIGITS = 6


class RunEvidence:
    """Listens to the events of one run, whose bars are `timeframe_ns` long."""

    def __init__(self, timeframe_ns: int) -> None:
        self._timeframe_ns = timeframe_ns
        self._horizon_bars = 1
        self._newest: dict[InstrumentId, Bar] = {}
        self._baseline: dict[tuple[InstrumentId, int], float] = {}
        self._scored: list[tuple[int, float, float, int]] = []  # close, said, baseline, outcome
        self._equity: dict[int, float] = {}  # by slot; the last mark of a slot stays

    def note(self, event: e.Event) -> None:
        """Take what this event proves, if anything; all of a run, in order."""
        if isinstance(event, e.BarsClosed | e.HistoryLoaded):
            for bar in event.bars:
                self._bar(bar)
        elif isinstance(event, e.PredictionResolved) and not event.is_shadow:
            key = event.instrument, event.predicted_close_ns
            baseline = self._baseline.pop(key, 0.0)
            if event.outcome is not None:
                row = (event.predicted_close_ns, event.probability_up, baseline, event.outcome)
                self._scored.append(row)
        elif isinstance(event, e.EquityMarked):
            self._equity[event.ts_ns // self._timeframe_ns] = float(event.equity_quote)
        elif isinstance(event, e.ModelActivated):
            self._horizon_bars = max(self._horizon_bars, event.horizon_bars)

    def fields(self, *, entries: int) -> dict[str, object]:
        """The verdict and its numbers, under the names `tradingd walkforward` has for them."""
        closes, said, baselines, outcomes = (np.array(one) for one in self._columns())
        clusters = closes // (self._timeframe_ns * block_bars(closes, self._horizon_bars))
        skill = auc_with_interval(said, outcomes, clusters)
        baseline = auc_with_interval(baselines, outcomes, clusters)
        gap = auc_gap(said, baselines, outcomes, clusters)
        net = self._net(entries)
        verdict = judge(Evidence(skill=skill, baseline=baseline, gap=gap, net=net))
        return {
            **_skill_fields(skill, baseline),
            "net_return_ratio": _rounded(net.total_ratio),
            "net_low": _rounded(net.per_bar_low * net.bars),
            "net_high": _rounded(net.per_bar_high * net.bars),
            "sharpe": _rounded(net.sharpe),
            "sharpe_low": _rounded(net.sharpe_low),
            "sharpe_high": _rounded(net.sharpe_high),
            "deflated_sharpe": _rounded(net.deflated_sharpe),
            "edge_shown": verdict.edge_shown,
            "failed": [test.value for test in verdict.failed],
            "verdict": verdict.sentence,
        }

    def _bar(self, bar: Bar) -> None:
        before = self._newest.get(bar.instrument)
        if before is not None and before.close_ns == bar.open_ns:
            key = bar.instrument, bar.close_ns
            self._baseline[key] = -math.log(bar.close / before.close)
        self._newest[bar.instrument] = bar

    def _columns(self) -> tuple[list[int], list[float], list[float], list[int]]:
        closes, said, baselines, outcomes = [], [], [], []
        for close_ns, probability, baseline, outcome in self._scored:
            closes.append(close_ns)
            said.append(probability)
            baselines.append(baseline)
            outcomes.append(outcome)
        return closes, said, baselines, outcomes

    def _net(self, entries: int) -> NetReturn:
        returns = self._returns()
        return bootstrap_net_return(
            NetReturns(np.arange(len(returns)), returns, entries),
            timeframe_ns=self._timeframe_ns,
            horizon_bars=self._horizon_bars,
            trials=1,
            seed=0,
        )

    def _returns(self) -> FloatArray:
        """Of equity from slot to slot of the grid, (n,); slots without a mark earned nothing."""
        if len(self._equity) < 2:
            return np.zeros(1)
        slots = np.array(list(self._equity), dtype=np.int64)
        equity = np.array(list(self._equity.values()))
        returns = np.zeros(int(slots[-1] - slots[0]))
        returns[slots[1:] - slots[0] - 1] = equity[1:] / equity[:-1] - 1.0
        return returns


def _skill_fields(skill: Skill, baseline: Skill) -> dict[str, object]:
    return {
        "auc": _rounded(skill.auc),
        "auc_low": _rounded(skill.low),
        "auc_high": _rounded(skill.high),
        "auc_n": skill.n,
        "baseline_auc": _rounded(baseline.auc),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS) + 0.0
