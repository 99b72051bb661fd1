from collections import Counter
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.app import Core
from daemon.core import events as e
from daemon.core.pipeline import Step
from tests.unit.core.invariants import Invariants
from tests.unit.core.simulation import Simulation, a_core, a_run

SEEDS = st.integers(0, 2**32 - 1)


def encoded(step: Step) -> list[bytes]:
    return [e.encode(each) for each in step.events]


def again(event: e.Event) -> e.Event:
    """The event as a journal gives it back."""
    return e.decode(e.encode(event))


@settings(max_examples=40)
@given(SEEDS)
@example(70)  # a halt other than a drawdown ends between a fill and its marking
def test_whatever_market_and_venue_do_every_step_keeps_the_rules(seed: int) -> None:
    simulation = Simulation(seed)
    invariants = Invariants(simulation.core, simulation.settings.risk)

    for step in simulation.run():
        invariants.hold(step)

    invariants.at_rest(simulation.venue.executed(), simulation.venue.resting())
    assert len(simulation.steps) > simulation.slots, "every hour brings one at least"


def test_the_stories_reach_what_they_are_meant_to_reach() -> None:
    """A rule that is never put to the test holds of itself."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        for step in a_run(seed).steps:
            for event in step.events:
                seen[type(event).__name__] += 1
                if isinstance(event, e.OrderDenied | e.TradingHalted):
                    seen[event.reason.value] += 1
                elif isinstance(event, e.OrderApproved):
                    seen[event.bound_by.value] += 1
                elif isinstance(event, e.OrderFilled) and event.is_adopted:
                    seen["adopted"] += 1
            seen["looked up"] += sum(isinstance(each, e.LookUpOrder) for each in step.commands)

    expected = {
        *(each.__name__ for each in e.JOURNALED if each not in NOT_OF_A_CORE),
        *("adopted", "looked up", "halted", "unresolved_order", "order_open", "order_rate"),
        *("drawdown", "price_collar", "stale_data", "spot_cannot_short", "not_reconciled"),
        *("volatility", "spread", "thin_book", "loss_streak", "exchange_lost", "exchange_refuses"),
        *("unresolved_orders", "order_rate_day", "day_notional_cap", "correlated_exposure_cap"),
        *("stale_rate", "allocation", "clock_off", "disk_low", "data_distrusted"),
        *("not_tradable", "model_critical", "daily_loss"),
        *(
            each.value
            for each in e.BoundBy
            if each not in {e.BoundBy.FREE_CAPITAL, e.BoundBy.CANARY}
        ),
    }
    assert expected - set(seen) == set()


NOT_OF_A_CORE = {
    *(e.BarRevised, e.KeyChecked, e.RunClosed, e.JournalThinned, e.FeesDrifted),
    *(e.PromotionProposed, e.WatchEnded, e.ModelUnfit),  # shown in tests/replay/test_promotion
    *(e.CanaryBegun, e.CanaryStepped),  # only a live run on a real exchange begins one
    e.RulesChanged,
}


@settings(max_examples=25)
@given(SEEDS, SEEDS)
def test_a_core_that_recovers_anywhere_goes_on_as_if_nothing_had_been(
    seed: int, cut_seed: int
) -> None:
    steps = a_run(seed).steps
    cut = Random(cut_seed).randint(1, len(steps))
    fresh = a_core(Simulation(seed).settings)

    fresh.pipeline.recover(again(each) for step in steps[:cut] for each in step.events)

    for step in steps[cut:]:
        continued = fresh.pipeline.step(again(step.events[0]))
        assert encoded(continued) == encoded(step)
        assert continued.commands == step.commands


@settings(max_examples=5)
@given(SEEDS)
def test_recovering_twice_gives_the_same_core_twice(seed: int) -> None:
    """Nothing is added, and nothing is remembered by the act of recovering."""
    simulation = a_run(seed)
    journal = [each for step in simulation.steps for each in step.events]
    tick = e.HealthTick(ts_ns=journal[-1].ts_ns + 1)
    cores = [a_core(simulation.settings) for _ in range(2)]

    for core in cores:
        core.pipeline.recover(map(again, journal))

    # Each is asked before any of them steps on.
    states = [state_of(core) for core in (simulation.core, *cores)]
    assert states[0] == states[1] == states[2]
    told = [encoded(core.pipeline.step(tick)) for core in (simulation.core, *cores)]
    assert told[0] == told[1] == told[2]


def state_of(core: Core) -> tuple[object, ...]:
    book = core.book
    positions = {
        each: (position.quantity, position.dust) for each, position in book.positions.items()
    }
    orders = {each: order.state for each, order in core.blotter.orders.items()}
    halts = core.risk.halted
    money = book.cash, book.others, book.peak, book.fees, book.allotted
    return money, tuple(book.returns), positions, orders, halts


def test_a_story_is_the_same_every_time_it_is_told() -> None:
    first, second = a_run(7), a_run(7)

    assert [encoded(each) for each in first.steps] == [encoded(each) for each in second.steps]
    assert len(first.steps) > 100
