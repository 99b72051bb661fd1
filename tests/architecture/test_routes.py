import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.applying import appliers
from daemon.core.pipeline import Pipeline, Route, on
from daemon.routes import routes
from tests.builders import a_bars_missed, a_health_tick
from tests.unit.core.simulation import a_core, a_run, settings_of

# Said for people and for the record; nothing in the core waits for them.
TERMINAL = {
    *(e.RunClosed, e.SignalSuppressed, e.JournalThinned, e.KeyChecked),
}
# A model comes into use from outside at a start, and by a promotion in the middle of a step.
BOTH_WAYS = {e.ModelActivated}
SEEDS = (*range(30), 40)  # in the last one a swap is taken away
# A run that begins has nothing pending yet; tests/unit/layers shows what becomes of it otherwise.
# A feed is seldom stale while a bar waits for it; tests/unit/layers shows that too.
# What working orders do in rare moments is shown one by one in tests/unit/layers/test_working.
SELDOM = {
    ("FeedStale", e.FeatureRows),
    *(("OrdersTicked", each) for each in (e.AskQuotes, e.OrderIntended, e.SubmitOrder)),
    *(("OrderRefused", each) for each in (e.OrderIntended, e.SubmitOrder, e.AskQuotes)),
    ("OrderAbsent", e.AskQuotes),
    *(("OrderNotSent", each) for each in (e.OrderIntended, e.SubmitOrder, e.AskQuotes)),
    *(("OrderAbsent", each) for each in (e.OrderIntended, e.SubmitOrder)),
    *(("TradingHalted", each) for each in (e.CancelOrder, e.OrderCancelRequested, e.ParentEnded)),
    ("EquityMarked", e.TradingHalted),
    ("OrderApproved", e.ParentEnded),
    ("PolicyActed", e.ParentEnded),  # shown in tests/unit/layers/test_protection
    *(
        (cause, each)
        for cause in ("OrdersTicked", "PolicyActed", "FlattenRequested", "StopRequested")
        for each in (e.CancelOrder, e.OrderCancelRequested)
    ),
    *(("ParentEnded", each) for each in (e.CancelOrder, e.OrderCancelRequested)),
    *(("BarsClosed", e.AskQuotes), ("OrderCompleted", e.DustSetAside)),
    ("OrderDenied", e.DustSetAside),
    *((each, e.ProtectionFailed) for each in ("OrderNotSent", "OrderAbsent")),
    # Of an entry whose stop was refused: shown in tests/unit/layers/test_protection.
    *(
        ("ProtectionFailed", each)
        for each in (e.CancelOrder, e.OrderCancelRequested, e.ParentEnded)
    ),
    *((each, e.ParentEnded) for each in ("BarsClosed", "OrdersTicked", "QuotesTaken")),
    # Of flattening: shown in tests/unit/layers/test_flattening.
    *((each, e.SignalEmitted) for each in ("BarsClosed", "OrdersTicked")),
    ("StopRequested", e.ParentEnded),
    # Stories are not armed: tests/unit/layers/test_canary.
    ("BarsClosed", e.CanaryStepped),
    # The stories are too short for a rule that asks for evidence: tests/replay/test_promotion.
    *(
        (cause, each)
        for cause in ("BarsClosed", "ModelsCompared")
        for each in (
            *(e.PromotionProposed, e.ModelPromoted, e.ModelRolledBack, e.ChallengerDropped),
            e.WatchEnded,
        )
    ),
    *(("RollbackRequested", e.ModelRolledBack), ("ModelRolledBack", e.ModelActivated)),
}
# What is adopted is shown in tests/unit/running/test_adoption, whole in tests/e2e/test_lost_state.
NOT_REACHED = {
    ("HistoryLoaded", e.PredictionResolved),
    ("FeaturesChecked", e.TradingHalted),  # shown in tests/unit/layers/test_risk
    ("OrderFilled", e.FeesDrifted),  # shown in tests/unit/core/test_costs
    *(("BooksAdopted", each) for each in (e.OrderIntended, e.OrderCancelRequested, e.CancelOrder)),
    # Of files that are gone: shown in tests/replay/test_promotion.
    *(("ModelUnfit", each) for each in (e.ChallengerDropped, e.WatchEnded)),
    ("ModelPromoted", e.TradingResumed),  # shown in tests/unit/layers/test_risk
    # Beside orders that nobody intended: shown in tests/unit/layers/test_working.
    *(("Reconciled", each) for each in (e.OrderCancelRequested, e.CancelOrder, e.ParentEnded)),
}


def the_routes() -> list[Route]:
    return routes(a_core(settings_of(Random(0))))


def concrete(base: type[e.Event]) -> set[type[e.Event]]:
    return set(base.__subclasses__())


def deciding() -> dict[type[e.Event], set[type[e.Event]]]:
    caused: dict[type[e.Event], set[type[e.Event]]] = defaultdict(set)
    for route in the_routes():
        caused[route.event_type] |= set(route.emits)
    return caused


