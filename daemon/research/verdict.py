"""Says in a few sentences whether predictions have shown an edge, by tests that were declared
before.

The tests and their words belong here; what they are fed with belongs in `judgement`.
"""

from dataclasses import dataclass
from enum import StrEnum

from daemon.core.manifests import Control, NetReturn, SurestCalls
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
    """All that is judged, out of sample; `cost_bps` is what one side of a trade was charged.

    Without a control, a surest tenth or several candidates, those tests are not made.
    """

    skill: Skill
    baseline: Skill  # of minus the last return on the same rows
    gap: Gap
    net: NetReturn
    cost_bps: float
    control: Control | None = None
    surest: SurestCalls | None = None
    overfitting: float | None = None  # probability, where candidates were compared


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
    denying = set(failed)
    if _control_errors(evidence) <= CONTROL_ERRORS_BROKEN:
        denying.discard(DeclaredTest.CONTROL)
    head = "No edge shown" if denying else "Edge shown on this data"
    sentence = f"{head}: {_money(evidence)}. {_skill(evidence)}."
    extra = " ".join(filter(None, (_control(evidence), _overfitting(evidence))))
    return Verdict(not denying, f"{sentence} {extra}".strip(), failed)


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


def _skill(evidence: Evidence) -> str:
    skill, gap = evidence.skill, evidence.gap
    if skill.auc is None:
        return f"The AUC is not known, n {skill.n}"
    chance = "above" if skill.low > 0.5 else "not surely above"
    baseline = "above" if skill.low > _to_beat(evidence) else "not surely above"
    difference = (
        "" if gap.value is None else f" (by {gap.value:+.3f}, {gap.low:+.3f} to {gap.high:+.3f})"
    )
    return (
        f"Out of sample the AUC is {skill.auc:.3f} ({skill.low:.3f} to {skill.high:.3f}, "
        f"n {skill.n}), {chance} 0.5 and {baseline} the {_to_beat(evidence):.3f} of minus the last "
        f"return{difference}"
    )


def _money(evidence: Evidence) -> str:
    net = evidence.net
    side = f"at {evidence.cost_bps:g} bps a side"
    if net.entries == 0:
        return f"{side} no predicted move was worth its costs{_surest(evidence)}"
    interval = (
        f"{net.per_bar_ratio * BPS:+.2f} bps a bar "
        f"({net.per_bar_low * BPS:+.2f} to {net.per_bar_high * BPS:+.2f})"
    )
    if net.entries < ENTRIES_MIN:
        few = f"{net.entries} trades are too few to judge, at {interval}"
        return f"{side} {few}{_surest(evidence)}"
    sharpe = (
        f"a Sharpe ratio of {net.sharpe:.2f} a year ({net.sharpe_low:.2f} to "
        f"{net.sharpe_high:.2f}), {net.deflated_sharpe:.3f} sure after {net.trials} "
        f"{'trial' if net.trials == 1 else 'trials'}"
    )
    if net.deflated_sharpe < DEFLATED_MIN:
        sharpe += f", not {DEFLATED_MIN:g}"
    if net.per_bar_low > 0.0:
        return f"{side} {net.entries} trades earn {interval} with {sharpe}"
    is_loss = net.per_bar_high < 0.0
    verb = "lose money" if is_loss else "do not surely pay"
    return f"{side} {net.entries} trades {verb}, {interval}, {sharpe}{_surest(evidence)}"


def _surest(evidence: Evidence) -> str:
    surest = evidence.surest
    if surest is None:
        return ""
    return (
        f"; the surest tenth of all calls moved {surest.gross_ratio * BPS:+.1f} bps their way "
        f"({surest.gross_low * BPS:+.1f} to {surest.gross_high * BPS:+.1f}, n {surest.n}), "
        f"a round trip costs {2.0 * evidence.cost_bps:g}"
    )


def _control(evidence: Evidence) -> str:
    control = evidence.control
    if control is None or _control_errors(evidence) <= CONTROL_ERRORS_MAX:
        return ""
    band = f"0.5 ± {CONTROL_ERRORS_MAX * control.standard_error:.3f}"
    if _control_errors(evidence) <= CONTROL_ERRORS_BROKEN:
        said = "which chance alone does once in twenty times"
    else:
        said = "so this test knows what it should not, and nothing it says counts"
    return f"With shuffled outcomes the AUC is {control.auc:.3f}, outside {band}, {said}."


def _overfitting(evidence: Evidence) -> str:
    if evidence.overfitting is None:
        return ""
    verb = "was probably luck" if evidence.overfitting > OVERFITTING_MAX else "was not only luck"
    return (
        f"Picking the best candidate {verb}: it stays below the median elsewhere with probability "
        f"{evidence.overfitting:.2f}."
    )
