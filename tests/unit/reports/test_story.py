"""The story of a run's models: what is told, what is told together, and what is not told twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.timeframes import HOUR_NS
from daemon.reports.explaining.story import facts, lines, story, told
from daemon.store.journal import write_whole
from daemon.store.journal_reader import JournalReader
from tests.builders import (
    CHALLENGER,
    CLOSE_NS,
    MODEL,
    a_candidate_trained,
    a_challenger_dropped,
    a_challenger_opened,
    a_halt,
    a_health_sample,
    a_model_activated,
    a_promotion,
    a_promotion_proposed,
    a_resumption,
    a_retraining_opened,
    a_rollback,
    a_run_opened,
    a_state_change,
    a_training_failed,
    a_watch_ended,
)

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = 80


def at(hour: int) -> int:
    return CLOSE_NS + hour * HOUR_NS


def sampled(hour: int, status: e.HealthStatus, *reasons: str, **changes: object) -> e.HealthSampled:
    return a_health_sample(
        ts_ns=at(hour), status=status, reasons=reasons, policy="sequential", **changes
    )


def refused(*hours: int, reason: e.RetrainReason = e.RetrainReason.SKILL) -> list[e.Event]:
    return [
        event
        for hour in hours
        for event in (
            a_retraining_opened(ts_ns=at(hour), reason=reason),
            a_training_failed(ts_ns=at(hour), reason=f"No edge in hour {hour}. 12 trades."),
        )
    ]


def a_life() -> list[e.Event]:
    """Trusted, doubted, halted; candidates refused, one better; resumed."""
    promotion = a_promotion(ts_ns=at(9))
    lost = {"evidence": 10_800.0, "evidence_limit": 1_080.0, "skill_lost": True}
    return [
        a_model_activated(ts_ns=at(0)),
        sampled(1, e.HealthStatus.HEALTHY),
        sampled(2, e.HealthStatus.HEALTHY),
        sampled(3, e.HealthStatus.CRITICAL, "skill_lost", **lost),
        a_halt(
            ts_ns=at(3),
            reason=e.HaltReason.MODEL_CRITICAL,
            detail="skill_lost",
            value=10_800.0,
            limit=1_080.0,
        ),
        *refused(4, 5, 6),
        sampled(7, e.HealthStatus.CRITICAL, "skill_lost", **lost),
        *refused(7),
        a_retraining_opened(ts_ns=at(8)),
        a_candidate_trained(ts_ns=at(8)),
        a_challenger_opened(ts_ns=at(8)),
        promotion,
        promotion.activation,
        a_resumption(ts_ns=at(9), who="rule"),
        a_state_change(ts_ns=at(9), state=e.TradingState.ACTIVE, reasons=(), probation_trades=10),
    ]


def test_a_life_is_told_in_order_and_attempts_that_failed_alike_are_one_chapter() -> None:
    chapters = list(told(a_life()))

    assert [(each.what, (each.at_ns - CLOSE_NS) // HOUR_NS) for each in chapters] == [
        ("activated", 0),
        ("healthy", 1),
        ("critical", 3),
        ("halted", 3),
        ("refused", 4),
        ("passed", 8),
        ("challenger", 8),
        ("promoted", 9),
        ("resumed", 9),
        ("probation", 9),
    ]
    assert chapters[4].until_ns == at(7)


def test_a_person_reads_why_in_words_and_with_the_numbers_that_decided() -> None:
    page = list(lines(told(a_life()), COLUMNS))
    text = " ".join(" ".join(page).split())

    assert max(map(len, page)) <= COLUMNS
    assert "critical): the skill it promised is lost (evidence 10,800, limit 1,080)" in text
    assert "Trading was halted: the model is critical: the skill it promised is lost" in text
    assert "a new model was asked for 4 times until" in text
    assert "was refused. The last time: No edge in hour 7. " in text
    assert f"{CHALLENGER} passed on bars it was not made of, AUC 0.671 (0.610 to 0.712)." in text
    assert f"{CHALLENGER} took over from {MODEL}: in shadow it was better on the same bars" in text
    assert "Trading was resumed by rule: looked at." in text
    assert "small entries until 10 trades are closed" in text


def test_attempts_of_another_kind_are_told_apart() -> None:
    died = a_training_failed(fault=e.TrainingFault.PROCESS, reason="out of memory")
    asked = [*refused(1, 2), a_retraining_opened(), died, a_retraining_opened()]

    chapters = list(told([*asked, died, *refused(5, reason=e.RetrainReason.AGE)]))

    assert [each.what for each in chapters] == ["refused", "untrained", "refused"]
    assert "asked for 2 times" in chapters[1].text
    assert "the training died. The last time: out of memory" in chapters[1].text
    assert chapters[2].text.startswith("since the active one has grown old, a new model was asked")


def test_a_training_that_is_still_open_is_told_last() -> None:
    chapters = list(told([*refused(1), a_retraining_opened(ts_ns=at(2))]))

    assert [each.what for each in chapters] == ["refused", "training"]


def test_the_way_back_and_what_an_operator_said_are_told() -> None:
    asked_for = a_promotion(
        reason=e.PromotionReason.OPERATOR, who="uid 1000", detail="I know", comparison=None
    )
    chapters = list(
        told(
            [
                a_model_activated(),
                a_challenger_dropped(),
                a_promotion_proposed(),
                asked_for,
                asked_for.activation,
                a_rollback(),
                a_model_activated(),
                a_watch_ended(),
            ]
        )
    )

    assert [each.what for each in chapters] == [
        "activated", "dropped", "proposed", "promoted", "rolled_back", "stays",
    ]  # fmt: skip
    assert f"{CHALLENGER} was dropped: it was worse than the active one" in chapters[1].text
    assert f"tradingd models promote {CHALLENGER}" in chapters[2].text
    assert "asked for by uid 1000: an operator asked for it (I know)" in chapters[3].text
    assert (
        f"{MODEL} came back in the place of {CHALLENGER}: the other did worse" in chapters[4].text
    )


def test_programs_get_the_same_from_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with write_whole(path) as journal:
        for event in (a_run_opened(), *a_life()):
            journal.keep([event])

    found = facts(story(JournalReader.open(path)))

    assert found == facts(told(a_life()))
    assert found[0]["what"] == "activated"
    assert found[0]["model"] == MODEL
