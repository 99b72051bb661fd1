"""The figures of a run: turns its facts into the few numbers that matter, each with its interval.

Belongs here: statistics of one run. How they are shown belongs to `page`.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from daemon.core.currencies import Rates
from daemon.core.timeframes import NS_PER_S
from daemon.layers.monitoring.drift import limits_of, psi
from daemon.layers.monitoring.outcomes import block_length_ns
from daemon.layers.monitoring.trades import net_return_interval
from daemon.reports.facts import ZERO
from daemon.research.bootstrap import bootstrap_net_return
from daemon.research.net_returns import NetReturns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.core.instruments import InstrumentId
    from daemon.core.manifests import Histogram, Manifest, NetReturn
    from daemon.reports.facts import Facts
    from daemon.research.series import FloatArray

Z_95 = NormalDist().inv_cdf(0.975)
SLOTS_MIN = 30  # fewer slots give no interval worth the name
RELIABILITY_BINS = 10


class Interval(Struct, frozen=True):
    """A number and its two-sided 95 % interval; None where the data cannot tell."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Costs(Struct, frozen=True):
    """From gross to net result, in the reporting currency: gross - fees - slippage = net."""

    gross: Decimal
    fees: Decimal
    slippage: Decimal
    net: Decimal

    @property
    def share_of_gross(self) -> float | None:
        """Costs as a share of a gross profit; None where there was none."""
        return float((self.fees + self.slippage) / self.gross) if self.gross > 0 else None


class Bin(Struct, frozen=True):
    """Predictions of one range of probabilities: what was said and what came, with n."""

    low: float
    high: float
    n: int
    said: float
    came: float
    came_low: float
    came_high: float


class Figures(Struct, frozen=True):
    """What a report says in numbers; ratios are fractions, money is in the reporting currency."""

    net_return: Interval
    sharpe: Interval  # annualised
    deflated_sharpe: float | None  # probability that it is above what the best of `trials` shows
    trials: int
    drawdown_ratio: float
    trades: int
    win_ratio: Interval
    trade_return: Interval
    costs: Costs
    auc: Interval
    auc_n: int


