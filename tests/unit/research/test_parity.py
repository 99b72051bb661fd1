from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.orders import Side
from daemon.research.parity import KINDS, Parity, compare
from tests.unit.core.simulation import Simulation, a_core, a_run

SEED = 3
Journal = list[tuple[int, e.Event]]


@cache
def a_journal() -> Journal:
    """As it is read back from a disk."""
    return [
        (number, e.decode(e.encode(event)))
        for number, step in enumerate(a_run(SEED).steps)
        for event in step.events
    ]


def parity_of(journal: Iterable[tuple[int, e.Event]]) -> Parity:
    return compare(journal, a_core(Simulation(SEED).settings).pipeline)


def with_last(
    kind: type[e.Event], change: Callable[[e.Event], e.Event | None], journal: Journal
) -> Iterator[tuple[int, e.Event]]:
    """The journal with its last event of this kind changed, or left out."""
    last = max(
        place
        for place, (_, event) in enumerate(journal)
        if isinstance(event, kind) and matters(event)
    )
    for place, (number, event) in enumerate(journal):
        changed = change(event) if place == last else event
        if changed is not None:
            yield number, changed


def matters(event: e.Event) -> bool:
    return bool(event.rows) if isinstance(event, e.FeatureRows | e.Predictions) else True


def test_a_run_recomputed_from_its_inputs_is_identical_and_everything_was_compared() -> None:
    journal = a_journal()

    parity = parity_of(journal)

    told = [event for _, event in journal]
    rows = [row for each in told if isinstance(each, e.FeatureRows) for row in each.rows]
    predicted = [row for each in told if isinstance(each, e.Predictions) for row in each.rows]
    assert parity.first_difference is None
    assert parity.empty_kinds() == []
    assert parity.bars == sum(len(each.bars) for each in told if isinstance(each, e.BarsClosed))
    assert parity.compared == {
        "features": sum(len(row.values) for row in rows),
        "probabilities": len(predicted),
        "signals": count(told, e.SignalEmitted, e.SignalSuppressed),
        "sizings": count(told, e.OrderApproved, e.OrderDenied),
        "orders": count(told, e.OrderIntended),
    }
    assert parity.also_compared["health"] == count(told, e.HealthSampled) > 0
    assert parity.also_compared["halts"] == count(told, e.TradingHalted, e.TradingResumed) > 0
    swaps = count(told, e.ModelPromoted, e.ModelRolledBack)
    assert parity.also_compared["swaps"] == swaps


def count(events: list[e.Event], *kinds: type[e.Event]) -> int:
    return sum(isinstance(each, kinds) for each in events)


def one_bit_up(number: float) -> float:
    sign, exponent = number.hex().rsplit("p", 1)
    return float.fromhex(sign[:-1] + ("1" if sign[-1] != "1" else "2") + "p" + exponent)


def a_feature_bit(event: e.Event) -> e.Event:
    assert isinstance(event, e.FeatureRows)
    row = event.rows[-1]
    values = (*row.values[:-1], one_bit_up(row.values[-1]))
    return replace(event, rows=(*event.rows[:-1], replace(row, values=values)))


def a_probability(event: e.Event) -> e.Event:
    assert isinstance(event, e.Predictions)
    row = event.rows[-1]
    changed = replace(row, probability_up=one_bit_up(row.probability_up))
    return replace(event, rows=(*event.rows[:-1], changed))


def a_signal(event: e.Event) -> e.Event:
    assert isinstance(event, e.SignalEmitted)
    return replace(event, direction=e.Direction.SHORT)


def a_suppression(event: e.Event) -> e.Event:
    assert isinstance(event, e.SignalSuppressed)
    return replace(event, reason=e.SuppressReason.NO_MODEL)


def a_sizing(event: e.Event) -> e.Event:
    assert isinstance(event, e.OrderApproved)
    return replace(event, kelly_used_ratio=one_bit_up(event.kelly_used_ratio + 0.1))


def an_order(event: e.Event) -> e.Event:
    assert isinstance(event, e.OrderIntended)
    other = Side.SELL if event.side is Side.BUY else Side.BUY
    return replace(event, side=other)


def an_equity(event: e.Event) -> e.Event:
    assert isinstance(event, e.EquityMarked)
    return replace(event, equity_quote=event.equity_quote.next_plus())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (e.FeatureRows, a_feature_bit),
        (e.Predictions, a_probability),
        (e.SignalEmitted, a_signal),
        (e.SignalSuppressed, a_suppression),
        (e.OrderApproved, a_sizing),
        (e.OrderIntended, an_order),
        (e.EquityMarked, an_equity),
    ],
)
def test_a_planted_difference_of_each_kind_is_found_where_it_was_planted(
    kind: type[e.Event], change: Callable[[e.Event], e.Event]
) -> None:
    journal = a_journal()
    planted = list(with_last(kind, change, journal))
    ((number, was, now),) = [
        (number, was, now)
        for (number, was), (_, now) in zip(journal, planted, strict=True)
        if e.encode(was) != e.encode(now)
    ]

    parity = parity_of(planted)

    assert parity.first_difference == {
        "step": number,
        "what": kind.__name__,
        "recorded": e.encode(now).decode(),
        "recomputed": e.encode(was).decode(),
    }


def test_an_event_that_is_missing_is_found() -> None:
    journal = a_journal()
    number = max(number for number, event in journal if isinstance(event, e.OrderIntended))

    parity = parity_of(with_last(e.OrderIntended, lambda _event: None, journal))

    assert parity.first_difference is not None
    assert parity.first_difference["step"] == number
    assert '"type":"OrderIntended"' in str(parity.first_difference)


def test_an_event_that_should_not_be_there_is_found() -> None:
    journal = a_journal()
    number, last = journal[-1]

    parity = parity_of([*journal, (number, last)])

    assert parity.first_difference is not None
    assert parity.first_difference["recorded only"] == e.encode(last).decode()


def test_a_changed_bar_is_found_in_what_was_made_of_it() -> None:
    """An input is what it is; what differs is what comes of it."""

    def dearer(event: e.Event) -> e.Event:
        assert isinstance(event, e.BarsClosed)
        bars = tuple(replace(bar, close=bar.close + 0.01) for bar in event.bars)
        return replace(event, bars=bars)

    parity = parity_of(with_last(e.BarsClosed, dearer, a_journal()))

    assert parity.first_difference is not None
    assert parity.first_difference["what"] != "BarsClosed"


def test_a_step_that_begins_with_no_input_is_no_step() -> None:
    journal = a_journal()
    facts = [
        (number + 10_000, event) for number, event in journal if not isinstance(event, e.Input)
    ]

    parity = parity_of([*journal, *facts[:1]])

    assert parity.first_difference is not None
    assert "which is not an input" in str(parity.first_difference["what"])


def test_nothing_compared_is_told_kind_by_kind() -> None:
    parity = parity_of([])

    assert parity.first_difference is None
    assert parity.empty_kinds() == list(KINDS)
