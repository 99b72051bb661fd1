"""Where a replay parts from its journal: the bar, the event, the field, both values."""

from __future__ import annotations

from functools import cache

from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.timeframes import rfc3339
from daemon.research.parity import Difference, compare
from daemon.research.replaying import MISSING, named
from tests.unit.core.simulation import Simulation, a_core, a_run

SEED = 8
TIMEFRAME = "1h"


@cache
def journal() -> list[tuple[int, e.Event]]:
    return [
        (number, event) for number, step in enumerate(a_run(SEED).steps) for event in step.events
    ]


def test_a_changed_threshold_is_found_at_the_first_bar_that_it_decides_otherwise() -> None:
    settings = Simulation(SEED).settings
    threshold = settings.signal.confidence_min_ratio + 0.4
    changed = settings.model_copy(
        update={
            "signal": settings.signal.model_copy(update={"confidence_min_ratio": threshold}),
        }
    )
    # What came behind the question of confidence, and would not have got there; and its own no,
    # which names its limit.
    later = (
        e.SuppressReason.LOW_CONFIDENCE,
        *(e.SuppressReason.BELOW_COST, e.SuppressReason.SHORT_NOT_ALLOWED),
        *(e.SuppressReason.TOO_SOON, e.SignalReason.MODEL, e.SignalReason.EXTENDED),
        e.SignalReason.OPPOSITE,
    )
    first = next(
        event
        for _, event in journal()
        if isinstance(event, e.SignalSuppressed | e.SignalEmitted)
        and event.reason in later
        and event.confidence is not None
        and event.confidence < threshold
    )

    parity = compare(journal(), a_core(changed).pipeline)

    assert parity.difference is not None
    row = named(parity.difference, TIMEFRAME)
    assert (row["bar"], row["trace"]) == (rfc3339(first.close_ns), first.trace)
    assert (row["symbol"], row["event"]) == (first.instrument.symbol, type(first).__name__)
    told = (row["field"], row["recorded"], row["recomputed"])
    if isinstance(first, e.SignalEmitted):
        assert told == ("type", "SignalEmitted", "SignalSuppressed")
    elif first.reason is e.SuppressReason.LOW_CONFIDENCE:
        assert told == ("limit", first.limit, threshold)
    else:
        assert told == ("reason", first.reason, e.SuppressReason.LOW_CONFIDENCE)


def test_a_number_within_a_row_is_named_with_its_place_and_its_own_bar() -> None:
    event = next(
        event for _, event in journal() if isinstance(event, e.FeatureRows) and len(event.rows) > 1
    )
    row = event.rows[1]
    other = replace(row, values=(*row.values[:-1], row.values[-1] + 1.0))
    changed = replace(event, rows=(event.rows[0], other, *event.rows[2:]))

    told = named(Difference(step=7, recorded=event, recomputed=changed), TIMEFRAME)

    assert told["field"] == f"rows[1].values[{len(row.values) - 1}]"
    assert (told["recorded"], told["recomputed"]) == (row.values[-1], other.values[-1])
    assert (told["symbol"], told["trace"]) == (row.instrument.symbol, row.trace)
    assert told["step"] == 7


def test_an_event_that_only_one_side_has_is_told_whole_at_the_newest_bar() -> None:
    event = next(event for _, event in journal() if isinstance(event, e.EquityMarked))

    difference = Difference(step=7, recorded=None, recomputed=event, bar_ns=event.ts_ns)
    told = named(difference, TIMEFRAME)

    assert (told["event"], told["recorded"]) == ("EquityMarked", MISSING)
    assert told["bar"] == rfc3339(event.ts_ns)
    assert told["symbol"] is None
