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

from daemon.core.timeframes import NS_PER_S, bars_per_year
from daemon.layers.monitoring.drift import psi
from daemon.layers.monitoring.trades import net_return_interval
from daemon.reports.facts import ZERO, slippage_quote
from daemon.research.net_returns import NetReturns
from daemon.research.verdict import bootstrap_net_return

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.core.manifests import Manifest
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
    """From the gross result to the net one, in quote units: gross - fees - slippage = net."""

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
    """What a report says in numbers; ratios are fractions, money is in the quote currency."""

    net_return: Interval
    sharpe: Interval
    drawdown_ratio: float
    trades: int
    win_ratio: Interval
    trade_return: Interval
    costs: Costs
    auc: Interval
    auc_n: int


def figures(facts: Facts) -> Figures:
    """The figures of a run that has opened."""
    returns = slot_returns(facts)
    trips = [each.return_ratio for each in facts.closed_trades if each.return_ratio is not None]
    trip = net_return_interval(trips)
    sample = facts.samples[-1] if facts.samples else None
    return Figures(
        net_return=_net_return(facts, returns),
        sharpe=sharpe(returns, bars_per_year(facts.run.timeframe_ns)),
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
    values = np.array([float(facts.run.allotted_quote), *last.values()])
    returns: FloatArray = np.diff(values) / values[:-1]
    return returns


def sharpe(returns: FloatArray, per_year: float) -> Interval:
    """Annualised Sharpe ratio of returns (n,) per slot and its interval.

    The standard error is that of Mertens (2002), which allows for skew and fat tails:
    sqrt((1 + S^2/2 - g3 S + (g4 - 3)/4 S^2) / n) per slot, with skew g3 and kurtosis g4.
    """
    n = len(returns)
    deviation = float(returns.std(ddof=1)) if n > 1 else 0.0
    if n < SLOTS_MIN or deviation == 0.0:
        return Interval(None)
    once = float(returns.mean()) / deviation
    centred = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((centred**3).mean()), float((centred**4).mean())
    variance = (1 + once**2 / 2 - skew * once + (kurtosis - 3) / 4 * once**2) / n
    half = Z_95 * math.sqrt(max(0.0, variance))
    scale = math.sqrt(per_year)
    return Interval(once * scale, (once - half) * scale, (once + half) * scale)


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
    slippage = sum((slippage_quote(each) for each in facts.fills), ZERO)
    equity = facts.equity[-1].equity_quote if facts.equity else facts.run.allotted_quote
    net = equity - facts.run.allotted_quote
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
            made.append(Drift(name, psi(usual, recent[:, column]), usual.placebo_psi))
    usual = manifest.reference_probability
    made.append(Drift("prediction", psi(usual, facts.probabilities[-window:]), usual.placebo_psi))
    return made


def monthly(facts: Facts) -> list[tuple[int, int, float]]:
    """(year, month, return) of equity per calendar month, UTC; the first from the allotment."""
    ends: dict[tuple[int, int], float] = {}
    for each in facts.equity:
        # A mark at a month's very first moment values the month before.
        moment = datetime.fromtimestamp((each.ts_ns - 1) // NS_PER_S, UTC)
        ends[moment.year, moment.month] = float(each.equity_quote)
    before, made = float(facts.run.allotted_quote), []
    for (year, month), equity in ends.items():
        made.append((year, month, equity / before - 1.0))
        before = equity
    return made


def buy_and_hold(facts: Facts) -> list[tuple[int, float]]:
    """(close time in ns, value): the allotment in equal parts on all symbols at their first close.

    Without costs, so that it flatters the comparison rather than the run.
    """
    firsts = {each: bars[0].close for each, bars in facts.bars.items()}
    part = float(facts.run.allotted_quote) / max(1, len(firsts))
    value = dict.fromkeys(firsts, part)
    made: dict[int, float] = {}
    bars = sorted((bar for its in facts.bars.values() for bar in its), key=lambda bar: bar.close_ns)
    for bar in bars:
        value[bar.instrument] = part * bar.close / firsts[bar.instrument]
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


def _net_return(facts: Facts, returns: FloatArray) -> Interval:
    allotted = facts.run.allotted_quote
    equity = facts.equity[-1].equity_quote if facts.equity else allotted
    value = float(equity / allotted - 1)
    if len(returns) < SLOTS_MIN or not np.ptp(returns):
        return Interval(value)
    horizon = facts.models[-1].horizon_bars if facts.models else 1
    entries = len(facts.trades)
    mean = bootstrap_net_return(
        NetReturns(np.arange(len(returns)), returns, entries), horizon_bars=horizon, seed=0
    )
    n = len(returns)
    return Interval(value, mean.per_bar_low * n, mean.per_bar_high * n)
