"""Says in a few sentences whether predictions have shown an edge, by tests that were declared
before.

The tests and their words belong here; what they are fed with belongs in `judgement`.
"""

from dataclasses import dataclass
from enum import StrEnum

from daemon.core.manifests import Control, Costs, NetReturn, SurestCalls
from daemon.layers.monitoring.skill import Gap, Skill
from daemon.research.bootstrap import ENTRIES_MIN

BPS = 10_000.0
DEFLATED_MIN = 0.95
OVERFITTING_MAX = 0.5
# A sound control leaves the first band once in 20 times, and the second once in 15,000.
CONTROL_ERRORS_MAX = 2.0
CONTROL_ERRORS_BROKEN = 4.0


class DeclaredTest(StrEnum):
    """What is asked of predictions, each one-sided at 2.5 %."""

    CHANCE = "auc_above_chance"
    BASELINE = "auc_above_baseline"
    PAYS = "net_return_above_zero"
    SHARPE = "deflated_sharpe"
    CONTROL = "shuffled_control"
    OVERFITTING = "overfitting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is judged, out of sample; `costs` are None where they were those of each fill.

    Without a control, a surest tenth or several candidates, those tests are not made.
    """

    skill: Skill
    baseline: Skill  # of minus the last return on the same rows
    gap: Gap
    net: NetReturn
    costs: Costs | None = None
    control: Control | None = None
    surest: SurestCalls | None = None
    overfitting: float | None = None  # probability, where candidates were compared
    compared: int = 1  # on these bars, and the intervals are as wide as that asks for


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of all declared tests, and which of them did not hold."""

    edge_shown: bool
    sentence: str
    failed: tuple[DeclaredTest, ...]


def judge(evidence: Evidence) -> Verdict:
    """An edge is shown when all of these hold:

    1. the low end of the AUC's 95 % interval is above 0.5,
    2. and above the AUC of minus the last return on the same rows;
    3. the low end of the net return is above 0, over at least ENTRIES_MIN entries;
    4. the deflated Sharpe ratio is at least DEFLATED_MIN;
    5. picking among candidates was no worse than luck, where there were several.

    The control with shuffled outcomes has to lie within CONTROL_ERRORS_MAX standard errors of 0.5,
    and the words say so where it does not; as chance alone does that once in 20 times, it denies an
    edge only beyond CONTROL_ERRORS_BROKEN.
    """
    failed = tuple(test for test, holds in _outcomes(evidence).items() if not holds)
    denying = [
        test
        for test in failed
        if test is not DeclaredTest.CONTROL or _control_errors(evidence) > CONTROL_ERRORS_BROKEN
    ]
    if denying:
        reasons = filter(None, (_reason(test, evidence) for test in denying))
        head = f"No edge shown: {'; '.join(reasons)}"
    else:
        head = "Edge shown on this data, which promises nothing about others"
    told = (head, _money(evidence), _surest(evidence), _skill(evidence))
    more = (_control(evidence), _overfitting(evidence), _compared(evidence))
    return Verdict(not denying, " ".join(f"{one}." for one in (*told, *more) if one), failed)


def _outcomes(evidence: Evidence) -> dict[DeclaredTest, bool]:
    skill, net = evidence.skill, evidence.net
    known = skill.auc is not None
    return {
        DeclaredTest.CHANCE: known and skill.low > 0.5,
        DeclaredTest.BASELINE: known and skill.low > _to_beat(evidence),
        DeclaredTest.PAYS: net.entries >= ENTRIES_MIN and net.per_bar_low > 0.0,
        DeclaredTest.SHARPE: net.deflated_sharpe >= DEFLATED_MIN,
        DeclaredTest.CONTROL: _control_errors(evidence) <= CONTROL_ERRORS_MAX,
        DeclaredTest.OVERFITTING: (evidence.overfitting or 0.0) <= OVERFITTING_MAX,
    }


def _to_beat(evidence: Evidence) -> float:
    return 0.5 if evidence.baseline.auc is None else evidence.baseline.auc


def _control_errors(evidence: Evidence) -> float:
    control = evidence.control
    return 0.0 if control is None else abs(control.auc - 0.5) / control.standard_error


