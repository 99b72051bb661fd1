from dataclasses import replace
from itertools import product

import pytest

from daemon.core.manifests import Control, Costs, NetReturn, SurestCalls
from daemon.layers.monitoring.skill import Gap, Skill
from daemon.research.bootstrap import ENTRIES_MIN
from daemon.research.verdict import DeclaredTest, Evidence, Verdict, judge


def a_skill(low: float, auc: float = 0.56) -> Skill:
    return Skill(auc, low, 0.6, 1_000, 1_000)


def a_net(low: float = 1e-4, entries: int = ENTRIES_MIN, deflated: float = 0.99) -> NetReturn:
    return NetReturn(
        per_bar_ratio=2e-4,
        per_bar_low=low,
        per_bar_high=3e-4,
        total_ratio=0.2,
        bars=1_000,
        entries=entries,
        sharpe=1.5,
        sharpe_low=0.2,
        sharpe_high=2.5,
        deflated_sharpe=deflated,
        trials=1,
    )


GOOD = Evidence(
    skill=a_skill(0.53),
    baseline=a_skill(0.0, auc=0.52),
    gap=Gap(0.04, 0.01, 0.07),
    net=a_net(),
    costs=Costs(10.0, 5.0),
    control=Control(600, 0.51, 0.02),
    surest=SurestCalls(100, 4e-4, 1e-4, 7e-4),
)


def judged(**changes: object) -> Verdict:
    return judge(replace(GOOD, **changes))  # type: ignore[arg-type]


def test_an_edge_is_shown_only_where_every_declared_test_holds() -> None:
    for low, baseline, net_low, entries, deflated in product(
        (0.53, 0.49), (0.52, 0.54), (1e-4, -1e-4), (ENTRIES_MIN, ENTRIES_MIN - 1), (0.95, 0.9499)
    ):
        verdict = judged(
            skill=a_skill(low),
            baseline=a_skill(0.0, auc=baseline),
            net=a_net(net_low, entries, deflated),
        )

        failed = {
            DeclaredTest.CHANCE: low < 0.5,
            DeclaredTest.BASELINE: low < baseline,
            DeclaredTest.PAYS: net_low < 0.0 or entries < ENTRIES_MIN,
            DeclaredTest.SHARPE: deflated < 0.95,
        }
        assert verdict.failed == tuple(test for test, is_failed in failed.items() if is_failed)
        assert verdict.edge_shown is not any(failed.values())
        head = "Edge shown on this data" if verdict.edge_shown else "No edge shown"
        assert verdict.sentence.startswith(head)


def test_the_sentence_says_which_tests_did_not_hold_and_by_how_much() -> None:
    shown = judged().sentence
    assert "the AUC is 0.560 (0.530 to 0.600, n 1000) and that of minus the last return" in shown
    assert "0.520, a difference of +0.040 (+0.010 to +0.070)" in shown
    assert "30 trades earn +2.00 bps a bar (+1.00 to +3.00) after 10 bps fee" in shown
    assert "a Sharpe ratio of 1.50 a year (0.20 to 2.50), 0.990 sure after 1 trial." in shown
    assert "With shuffled outcomes it is 0.510, within 0.5 ± 0.040." in shown
    assert "low end is 0.490, not above 0.5;" in judged(skill=a_skill(0.49)).sentence
    assert "not above its 0.540." in judged(baseline=a_skill(0.0, auc=0.54)).sentence
    assert "is 0.900 sure, not 0.95." in judged(net=a_net(deflated=0.9)).sentence
    for net, said in (
        (a_net(-1e-4), "it does not pay, not surely, after 10 bps fee and 5 bps slippage a side."),
        (replaced(a_net(-1e-3), per_bar_high=-1e-4), "it does not pay, it loses money after"),
        (a_net(entries=29), "as far as 29 trades can tell, which are too few, after"),
        (a_net(entries=0), "it does not pay, no predicted move was worth 10 bps fee"),
    ):
        sentence = judged(net=net).sentence
        assert sentence.startswith("No edge shown: ")
        assert said in sentence
        assert "The surest tenth of all calls moved +4.0 bps their way" in sentence
        assert "a round trip costs 30." in sentence
    assert "\n" not in shown
    assert ".." not in shown


def test_a_model_that_never_traded_is_not_blamed_for_its_sharpe_ratio_as_well() -> None:
    verdict = judged(net=a_net(entries=0, deflated=0.0))

    assert verdict.failed == (DeclaredTest.PAYS, DeclaredTest.SHARPE)
    assert "Sharpe" not in verdict.sentence


def replaced(net: NetReturn, **changes: float) -> NetReturn:
    import msgspec

    return msgspec.structs.replace(net, **changes)


def test_where_costs_were_those_of_each_fill_no_number_is_made_up_for_them() -> None:
    sentence = judged(costs=None, net=a_net(-1e-4)).sentence

    assert "it does not pay, not surely, after its fees and slippage." in sentence
    assert "bps fee" not in sentence
    assert "surest" not in sentence


def test_without_a_known_auc_nothing_is_shown() -> None:
    unknown = Skill(None, 0.0, 1.0, 0, 0)

    verdict = judged(skill=unknown, baseline=unknown, gap=Gap(None, -1.0, 1.0))

    assert not verdict.edge_shown
    assert "The AUC is not known" in verdict.sentence


@pytest.mark.parametrize(
    ("auc", "fails", "denies", "said"),
    [
        (0.539, False, False, "Edge shown"),
        (0.541, True, False, "as chance alone is once in twenty times"),
        (0.459, True, False, "as chance alone is once in twenty times"),
        (0.581, True, True, "nothing it says counts"),
        (0.419, True, True, "nothing it says counts"),
    ],
)
def test_a_control_off_one_half_is_said_and_far_off_it_denies_everything(
    auc: float, *, fails: bool, denies: bool, said: str
) -> None:
    verdict = judged(control=Control(600, auc, 0.02))

    assert (DeclaredTest.CONTROL in verdict.failed) is fails
    assert verdict.edge_shown is not denies
    assert said in verdict.sentence


def test_a_choice_that_was_probably_luck_denies_an_edge() -> None:
    assert judged(overfitting=0.5).edge_shown
    verdict = judged(overfitting=0.51)
    assert not verdict.edge_shown
    assert verdict.failed == (DeclaredTest.OVERFITTING,)
    assert "the choice among the candidates was probably luck." in verdict.sentence
    assert "with probability 0.10." in judged(overfitting=0.1).sentence
