"""Every decision of whole stories, explained: what is told is what was decided, and why."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.core import events as e
from daemon.core.errors import UsageRefused
from daemon.core.orders import Leg
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import rfc3339
from daemon.reports.explaining import vocabulary
from daemon.reports.explaining.evidence import DURING, Evidence, evidence
from daemon.reports.explaining.facts import Placed, Told, facts, placed
from daemon.reports.explaining.search import EVENTS, find
from daemon.reports.explaining.summary import summary
from daemon.reports.explaining.watching import Recomputed, Watch, decide_again
from daemon.reports.explaining.words import lines
from daemon.routes import routes
from daemon.store.journal import write_whole
from daemon.store.journal_reader import JournalReader
from tests.builders import (
    a_bars_closed,
    a_model_activated,
    a_prediction,
    a_promotion,
    a_resolution,
    a_run_opened,
    a_suppression,
    challenger_predictions,
    feature_rows,
    predictions,
)
from tests.unit.core.simulation import Simulation, a_core, a_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.core.pipeline import Step

SEEDS = (3, 8)
EXPLAINED_PER_STORY = 25
COLUMNS = 100


@cache
def story(seed: int) -> tuple[Step, ...]:
    return tuple(a_run(seed).steps)


@pytest.fixture(scope="module", params=SEEDS)
def told_story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, JournalReader]:
    seed: int = request.param
    path = tmp_path_factory.mktemp("story") / "journal.db"
    with write_whole(path) as journal:
        for step in story(seed):
            journal.keep(step.events)
    return seed, JournalReader.open(path)


def explained(seed: int, journal: JournalReader, trace: str) -> Told:
    """As the command does it, with the story's own core."""
    gathered = evidence(journal, trace)
    core = a_core(Simulation(seed).settings)
    watch, recomputed = Watch(trace, core.signals, core.risk), Recomputed()
    pipeline = Pipeline([*routes(core), *watch.routes()])
    decide_again(watch, pipeline, journal, gathered, recomputed)
    return Told(
        run="r", mode="paper", label="", because="asked", client_order_id=None,
        evidence=gathered, recomputed=recomputed, lookback=4,
    )  # fmt: skip


def interesting(seed: int) -> list[str]:
    """Traces of every kind of answer, the rarest kinds first."""
    by_answer: dict[str, list[str]] = {}
    for step in story(seed):
        for event in step.events:
            if isinstance(event, e.SignalSuppressed | e.OrderDenied | e.SignalEmitted):
                name = f"{type(event).__name__} {event.reason}"
                by_answer.setdefault(name, []).append(event.trace)
            elif isinstance(event, e.OrderApproved):
                by_answer.setdefault(f"approved {event.bound_by}", []).append(event.trace)
    ordered = sorted(by_answer.values(), key=len)
    picked = [traces[round_] for round_ in range(4) for traces in ordered if round_ < len(traces)]
    return list(dict.fromkeys(picked))[:EXPLAINED_PER_STORY]


def test_decided_again_it_is_the_same_and_every_reason_is_the_first_rule_or_gate_that_said_no(
    told_story: tuple[int, JournalReader],
) -> None:
    seed, journal = told_story
    traces = interesting(seed)
    assert len(traces) == EXPLAINED_PER_STORY

    for trace in traces:
        told = explained(seed, journal, trace)

        seen, found = told.recomputed.seen, told.evidence
        assert told.recomputed.difference is None
        assert seen is not None
        failed = [each.rule for each in seen.asked if not each.is_met]
        if isinstance(found.prediction, e.Prediction):
            own = [each.reason for each in found.suppressed]
            opposite = [
                each.reason for each in found.signals if each.reason is e.SignalReason.OPPOSITE
            ]
            assert failed == own + opposite
        assert_judged(told)
        assert_worded(told)


