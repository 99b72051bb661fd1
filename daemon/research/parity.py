"""Recomputes every decision of a run from its recorded inputs and compares it with what was said.

Belongs here: the comparison. The core that recomputes is handed in, so that research needs no edge.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.events import Event, Input, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.core.pipeline import Pipeline

# What is counted under which name; facts of other kinds are compared as well, without a count.
COUNTED: dict[type[Event], str] = {
    e.SignalEmitted: "signals",
    e.SignalSuppressed: "signals",
    e.OrderApproved: "sizings",
    e.OrderDenied: "sizings",
    e.OrderIntended: "orders",
}
# The life of models and halts: counted too, but no run has to have any of it.
ALSO_COUNTED: dict[type[Event], str] = {
    e.HealthSampled: "health",
    e.TradingHalted: "halts",
    e.TradingResumed: "halts",
    e.RetrainingOpened: "retrainings",
    e.ModelsCompared: "comparisons",
    e.ChallengerDropped: "drops",
    e.ModelPromoted: "swaps",
    e.ModelRolledBack: "swaps",
}
FIRST_STEP = 1
KINDS = ("features", "probabilities", "signals", "sizings", "orders")


class Difference(Struct, frozen=True, kw_only=True):
    """Where a journal and what is computed from it part: None on the side that has no such event.

    `bar_ns` is the close of the newest bar by then, `version` the code that recorded it.
    """

    step: int
    recorded: Event | None
    recomputed: Event | None
    bar_ns: int | None = None
    version: str = ""


class Parity(Struct):
    """The result; `first_difference` is None when everything is the same, bit for bit."""

    bars: int = 0
    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    also_compared: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(ALSO_COUNTED.values(), 0)
    )
    first_difference: dict[str, object] | None = None
    difference: Difference | None = None  # the same as events, where they are events
    steps: int = 0  # that were recomputed
    versions: list[str] = field(default_factory=list)  # of the code that recorded them, in order
    recovered_steps: int = 0  # thinned long ago: their inputs are not there to recompute them from

    def empty_kinds(self) -> list[str]:
        return [kind for kind, count in self.compared.items() if not count]


def compare(journal: Iterable[tuple[int, Event]], pipeline: Pipeline) -> Parity:
    """Feed the journal's inputs to a fresh core, step by step, and compare what it decides."""
    parity = Parity()
    bar_ns: int | None = None
    for number, recorded in steps_of(journal):
        first = recorded[0]
        if number == FIRST_STEP and isinstance(first, e.JournalThinned):
            parity.recovered_steps = first.through_step
        if number <= parity.recovered_steps:
            pipeline.recover(recorded)
            continue
        if not isinstance(first, Input):
            what = f"step {number} begins with {type(first).__name__}, which is not an input"
            parity.first_difference = {"step": number, "what": what}
            return parity
        if isinstance(first, e.BarsClosed):
            parity.bars += len(first.bars)
            bar_ns = max((bar.close_ns for bar in first.bars), default=bar_ns)
        elif isinstance(first, e.Started) and first.version not in parity.versions[-1:]:
            parity.versions.append(first.version)
        computed = pipeline.step(first).events
        parity.steps += 1
        difference = first_difference(number, recorded, computed)
        if difference is not None:
            version = parity.versions[-1] if parity.versions else ""
            parity.difference = replace(difference, bar_ns=bar_ns, version=version)
            parity.first_difference = _told(difference)
            return parity
        for event in computed:
            _count(parity, event)
    return parity


def steps_of(journal: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, list[Event]]]:
    """Whole steps with their numbers, the input first."""
    number = -1
    events: list[Event] = []
    for step, event in journal:
        if step != number and events:
            yield number, events
            events = []
        number = step
        events.append(event)
    if events:
        yield number, events


def first_difference(
    number: int, recorded: Sequence[Event], computed: Sequence[Event]
) -> Difference | None:
    """The first event of a step that is not the same on both sides, to the last bit."""
    # JSON text holds every float exactly, so equal text is equal to the last bit.
    for was, now in zip_longest(recorded, computed):
        if was is None or now is None or encode(was) != encode(now):
            return Difference(step=number, recorded=was, recomputed=now)
    return None


def _told(difference: Difference) -> dict[str, object]:
    was, now = difference.recorded, difference.recomputed
    if was is not None and now is not None:
        return {
            "step": difference.step,
            "what": type(was).__name__,
            "recorded": encode(was).decode(),
            "recomputed": encode(now).decode(),
        }
    extra, side = (now, "recomputed only") if was is None else (was, "recorded only")
    assert extra is not None, "a difference has two sides, or one"
    return {"step": difference.step, "what": type(extra).__name__, side: encode(extra).decode()}


def _count(parity: Parity, event: Event) -> None:
    compared = parity.compared
    if isinstance(event, e.FeatureRows):
        compared["features"] += sum(len(row.values) for row in event.rows)
    elif isinstance(event, e.Predictions):
        compared["probabilities"] += len(event.rows)
    elif name := COUNTED.get(type(event)):
        compared[name] += 1
    elif name := ALSO_COUNTED.get(type(event)):
        parity.also_compared[name] += 1
