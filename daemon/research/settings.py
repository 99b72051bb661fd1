"""What a person may choose about a training.

Names, units and defaults belong here; reading them from a file belongs in `config`.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from daemon.core.bars import ZeroVolume
from daemon.core.labels import BarrierUnit, LabelKind, LabelRule, rule_of

LEVEL = 0.95  # of an interval, two-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a model is made and judged; costs are per side of a trade.

    `sample_ratio` is the share of the rows each tree is grown on: half of them costs two thirds of
    the time and has shown the same AUC on hourly bars. `processors` changes nothing but the time.

    With `held_out_bars` only the newest bars are tested, all `folds` of them, and `window_bars` is
    how far back each fold, and the model itself, may learn. `compared` models were judged on these
    same bars and one was kept: the tests are made at the level that leaves all of them together
    what one would have.
    """

    classifier: str = "random_forest"  # a name of `classifiers`, or package.module:Class
    parameters: str = "{}"  # a JSON object over that classifier's defaults, its keys sorted
    n_estimators: int = 300
    max_depth: int = 6
    min_samples_leaf: int = 20
    sample_ratio: float = 0.5
    folds: int = 5
    embargo_bars: int = 1
    horizon_bars: int = 1
    label: str = LabelKind.DIRECTION.value
    dead_zone_bps: float = 0.0  # moves that teach nothing, for they would not have paid
    barrier_unit: str = BarrierUnit.VOLATILITY.value
    profit_barrier: float = 2.0
    stop_barrier: float = 2.0
    barrier_bars: int = 20
    fee_bps: float = 10.0
    slippage_bps: float = 5.0
    cost_margin_bps: float = 2.0  # of a round trip: what an entry must promise beyond its costs
    confidence_min_ratio: float = 0.05
    allow_short: bool = False
    zero_volume: str = ZeroVolume.FLAG.value
    psi_window: int = 500
    held_out_bars: int = 0  # 0: all folds but the first are tested, by all that lies before them
    window_bars: int = 0  # only beside held_out_bars
    compared: int = 1
    trials: int = 1  # configurations that were looked at before this one was kept, it included
    processors: int = 0  # 0: as many as there are

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError("folds must be at least 2: the first one calibrates the second")
        if min(self.n_estimators, self.max_depth, self.min_samples_leaf, self.horizon_bars) < 1:
            raise ValueError("trees, depth, leaf and horizon must be at least 1")
        if min(self.trials, self.compared) < 1:
            raise ValueError("trials and compared must be at least 1: this one is one")
        if min(self.held_out_bars, self.window_bars, self.embargo_bars, self.processors) < 0:
            raise ValueError("held-out bars, window, embargo and processors are never negative")
        if (self.held_out_bars > 0) != (self.window_bars > 0):
            raise ValueError("held_out_bars and window_bars come together, or are both 0")
        if not 0.0 < self.sample_ratio <= 1.0:
            raise ValueError("sample_ratio must be above 0 and at most 1")
        self._check_money_and_labels()

    def _check_money_and_labels(self) -> None:
        if min(self.fee_bps, self.slippage_bps, self.cost_margin_bps) < 0:
            raise ValueError("costs are never negative")
        if not (self.dead_zone_bps >= 0.0 and min(self.profit_barrier, self.stop_barrier) > 0.0):
            raise ValueError("a dead zone is never negative, and a barrier never at the price")
        if self.barrier_bars < 2:
            raise ValueError("volatility needs 2 or more bars")
        if not 0.0 <= self.confidence_min_ratio < 1.0:
            raise ValueError("confidence_min_ratio must be at least 0 and below 1")

    @property
    def level(self) -> float:
        """Of the intervals that the tests read, two-sided (Bonferroni)."""
        return 1.0 - (1.0 - LEVEL) / self.compared

    @property
    def own_parameters(self) -> dict[str, Any]:
        """What the classifier is given beside its defaults."""
        own = json.loads(self.parameters)
        if not isinstance(own, dict):
            raise TypeError("parameters must be a JSON object")
        return own

    @property
    def rule(self) -> LabelRule:
        """What is predicted."""
        return rule_of(asdict(self))

    @property
    def cost_ratio(self) -> float:
        """Fee and slippage of one side, as a ratio of the notional."""
        return (self.fee_bps + self.slippage_bps) / 10_000.0