def assert_judged(told: Told) -> None:
    """The last judgement of every signal is the verdict, and its numbers are those told."""
    seen, found = told.recomputed.seen, told.evidence
    assert seen is not None
    judged = [msgspec.to_builtins(each.verdict) for each in seen.judgements]
    for verdict in found.verdicts:
        if isinstance(verdict, e.OrderDenied) and verdict.reason is e.DenyReason.NO_QUOTE:
            continue  # it may be said at the next bar, when no answer came
        assert msgspec.to_builtins(verdict) in judged
    for each in seen.judgements:
        said_no = [reading for reading in each.gates if reading.reason is not None]
        if isinstance(each.verdict, e.OrderDenied) and said_no:
            first = said_no[0]
            assert first.reason is each.verdict.reason
            assert each.verdict.value in {"", first.value}
            assert each.verdict.limit in {"", first.limit}
        if isinstance(each.verdict, e.OrderApproved):
            assert not said_no
            if each.size is not None:
                assert each.size.quantity == each.verdict.quantity
                assert each.size.bound_by is each.verdict.bound_by
            else:
                assert each.verdict.is_exit


def assert_worded(told: Told) -> None:
    found = told.evidence
    text = list(lines(told, COLUMNS))
    assert max(map(len, text)) <= COLUMNS
    page = " ".join(" ".join(text).split())
    for suppressed in found.suppressed:
        assert vocabulary.SUPPRESSED[suppressed.reason] in page
    for verdict in found.verdicts:
        if isinstance(verdict, e.OrderDenied):
            assert vocabulary.DENIED[verdict.reason] in page
    for order, tale in found.orders.items():
        assert order in page
        assert page.count("filled ") >= len(tale.fills)
    told_facts: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts(told)))
    assert told_facts["recomputed"]["identical"] is True
    assert len(told_facts["orders"]) == len(found.orders)
    assert [each for each in told_facts["why"] if " ".join(each.split()) not in page] == []
    if found.bar is not None:
        numbers = told_facts["bar"]["numbers"]
        assert numbers["open_time"] == rfc3339(found.bar.open_ns)
        assert (numbers["open"], numbers["bar"]) == (found.bar.open, rfc3339(found.close_ns))


def events_of(seed: int, *kinds: type[e.Event]) -> Iterator[Any]:
    for step in story(seed):
        for event in step.events:
            if isinstance(event, kinds):
                yield event


def test_a_decision_is_found_by_trace_by_its_beginning_and_by_either_name_of_an_order(
    told_story: tuple[int, JournalReader],
) -> None:
    seed, journal = told_story
    intents = [each for each in events_of(seed, e.OrderIntended) if each.leg is not Leg.STOP]
    accepted = {each.client_order_id: each for each in events_of(seed, e.OrderAccepted)}
    intent = next(each for each in intents if each.client_order_id in accepted)
    venue_id = accepted[intent.client_order_id].venue_order_id

    last = find(journal, "last")
    names = (intent.trace, intent.trace[:12], intent.client_order_id, venue_id)
    found = [find(journal, name) for name in names]

    assert last is not None
    assert last.trace == intents[-1].trace
    assert [each and each.trace for each in found] == [intent.trace] * len(names)
    assert [find(journal, name) for name in ("nothing", "", "0" * 32, '"or"')] == [None] * 4


def test_a_beginning_that_many_traces_have_is_refused_with_some_of_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    event = next(events_of(SEEDS[0], e.SignalSuppressed))
    with write_whole(path) as journal:
        journal.keep([msgspec.structs.replace(event, trace="abcdef" + "0" * 26)])
        journal.keep([msgspec.structs.replace(event, trace="abcdef" + "1" * 26)])

    with pytest.raises(UsageRefused, match=r"2 decisions begin with abcdef: abcdef00.*more digits"):
        find(JournalReader.open(path), "abcdef")


def test_where_nothing_was_decided_last_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with write_whole(path) as journal:
        journal.keep([next(events_of(SEEDS[0], e.RunOpened))])

    with pytest.raises(UsageRefused, match="nothing was decided in this run yet"):
        find(JournalReader.open(path), "last")


def test_a_halt_in_force_and_what_happened_with_the_bar_are_gathered(
    told_story: tuple[int, JournalReader],
) -> None:
    seed, journal = told_story
    halted = next(
        each for each in events_of(seed, e.OrderDenied) if each.reason is e.DenyReason.HALTED
    )

    found: Evidence = evidence(journal, halted.trace)

    assert set(found.halts) >= set(halted.value.split(",")) - {
        each.reason for each in found.happened[DURING] if isinstance(each, e.TradingHalted)
    }


