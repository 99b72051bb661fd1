"""One event in, a finished step out: runs the route table over an event and everything it causes.

Belongs here: the order in which handlers see events. What handlers decide belongs to the layers.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Any, TypeVar

from msgspec import Struct

from daemon.core.events import Command, Event

EVENTS_PER_STEP_MAX = 100_000
# Libraries change the rounding of the whole thread (ccxt sets ROUND_HALF_UP): a decision that took
# it from
# there would differ from its own replay in the last digit.
ARITHMETIC = Context(
    prec=50, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation, Overflow]
)

E = TypeVar("E", bound=Event)


class Route(Struct, frozen=True):
    """One row of the table: who sees events of this type, decides or applies, and emits what."""

    event_type: type[Event]
    handler: Callable[[Any], Iterable[Event] | None]
    emits: tuple[type[Event], ...]
    decides: bool


def on(event_type: type[E], handler: Callable[[E], Iterable[Event]], *emits: type[Event]) -> Route:
    """A deciding row: reads state, returns new events, changes nothing that recovery needs."""
    return Route(event_type, handler, emits, decides=True)


def apply(event_type: type[E], handler: Callable[[E], None]) -> Route:
    """An applying row: changes durable state; recovery runs these rows and no others."""
    return Route(event_type, handler, (), decides=False)


class Step(Struct, frozen=True):
    """What one input caused, in order: `events` (the input first) to journal, `commands` to do."""

    events: tuple[Event, ...]
    commands: tuple[Command, ...]


class Pipeline:
    """Runs steps over a fixed route table; synchronous, no clock, no I/O."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._applying: dict[type[Event], list[Route]] = {}
        self._deciding: dict[type[Event], list[Route]] = {}
        for route in routes:
            table = self._deciding if route.decides else self._applying
            table.setdefault(route.event_type, []).append(route)

    def wrapped(self, wrap: Callable[[Route], Route]) -> "Pipeline":
        """The same table with every row as `wrap` gives it back."""
        return Pipeline([wrap(route) for route in self._routes])

    def step(self, event: Event) -> Step:
        """Run `event` and all it causes to completion.

        Every event is applied before anyone decides on it, and what it causes runs to its end
        before the next one that waits: of two signals, the second meets the first one's order.
        """
        with localcontext(ARITHMETIC):
            return self._run(event)

    def _run(self, event: Event) -> Step:
        waiting: deque[Event] = deque((event,))
        events: list[Event] = []
        commands: list[Command] = []
        while waiting:
            current = waiting.popleft()
            assert len(events) < EVENTS_PER_STEP_MAX, (
                f"{type(event).__name__} causes events without end"
            )
            if isinstance(current, Command):
                commands.append(current)
                continue
            events.append(current)
            kind = type(current)
            for route in self._applying.get(kind, ()):
                route.handler(current)
            caused: list[Event] = []
            for route in self._deciding.get(kind, ()):
                caused.extend(route.handler(current) or ())
            waiting.extendleft(reversed(caused))
        return Step(tuple(events), tuple(commands))

    def recover(self, events: Iterable[Event]) -> int:
        """Feed journaled events to the applying rows only; returns how many there were."""
        count = 0
        with localcontext(ARITHMETIC):
            for count, event in enumerate(events, 1):  # noqa: B007  # the last value is the result
                for route in self._applying.get(type(event), ()):
                    route.handler(event)
        return count
