"""The go-live gate item by item: turns a record of paper trading, and checks, into verdicts.

Belongs here: what is asked, how it is measured in words, and what to do about it. Where the record
comes from belongs to `golive.gate`. What cannot be known is unmet, and says why.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.manifests import Manifest
from daemon.core.timeframes import DAY_NS, HOUR_NS, rfc3339
from daemon.layers.monitoring.skill import student_quantile
from daemon.running.golive.paper_record import Record
from daemon.store.golive import GoliveState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.config import GoliveSection

BPS = 10_000.0
NO_SKILL_AUC = 0.5
BAND_LEVEL = 0.90
BAND_TRADES_MIN = 30  # of the backtest: fewer give no band worth the name
CHECK_MAX_AGE_NS = DAY_NS
DIFFERENCES_TOLD = 2
PAPER = "tradingd run --mode paper"


class Item(Struct, frozen=True, kw_only=True):
    """One thing that real money asks for; `measured` is in words, with its numbers."""

    id: str
    required: str
    measured: str
    met: bool
    value: float | None = None  # what was measured, and against what, where one number tells it
    limit: float | None = None
    todo: str = ""  # what would meet it
    is_overridden: bool = False


class Backtested(Struct, frozen=True, kw_only=True):
    """Net returns per trade of a stored backtest of this configuration."""

    run: str
    returns: tuple[float, ...]


class Evidence(Struct, frozen=True, kw_only=True):
    """All that the items are judged by; None and empty are what nobody knows."""

    now_ns: int
    record: Record
    runs: tuple[str, ...]  # that count
    others: str = ""  # why paper runs that are there do not count
    broken: str = ""  # a journal that must not be believed, and why
    tested: Backtested | None = None
    manifest: Manifest | None = None
    state: GoliveState
    exchange: str
    key: str | None = None  # fingerprint of the configured one
    is_in_the_box: bool = False
    stops: str | None = None  # why none can rest there though one is wanted; empty where it can


def items(found: Evidence, config: GoliveSection) -> tuple[Item, ...]:
    return tuple(judge(found, config) for judge in JUDGES)


def days(found: Evidence, config: GoliveSection) -> Item:
    record, wanted = found.record, config.min_paper_days
    n = len(record.days)
    age_days = (found.now_ns - record.newest_ns) / DAY_NS
    is_recent = bool(n) and age_days <= config.max_paper_age_days
    measured = f"{n} days" if n else "no day"
    if n:
        measured += f", the newest bar {_ago(found.now_ns - record.newest_ns)} ago"
    if found.others and n < wanted:
        measured += f"; {found.others}"
    if record.thinned:
        measured += f"; {record.thinned} bars that were pruned from journals prove nothing"
    return Item(
        id="paper_days",
        required=f"{wanted} UTC days of paper trading with this configuration on {found.exchange} "
        f"within {config.window_days:g} days, the newest at most {config.max_paper_age_days:g} ago",
        measured=measured,
        met=n >= wanted and is_recent,
        value=n,
        limit=wanted,
        todo=f"go on with `{PAPER}`",
    )


def outcomes(found: Evidence, config: GoliveSection) -> Item:
    model = found.record.model
    n = len(found.record.scored[model].outcomes) if model in found.record.scored else 0
    return Item(
        id="paper_outcomes",
        required=f"{config.min_paper_outcomes} resolved predictions of the model in use",
        measured=f"{n} of {model}" if model else "no model was in use",
        met=n >= config.min_paper_outcomes,
        value=n,
        limit=config.min_paper_outcomes,
        todo=f"go on with `{PAPER}`; a new model begins anew",
    )


def bars_seen(found: Evidence, config: GoliveSection) -> Item:
    record = found.record
    expected, seen = record.expected_bars, record.seen_bars
    return Item(
        id="bars_seen",
        required=f"{config.min_bars_seen_ratio:.1%} of all bars seen in time to decide on",
        measured=f"{seen} of {expected}, {seen / expected:.1%}" if expected else "no bar",
        met=bool(expected) and seen >= config.min_bars_seen_ratio * expected,
        value=seen / expected if expected else None,
        limit=config.min_bars_seen_ratio,
        todo="keep the daemon running, see `tradingd data gaps`: what was missed leaves the window "
        f"after {config.window_days:g} days",
    )


def trades(found: Evidence, config: GoliveSection) -> Item:
    n = len(found.record.returns)
    return Item(
        id="paper_trades",
        required=f"{config.min_paper_trades} closed trades",
        measured=str(n),
        met=n >= config.min_paper_trades,
        value=n,
        limit=config.min_paper_trades,
        todo=f"go on with `{PAPER}`",
    )


def drawdown(found: Evidence, config: GoliveSection) -> Item:
    record, limit = found.record, config.max_paper_drawdown_ratio
    return Item(
        id="paper_drawdown",
        required=f"drawdown at most {limit:.1%}",
        measured=f"{record.drawdown_ratio:.2%}" if record.marks else "the account was never valued",
        met=bool(record.marks) and record.drawdown_ratio <= limit,
        value=record.drawdown_ratio if record.marks else None,
        limit=limit,
        todo="trade smaller, or mend what lost: it leaves the window after "
        f"{config.window_days:g} days",
    )


def reconciled(found: Evidence, config: GoliveSection) -> Item:
    record = found.record
    unclean = sorted(name for name, is_clean in record.clean.items() if not is_clean)
    if not record.comparisons:
        measured = "books and account were never compared"
    elif record.differences:
        told = "; ".join(record.differences[-DIFFERENCES_TOLD:])
        measured = f"{len(record.differences)} of {record.comparisons} differed: {told}"
    else:
        measured = f"equal at each of {record.comparisons} comparisons that were told"
    return Item(
        id="reconciled",
        required="books equal to the account at every comparison",
        measured=measured,
        met=bool(record.comparisons) and not record.differences and not unclean,
        value=len(record.differences),
        limit=0,
        todo="find out why by `tradingd reconcile`: it leaves the window after "
        f"{config.window_days:g} days",
    )


def journal(found: Evidence, _config: GoliveSection) -> Item:
    n = len(found.runs)
    return Item(
        id="journal",
        required="every row of the journals of these runs as it was written",
        measured=found.broken or (f"chain whole in {n} of {n}" if n else "no journal"),
        met=bool(n) and not found.broken,
        todo="put back a copy of the run that `tradingd parity` accepts",
    )


def drill(found: Evidence, config: GoliveSection) -> Item:
    oldest_ns = found.now_ns - round(config.max_drill_age_days * DAY_NS)
    tried = {"halt": found.record.halted_ns, "flatten": found.record.flattened_ns}
    told = [
        f"{name} {_ago(found.now_ns - at_ns)} ago" if at_ns else f"{name} never"
        for name, at_ns in tried.items()
    ]
    return Item(
        id="kill_switch",
        required="a halt, and a flatten that closed a position, both tried within "
        f"{config.max_drill_age_days:g} days",
        measured=", ".join(told),
        met=all(at_ns is not None and at_ns >= oldest_ns for at_ns in tried.values()),
        todo="while a paper run holds a position: `tradingd golive drill --confirm`",
    )


def skill(found: Evidence, _config: GoliveSection) -> Item:
    record, override = found.record, found.state.override
    known = record.scored.get(record.model)
    measured, met, low = "the model in use has no outcome", False, None
    if known is not None:
        told = known.skill()
        met = told.auc is not None and told.low > NO_SKILL_AUC
        measured = f"unknown, n {told.n}"
        if told.auc is not None:
            low = told.low
            measured = f"AUC {told.auc:.3f}, {told.low:.3f} to {told.high:.3f}, n {told.n}"
    is_overridden = not met and override is not None and override.model == record.model
    if is_overridden:
        assert override is not None
        measured += f"; overridden by {override.who} at {rfc3339(override.at_ns)}: "
        measured += override.reason
    elif not met and override is not None:
        measured += f"; the override is of {override.model}, not of {record.model or 'any model'}"
    return Item(
        id="skill",
        required="the AUC's 95 % interval above 0.5 on paper, or an override with a reason",
        measured=measured,
        met=met or is_overridden,
        value=low,
        limit=NO_SKILL_AUC,
        todo="wait for more outcomes, train a better model, or take the risk by "
        '`tradingd golive override --reason "..."`',
        is_overridden=is_overridden,
    )


def band(found: Evidence, _config: GoliveSection) -> Item:
    returns = found.record.returns
    todo = "run `tradingd backtest` with this configuration; outside of its band, find out why"
    required = "mean net return per trade inside the backtest's 90 % band for as many trades"
    limits = _backtest_band(found, len(returns)) if returns else None
    if not returns:
        measured = "no trade on paper"
    elif limits is None:
        measured = (
            f"no backtest of this configuration with {BAND_TRADES_MIN} trades is stored, nor a "
            "walk-forward of the model with as many"
        )
    else:
        mean, (low, high, source) = fmean(returns), limits
        measured = (
            f"{mean * BPS:+.1f} bps, n {len(returns)}; band {low * BPS:+.1f} to {high * BPS:+.1f} "
            f"by {source}"
        )
        return Item(
            id="band",
            required=required,
            measured=measured,
            met=low <= mean <= high,
            value=mean,
            limit=low if mean < low else high,
            todo=todo,
        )
    return Item(id="band", required=required, measured=measured, met=False, todo=todo)


def key_scope(found: Evidence, _config: GoliveSection) -> Item:
    told, measured, met = found.state.key, "never checked", False
    if found.is_in_the_box:
        measured, met = "the exchange in the box moves no real money", True
    elif found.key is None:
        measured = "no key is configured (docs/safety.md)"
    elif told is not None:
        age_ns = found.now_ns - told.at_ns
        if (told.exchange, told.key) != (found.exchange, found.key):
            measured = "another key was checked"
        elif age_ns > CHECK_MAX_AGE_NS:
            measured = f"checked {_ago(age_ns)} ago"
        elif told.refused:
            measured = told.refused
        else:
            said = "; ".join(told.remarks) or "it may trade, and may not withdraw"
            measured, met = f"checked {_ago(age_ns)} ago: {said}", True
    return Item(
        id="key_scope",
        required="the key may trade and may not withdraw, by the exchange's word of the last day",
        measured=measured,
        met=met,
        todo="`tradingd golive check`",
    )


def clock(found: Evidence, config: GoliveSection) -> Item:
    told, measured, met = found.state.clock, "never measured", False
    if found.is_in_the_box:
        measured, met = "the exchange in the box is on this machine", True
    elif told is not None and told.exchange == found.exchange:
        age_ns = found.now_ns - told.at_ns
        measured = f"{told.offset_ms:+.0f} ms, give or take {told.error_ms:.0f}"
        measured += f", measured {_ago(age_ns)} ago"
        is_within = abs(told.offset_ms) + told.error_ms <= config.clock_offset_max_ms
        met = is_within and age_ns <= CHECK_MAX_AGE_NS
    return Item(
        id="clock",
        required=f"within {config.clock_offset_max_ms} ms of the exchange's, measured within a day",
        measured=measured,
        met=met,
        todo="run NTP, then `tradingd golive check`",
    )


def stops(found: Evidence, _config: GoliveSection) -> Item:
    return Item(
        id="stops",
        required="a stop can rest on the exchange behind every position, or none is wanted",
        measured="never looked at" if found.stops is None else found.stops or "as configured",
        met=found.stops == "",
        todo="set execution.stop_loss_ratio = 0, or trade elsewhere (docs/exchanges.md)",
    )


JUDGES: tuple[Callable[[Evidence, GoliveSection], Item], ...] = (
    days, outcomes, bars_seen, trades, drawdown, reconciled, journal, drill, skill, band,
    key_scope, clock, stops,
)  # fmt: skip


def band_of(returns: Sequence[float], n: int) -> tuple[float, float]:
    """Where the mean of `n` more trades lies in nine of ten cases, when they are of the same kind.

    Student's prediction interval: the mean of those that are known is uncertain as well.
    """
    half = student_quantile(0.5 + BAND_LEVEL / 2, len(returns) - 1) * stdev(returns)
    half *= math.sqrt(1.0 / len(returns) + 1.0 / n)
    return fmean(returns) - half, fmean(returns) + half


def walked_band(manifest: Manifest, n: int) -> tuple[float, float] | None:
    """The same by the walk-forward that the model was judged by: its interval is of the mean per
    bar of all symbols together, each with an equal share; None of too few entries.
    """
    net = manifest.net_return
    if net.entries < BAND_TRADES_MIN:
        return None
    per_trade = net.bars * len(manifest.symbols) / net.entries
    mean = net.per_bar_ratio * per_trade
    error = (net.per_bar_high - net.per_bar_low) * per_trade / (2.0 * NormalDist().inv_cdf(0.975))
    half = NormalDist().inv_cdf(0.5 + BAND_LEVEL / 2) * error * math.sqrt(1.0 + net.entries / n)
    return mean - half, mean + half


def _backtest_band(found: Evidence, n: int) -> tuple[float, float, str] | None:
    tested = found.tested
    if tested is not None and len(tested.returns) >= BAND_TRADES_MIN:
        return *band_of(tested.returns, n), f"backtest {tested.run}, n {len(tested.returns)}"
    if found.manifest is not None and (limits := walked_band(found.manifest, n)) is not None:
        return *limits, f"the walk-forward of {found.manifest.model_id}"
    return None


def _ago(age_ns: int) -> str:
    if age_ns < 2 * DAY_NS:
        return f"{max(0, age_ns) / HOUR_NS:.1f} h"
    return f"{age_ns / DAY_NS:.1f} days"