@pytest.mark.parametrize("name", ["halt", "swap"])
def test_a_halt_and_a_swap_are_found_with_the_bar_they_came_with(
    told_story: tuple[int, JournalReader], name: str
) -> None:
    seed, journal = told_story
    came = [each for each in with_newest_bar(seed) if isinstance(each[1], EVENTS[name])]
    if not came:
        with pytest.raises(UsageRefused, match=f"there was no {name} in this run"):
            find(journal, name)
        return

    found = find(journal, name)

    assert found is not None
    assert found.is_of_event
    gathered = evidence(journal, found.trace)
    assert gathered.close_ns == came[-1][0]
    assert came[-1][1] in (*gathered.happened[DURING], *gathered.life[DURING])


def with_newest_bar(seed: int) -> Iterator[tuple[int, e.Event]]:
    close_ns = 0
    for event in events_of(seed, e.Event):
        if isinstance(event, e.BarsClosed):
            close_ns = max(close_ns, *(bar.close_ns for bar in event.bars))
        yield close_ns, event


def test_a_value_is_placed_among_those_of_the_training() -> None:
    class Histogram(msgspec.Struct):
        edges: tuple[float, ...] = (1.0, 2.0)
        shares: tuple[float, ...] = (0.2, 0.5, 0.3)

    histogram: Any = Histogram()

    assert placed(histogram, 1.0) == Placed(below_ratio=0.0, up_to_ratio=0.2)
    assert placed(histogram, 1.5) == Placed(below_ratio=0.2, up_to_ratio=0.7)
    assert "largest 30 %" in str(placed(histogram, 9.0))
    assert placed(None, 1.0) is None


def a_swap(decided_by: str) -> list[list[e.Event]]:
    """Another model takes over with the second bar, which one of the two decided."""
    promotion = a_promotion()
    shadow = challenger_predictions(model="third", rows=(a_prediction(probability_up=0.25),))
    return [
        [a_run_opened()],
        [a_model_activated(model=promotion.replaced)],
        [
            a_bars_closed(),
            promotion,
            promotion.activation,
            feature_rows(),
            predictions(model=decided_by),
            shadow,
            a_suppression(),
        ],
        [a_resolution(model=decided_by), a_resolution(model="third", is_shadow=True)],
    ]


def told_of_a_swap(folder: Path, decided_by: str, *, is_of_event: bool = False) -> Told:
    path = folder / "journal.db"
    with write_whole(path) as journal:
        for step in a_swap(decided_by):
            journal.keep(step)
    return Told(
        run="r", mode="paper", label="", because="asked", client_order_id=None,
        evidence=evidence(JournalReader.open(path), a_suppression().trace),
        recomputed=Recomputed(why_not="no core"), is_of_event=is_of_event,
    )  # fmt: skip


@pytest.mark.parametrize("is_of_event", [True, False])
def test_who_asks_for_a_swap_reads_of_it_first_and_who_asks_for_the_bar_of_the_bar(
    tmp_path: Path, *, is_of_event: bool
) -> None:
    told = told_of_a_swap(tmp_path, a_promotion().model, is_of_event=is_of_event)

    begins = [sentence.startswith("With this bar model") for sentence in summary(told)]

    assert begins.count(True) == 1
    assert begins[0] is is_of_event


@pytest.mark.parametrize("is_new", [True, False])
def test_a_swap_with_the_bar_tells_which_model_decided_it_and_why_it_came(
    tmp_path: Path, *, is_new: bool
) -> None:
    promotion = a_promotion()
    decided_by = promotion.model if is_new else promotion.replaced
    told = told_of_a_swap(tmp_path, decided_by)
    page = " ".join(" ".join(lines(told, COLUMNS)).split())

    assert told.evidence.model is not None
    assert told.evidence.model.model == decided_by
    since = "and decided this bar" if is_new else "from the next bar on"
    taken = f"model {promotion.model} took over from {promotion.replaced}, {since}"
    assert f"With this bar {taken}: {vocabulary.SWAPPED[promotion.reason]} (" in page
    assert promotion.comparison is not None
    assert f"evidence {promotion.comparison.evidence:.3g};" in page
    assert "nothing was decided on it: third said 0.2500 up" in page
    assert "The prediction: right" in page
    assert "the prediction of third, on which nothing was decided: right" in page
    assert "not recomputed: no core" in page