def _reason(test: DeclaredTest, evidence: Evidence) -> str:
    """Why a test that did not hold denies an edge; empty where another one says it already."""
    skill, net = evidence.skill, evidence.net
    if test is DeclaredTest.CHANCE:
        return f"the model may be guessing, the AUC's low end is {skill.low:.3f}, not above 0.5"
    if test is DeclaredTest.BASELINE:
        return (
            f"minus the last return alone may do as well, the AUC's low end is {skill.low:.3f}, "
            f"not above its {_to_beat(evidence):.3f}"
        )
    if test is DeclaredTest.PAYS:
        return f"it does not pay, {_pay_reason(net)} {_costs(evidence)}"
    if test is DeclaredTest.SHARPE:
        said = f"the Sharpe ratio is {net.deflated_sharpe:.3f} sure, not {DEFLATED_MIN:g}"
        return said if net.entries >= ENTRIES_MIN else ""
    if test is DeclaredTest.CONTROL:
        return "shuffled outcomes are foretold too"
    return "the choice among the candidates was probably luck"


def _pay_reason(net: NetReturn) -> str:
    if net.entries == 0:
        return "no predicted move was worth"
    if net.entries < ENTRIES_MIN:
        return f"as far as {net.entries} trades can tell, which are too few, after"
    if net.per_bar_high < 0.0:
        return "it loses money after"
    return "not surely, after"


def _costs(evidence: Evidence) -> str:
    costs = evidence.costs
    if costs is None:
        return "its fees and slippage"
    return f"{costs.fee_bps:g} bps fee and {costs.slippage_bps:g} bps slippage a side"


def _money(evidence: Evidence) -> str:
    net = evidence.net
    if net.entries == 0:
        return ""
    return (
        f"{net.entries} trades earn {net.per_bar_ratio * BPS:+.2f} bps a bar "
        f"({net.per_bar_low * BPS:+.2f} to {net.per_bar_high * BPS:+.2f}) after "
        f"{_costs(evidence)}, a Sharpe ratio of {net.sharpe:.2f} a year ({net.sharpe_low:.2f} to "
        f"{net.sharpe_high:.2f}), {net.deflated_sharpe:.3f} sure after {net.trials} "
        f"trial{'' if net.trials == 1 else 's'}"
    )


def _surest(evidence: Evidence) -> str:
    surest, costs = evidence.surest, evidence.costs
    if surest is None or costs is None:
        return ""
    return (
        f"The surest tenth of all calls moved {surest.gross_ratio * BPS:+.1f} bps their way "
        f"({surest.gross_low * BPS:+.1f} to {surest.gross_high * BPS:+.1f}, n {surest.n}), "
        f"a round trip costs {2.0 * (costs.fee_bps + costs.slippage_bps):g}"
    )


def _skill(evidence: Evidence) -> str:
    skill, gap = evidence.skill, evidence.gap
    if skill.auc is None:
        return f"The AUC is not known, n {skill.n}"
    difference = (
        ""
        if gap.value is None
        else f", a difference of {gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
    )
    return (
        f"Out of sample the AUC is {skill.auc:.3f} ({skill.low:.3f} to {skill.high:.3f}, "
        f"n {skill.n}) and that of minus the last return {_to_beat(evidence):.3f}{difference}"
    )


def _control(evidence: Evidence) -> str:
    control = evidence.control
    if control is None:
        return ""
    errors = _control_errors(evidence)
    place = "within" if errors <= CONTROL_ERRORS_MAX else "outside"
    said = (
        f"With shuffled outcomes it is {control.auc:.3f}, {place} 0.5 ± "
        f"{CONTROL_ERRORS_MAX * control.standard_error:.3f}"
    )
    if errors > CONTROL_ERRORS_BROKEN:
        return f"{said}, so the test knows what it should not and nothing it says counts"
    return said if place == "within" else f"{said}, as chance alone is once in twenty times"


def _overfitting(evidence: Evidence) -> str:
    if evidence.overfitting is None:
        return ""
    return (
        "The best of the candidates stays below their median elsewhere with probability "
        f"{evidence.overfitting:.2f}"
    )


def _compared(evidence: Evidence) -> str:
    if evidence.compared == 1:
        return ""
    return f"It is the best of {evidence.compared} on these bars, and all intervals allow for that"