# --- the table ----------------------------------------------------------------------------------


def test_every_event_of_a_journal_has_a_consumer_or_is_listed_as_terminal() -> None:
    waited_for = {route.event_type for route in the_routes()}

    assert set(e.JOURNALED) - waited_for == TERMINAL


def test_every_fact_has_a_producer_and_no_input_has_one() -> None:
    produced = {each for route in the_routes() for each in route.emits}

    assert concrete(e.Fact) <= produced
    assert concrete(e.Input) & produced == BOTH_WAYS


def test_every_command_has_a_producer_and_no_row_waits_for_one() -> None:
    produced = {each for route in the_routes() for each in route.emits}

    assert concrete(e.Command) <= produced
    assert not concrete(e.Command) & {route.event_type for route in the_routes()}


def test_a_journal_holds_every_input_and_every_fact_and_no_command() -> None:
    assert set(e.JOURNALED) == concrete(e.Input) | concrete(e.Fact)
    assert set(e.JOURNALED) >= e.DURABLE


def test_no_event_can_cause_itself_so_that_every_step_ends() -> None:
    caused = deciding()
    for start in list(caused):
        reached, fresh = set[type[e.Event]](), {start}
        while fresh:
            fresh = {each for known in fresh for each in caused[known]} - reached
            reached |= fresh

        assert start not in reached, f"{start.__name__} can cause itself"


def test_what_a_step_sends_can_only_come_after_what_it_must_have_written() -> None:
    """Orders and cancels leave from rows that write them down first, and from no other."""
    for command, fact in (
        (e.SubmitOrder, e.OrderIntended),
        (e.CancelOrder, e.OrderCancelRequested),
    ):
        senders = [route.emits for route in the_routes() if command in route.emits]

        assert senders
        assert all(each.index(fact) == each.index(command) - 1 for each in senders)
        assert fact in e.DURABLE


def test_handlers_are_named_after_what_they_do_with_which_event() -> None:
    for route in the_routes():
        verb = "on" if route.decides else "apply"
        event = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", route.event_type.__name__).lower()

        assert route.handler.__name__ == f"{verb}_{event}"


@pytest.mark.parametrize("owner", ["book", "blotter", "flows"])
def test_who_rebuilds_an_object_from_a_journal_finds_the_folds_of_its_rows(owner: str) -> None:
    core = a_core(settings_of(Random(0)))
    held = getattr(core, owner)
    rows = {
        (route.event_type, route.handler)
        for route in routes(core)
        if getattr(route.handler, "__self__", None) is held and not route.decides
    }

    assert {(kind, fold) for kind, folds in appliers(held).items() for fold in folds} == rows
    assert rows


@pytest.mark.parametrize("trouble", [e.FeedStale, e.ClockChecked, e.ExchangeLost])
def test_who_remembers_what_only_a_process_can_know_hears_of_the_next_start(
    trouble: type[e.Event],
) -> None:
    """Streams and measurements are new then, and nobody tells of the end of what was before."""

    def owners(kind: type[e.Event]) -> set[type[object]]:
        of_kind = [each for each in rows if each.event_type is kind and not each.decides]
        return {type(getattr(each.handler, "__self__", None)) for each in of_kind}

    rows = the_routes()

    assert owners(trouble)
    assert owners(trouble) <= owners(e.Started)


def test_rows_that_apply_emit_nothing() -> None:
    assert all(route.decides or route.emits == () for route in the_routes())


# --- the same, at run time ----------------------------------------------------------------------


class Watch:
    """Stands around every deciding row and notes what it really emits."""

    def __init__(self) -> None:
        self.emitted = set[tuple[str, type[e.Event]]]()
        self.declared = set[tuple[str, type[e.Event]]]()

    def __call__(self, table: Sequence[Route]) -> list[Route]:
        return [self._watched(route) if route.decides else route for route in table]

    def _watched(self, route: Route) -> Route:
        name = route.event_type.__name__
        self.declared |= {(name, kind) for kind in route.emits}

        def handler(event: Any) -> Iterable[e.Event]:
            caused = list(route.handler(event) or ())
            unexpected = {type(each) for each in caused} - set(route.emits)
            assert not unexpected, f"{name} is not said to cause {unexpected}"
            self.emitted |= {(name, type(each)) for each in caused}
            return caused

        return on(route.event_type, handler, *route.emits)


def test_over_whole_stories_every_row_emits_what_it_declares_and_nothing_else() -> None:
    watch = Watch()

    for seed in SEEDS:
        a_run(seed, wrap=watch)

    assert watch.declared - watch.emitted - SELDOM == NOT_REACHED


def test_a_planted_undeclared_event_is_seen() -> None:
    watch = Watch()
    pipeline = Pipeline(
        watch([on(e.HealthTick, lambda _event: iter([a_bars_missed()]), e.HealthSampled)])
    )

    with pytest.raises(AssertionError, match=r"HealthTick is not said to cause .*BarsMissed"):
        pipeline.step(a_health_tick())
