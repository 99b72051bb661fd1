"""Recomputes every decision of a run from its recorded inputs and compares it with what was said.

Belongs here: the comparison. The core that recomputes is handed in, so that research needs no edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.events import Event, Input, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.core.pipeline import Pipeline

# What is counted under which name; facts of other kinds are compared as well, without a count.
COUNTED: dict[type[Event], str] = {
    e.SignalEmitted: "signals",
    e.SignalSuppressed: "signals",
    e.OrderApproved: "sizings",
    e.OrderDenied: "sizings",
    e.OrderIntended: "orders",
}
FIRST_STEP = 1
KINDS = ("features", "probabilities", "signals", "sizings", "orders")


class Parity(Struct):
    """The result; `first_difference` is None when everything is the same, bit for bit."""

    bars: int = 0
    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    first_difference: dict[str, object] | None = None
    recovered_steps: int = 0  # thinned long ago: their inputs are not there to recompute them from

    def empty_kinds(self) -> list[str]:
        return [kind for kind, count in self.compared.items() if not count]


def compare(journal: Iterable[tuple[int, Event]], pipeline: Pipeline) -> Parity:
    """Feed the journal's inputs to a fresh core, step by step, and compare what it decides."""
    parity = Parity()
    for number, recorded in _steps(journal):
        first = recorded[0]
        if number == FIRST_STEP and isinstance(first, e.JournalThinned):
            parity.recovered_steps = first.through_step
        if number <= parity.recovered_steps:
            pipeline.recover(recorded)
            continue
        if not isinstance(first, Input):
            difference = f"step {number} begins with {type(first).__name__}, which is not an input"
            parity.first_difference = {"step": number, "what": difference}
            return parity
        if isinstance(first, e.BarsClosed):
            parity.bars += len(first.bars)
        computed = pipeline.step(first).events
        difference_here = _first_difference(number, recorded, computed)
        if difference_here is not None:
            parity.first_difference = difference_here
            return parity
        for event in computed:
            _count(parity.compared, event)
    return parity


def _steps(journal: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, list[Event]]]:
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


def _first_difference(
    number: int, recorded: list[Event], computed: tuple[Event, ...]
) -> dict[str, object] | None:
    # JSON text holds every float exactly, so equal text is equal to the last bit.
    for was, now in zip(recorded, computed, strict=False):
        if encode(was) != encode(now):
            return {
                "step": number,
                "what": type(was).__name__,
                "recorded": encode(was).decode(),
                "recomputed": encode(now).decode(),
            }
    if len(recorded) != len(computed):
        longer = recorded if len(recorded) > len(computed) else list(computed)
        extra = longer[min(len(recorded), len(computed))]
        side = "recorded only" if longer is recorded else "recomputed only"
        return {"step": number, "what": type(extra).__name__, side: encode(extra).decode()}
    return None


def _count(compared: dict[str, int], event: Event) -> None:
    if isinstance(event, e.FeatureRows):
        compared["features"] += sum(len(row.values) for row in event.rows)
    elif isinstance(event, e.Predictions):
        compared["probabilities"] += len(event.rows)
    elif name := COUNTED.get(type(event)):
        compared[name] += 1
