"""How long things take: turns handlers and steps into times, of which the slow ones can be named.

Belongs here: taking times and what is said of them. What is too slow belongs to `process.health`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from daemon.core.clock import monotonic_ns
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.core.events import Event
    from daemon.core.pipeline import Pipeline, Route

NEWEST = 256  # times that are kept of each thing
FRESH_MAX = 4_096  # between two times that it is asked for; more are not counted
SLOWEST = 8  # handlers and inputs that are told of


class Told(Struct, frozen=True):
    """Times of one thing: percentiles of its newest calls, the longest ever, and how many."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    calls: int


class Summary(Struct, frozen=True, kw_only=True):
    """Where time goes; handlers and inputs are the slowest ones, slowest first."""

    step: Told
    think: Told
    commit: Told
    inputs: dict[str, Told]
    handlers: dict[str, Told]


class Times:
    """The newest times of one thing, and the longest one ever.

    Taking one costs an append; what they come to is reckoned when they are asked for.
    """

    __slots__ = ("_count", "_fresh_ns", "_newest_ns", "_worst_ns", "note")

    def __init__(self) -> None:
        self._fresh_ns: deque[int] = deque(maxlen=FRESH_MAX)
        self._newest_ns: deque[int] = deque(maxlen=NEWEST)
        self._worst_ns = 0
        self._count = 0
        self.note: Callable[[int], None] = self._fresh_ns.append

    def told(self) -> Told:
        fresh = list(self._fresh_ns)
        self._fresh_ns.clear()
        self._count += len(fresh)
        self._worst_ns = max(self._worst_ns, *fresh, 0)
        self._newest_ns.extend(fresh)
        ordered = sorted(self._newest_ns)
        return Told(
            p50_ms=_milliseconds(percentile(ordered, 0.50)),
            p99_ms=_milliseconds(percentile(ordered, 0.99)),
            max_ms=_milliseconds(self._worst_ns),
            calls=self._count,
        )


class StageTimes:
    """Times of every handler of a pipeline and of the parts of each step."""

    def __init__(self, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self._now_ns = now_ns
        self._handlers: dict[str, Times] = {}
        self._inputs: dict[str, Times] = {}
        self._thinking, self._committing, self._steps = Times(), Times(), Times()
        self._began_ns = self._thought_ns = 0
        self.doing = ""  # which part of which step, while there is one

    def timed(self, pipeline: Pipeline) -> Pipeline:
        """The same pipeline, every handler of which is timed here."""
        return pipeline.wrapped(self._timed)

    def _timed(self, route: Route) -> Route:
        handler, now_ns = route.handler, self._now_ns
        name = getattr(handler, "__qualname__", type(handler).__name__)
        note = self._handlers.setdefault(name, Times()).note

        def decide(event: Event) -> Iterable[Event]:
            began_ns = now_ns()
            caused = tuple(handler(event) or ())  # most are generators: the work is in the taking
            note(now_ns() - began_ns)
            return caused

        def apply(event: Event) -> None:
            began_ns = now_ns()
            handler(event)
            note(now_ns() - began_ns)

        return replace(route, handler=decide if route.decides else apply)

    # --- steps ----------------------------------------------------------------------------------

    def begin(self, event: Event) -> None:
        self.doing = f"thinking about {type(event).__name__}"
        self._began_ns = self._now_ns()

    def thought(self, event: Event) -> None:
        self._thought_ns = self._now_ns()
        self._thinking.note(self._thought_ns - self._began_ns)
        self.doing = f"writing {type(event).__name__} into the journal"

    def committed(self, event: Event) -> None:
        self._committing.note(self._now_ns() - self._thought_ns)
        self.doing = f"telling of {type(event).__name__}"

    def end(self, event: Event) -> None:
        took_ns = self._now_ns() - self._began_ns
        self._steps.note(took_ns)
        self._inputs.setdefault(type(event).__name__, Times()).note(took_ns)
        self.doing = ""

    # --- told -----------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """For people: the slowest handlers and inputs, and the parts of a step."""
        handlers, inputs = _slowest(self._handlers), _slowest(self._inputs)
        return Summary(
            step=self._steps.told(),
            think=self._thinking.told(),
            commit=self._committing.told(),
            inputs=inputs,
            handlers=handlers,
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that so large a share of the ordered ones lies below; 0 of none."""
    return ordered[int(len(ordered) * share)] if ordered else 0.0


def _milliseconds(took_ns: float) -> float:
    return round(took_ns / NS_PER_MS, 3)


def _slowest(times: dict[str, Times]) -> dict[str, Told]:
    told = [(name, each.told()) for name, each in times.items()]
    called = [named for named in told if named[1].calls]
    return dict(sorted(called, key=lambda named: -named[1].p99_ms)[:SLOWEST])