def figures(facts: Facts, trials: int = 1) -> Figures:
    """The figures of a run that has opened; `trials` is how many candidates its model was picked
    from.
    """
    trips = [each.return_ratio for each in facts.closed_trades if each.return_ratio is not None]
    block_ns = block_length_ns(facts.run.timeframe_ns, _horizon_bars(facts))
    trip = net_return_interval(trips, [each.closed_ns // block_ns for each in facts.closed_trades])
    sample = facts.samples[-1] if facts.samples else None
    final = facts.equity[-1].equity_quote if facts.equity else facts.allotted_quote
    value = float(final / facts.allotted_quote - 1)
    earned, n = _earned(facts, trials), len(slot_returns(facts))
    return Figures(
        net_return=Interval(value)
        if earned is None
        else Interval(value, earned.per_bar_low * n, earned.per_bar_high * n),
        sharpe=Interval(None)
        if earned is None
        else Interval(earned.sharpe, earned.sharpe_low, earned.sharpe_high),
        deflated_sharpe=None if earned is None else earned.deflated_sharpe,
        trials=trials,
        drawdown_ratio=max((each.drawdown_ratio for each in facts.equity), default=0.0),
        trades=len(trips),
        win_ratio=wilson(sum(each > 0 for each in trips), len(trips)),
        trade_return=Interval(trip.mean, trip.low, trip.high),
        costs=costs(facts),
        auc=Interval(None)
        if sample is None or sample.auc is None
        else Interval(sample.auc, sample.auc_low, sample.auc_high),
        auc_n=0 if sample is None else sample.auc_n,
    )


def slot_returns(facts: Facts) -> FloatArray:
    """Simple returns of equity from slot to slot of the time grid, (n,); fills between count on."""
    last: dict[int, float] = {}
    length_ns = facts.run.timeframe_ns
    for each in facts.equity:
        last[each.ts_ns // length_ns] = float(each.equity_quote)
    values = np.array([float(facts.allotted_quote), *last.values()])
    returns: FloatArray = np.diff(values) / values[:-1]
    return returns


def wilson(hits: int, n: int) -> Interval:
    """A share and its interval by Wilson (1927)."""
    if n == 0:
        return Interval(None)
    share, z = hits / n, Z_95
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(share, middle - half, middle + half)


def costs(facts: Facts) -> Costs:
    """What trading cost: fees as charged, slippage against the prices that were decided on."""
    fees = sum(facts.fees_quote, ZERO)
    slippage = sum(facts.slippage_quote, ZERO)
    equity = facts.equity[-1].equity_quote if facts.equity else facts.allotted_quote
    net = equity - facts.allotted_quote
    return Costs(gross=net + fees + slippage, fees=fees, slippage=slippage, net=net)


def reliability(facts: Facts) -> list[Bin]:
    """Resolved predictions in ten bins of equal width: what was said against what came."""
    bins: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for each in facts.outcomes:
        if each.outcome is not None:
            place = min(RELIABILITY_BINS - 1, int(each.probability_up * RELIABILITY_BINS))
            bins[place].append((each.probability_up, each.outcome))
    made = []
    for place, pairs in sorted(bins.items()):
        ups = sum(outcome for _, outcome in pairs)
        came = wilson(ups, len(pairs))
        assert came.value is not None
        assert came.low is not None
        assert came.high is not None
        made.append(
            Bin(
                low=place / RELIABILITY_BINS,
                high=(place + 1) / RELIABILITY_BINS,
                n=len(pairs),
                said=sum(said for said, _ in pairs) / len(pairs),
                came=came.value,
                came_low=came.low,
                came_high=came.high,
            )
        )
    return made


class Drift(Struct, frozen=True):
    """How far one feature, or the prediction, has moved from what training saw."""

    feature: str
    psi: float | None
    placebo_psi: float | None


def drifts(facts: Facts, manifest: Manifest | None, window: int) -> list[Drift]:
    """PSI of the newest `window` rows per feature and of the prediction, against the model's own.

    Empty without the manifest of the newest model.
    """
    if manifest is None:
        return []
    recent = np.array(facts.rows[-window:], dtype=np.float64)
    made = []
    for column, name in enumerate(facts.feature_names):
        usual = manifest.reference.get(name)
        if usual is not None and len(recent):
            made.append(_drift(name, usual, recent[:, column]))
    probabilities = np.array(facts.probabilities[-window:], dtype=np.float64)
    made.append(_drift("prediction", manifest.reference_probability, probabilities))
    return made


def _drift(name: str, usual: Histogram, recent: FloatArray) -> Drift:
    """The rows of all symbols together are fewer slots than rows."""
    limits = limits_of(usual.placebo, len(recent) // max(len(usual.symbols), 1))
    return Drift(name, psi(usual, recent), None if limits is None else limits[0])


def monthly(facts: Facts) -> list[tuple[int, int, float]]:
    """(year, month, return) of equity per calendar month, UTC; the first from the allotment."""
    ends: dict[tuple[int, int], float] = {}
    for each in facts.equity:
        # A mark at a month's very first moment values the month before.
        moment = datetime.fromtimestamp((each.ts_ns - 1) // NS_PER_S, UTC)
        ends[moment.year, moment.month] = float(each.equity_quote)
    before, made = float(facts.allotted_quote), []
    for (year, month), equity in ends.items():
        made.append((year, month, equity / before - 1.0))
        before = equity
    return made


def buy_and_hold(facts: Facts) -> list[tuple[int, float]]:
    """(close time in ns, value): the allotment in equal parts on all symbols at their first close.

    Without costs, so that it flatters the comparison rather than the run.
    """
    quotes = {each.id: each.quote for each in facts.run.instruments}
    rates = Rates(facts.run.instruments, facts.run.currency)
    marks: dict[InstrumentId, Decimal] = {}
    marked_ns: dict[InstrumentId, int] = {}
    firsts: dict[InstrumentId, float] = {}
    part = float(facts.allotted_quote) / max(1, len(facts.bars))
    value = dict.fromkeys(facts.bars, part)
    made: dict[int, float] = {}
    bars = sorted((bar for its in facts.bars.values() for bar in its), key=lambda bar: bar.close_ns)
    for bar in bars:
        marks[bar.instrument], marked_ns[bar.instrument] = Decimal(repr(bar.close)), bar.close_ns
        rate = rates.rate(quotes[bar.instrument], marks, marked_ns)
        if rate is not None:
            worth = bar.close * float(rate.value)
            value[bar.instrument] = part * worth / firsts.setdefault(bar.instrument, worth)
        made[bar.close_ns] = math.fsum(value.values())
    return list(made.items())


def data_sha256(facts: Facts) -> str:
    """A hash of every bar the run was decided on, in order, for the identity of the report."""
    digest = hashlib.sha256()
    for instrument, bars in sorted(facts.bars.items()):
        digest.update(f"{instrument.exchange}\0{instrument.symbol}\0".encode())
        numbers = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
        digest.update(np.array([bar.open_ns for bar in bars], dtype="<i8").tobytes())
        digest.update(np.array(numbers, dtype="<f8").tobytes())
    return digest.hexdigest()


def not_traded(facts: Facts) -> Mapping[str, Sequence[tuple[str, int]]]:
    """Which rule decided how often: sizes, denials and signals that never were."""
    return {
        "size decided by": facts.bound.most_common(),
        "order denied by": facts.denied.most_common(),
        "no signal because": facts.suppressed.most_common(),
    }


def _earned(facts: Facts, trials: int) -> NetReturn | None:
    """Return and Sharpe ratio of the slots by the block bootstrap of every verdict."""
    returns = slot_returns(facts)
    if len(returns) < SLOTS_MIN or not returns.any():
        return None
    return bootstrap_net_return(
        NetReturns(np.arange(len(returns)), returns, len(facts.trades)),
        timeframe_ns=facts.run.timeframe_ns,
        horizon_bars=_horizon_bars(facts),
        trials=trials,
        seed=0,
    )


def _horizon_bars(facts: Facts) -> int:
    return facts.models[-1].horizon_bars if facts.models else 1
