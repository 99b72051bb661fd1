"""Makes the registry follow the journal: who is active, in shadow or refused, and a line for each.

Belongs here: what a committed event about models changes on the disk, and mending that after a
crash. What may be decided belongs to layer 7, files and states belong to the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from daemon.core import events as e
from daemon.core.errors import ModelRefused
from daemon.core.timeframes import rfc3339
from daemon.layers.monitoring.challenger import BY_RULE
from daemon.layers.monitoring.pairing import sentence
from daemon.store.model_audit import Change, changes, note
from daemon.store.models import ModelState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.core.clock import WireClock
    from daemon.store.models import ModelRegistry
    from daemon.store.runs import RunPaths

Followed = (
    e.ChallengerOpened
    | e.ChallengerDropped
    | e.PromotionProposed
    | e.ModelPromoted
    | e.ModelRolledBack
    | e.WatchEnded
)
FOLLOWED: dict[type[e.Event], str] = {
    e.ChallengerOpened: "challenge",
    e.ChallengerDropped: "drop",
    e.PromotionProposed: "propose",
    e.ModelPromoted: "promote",
    e.ModelRolledBack: "rollback",
    e.WatchEnded: "settle",
}
# A candidate that was not even judged stays one.
UNJUDGED = frozenset({e.DropReason.BUSY, e.DropReason.IN_USE})


class Kept(Protocol):
    """A journal, whoever reads it."""

    def read_kinds(self, *kinds: type[e.Event]) -> Iterator[tuple[int, e.Event]]: ...


class Models(Protocol):
    """Whoever holds models that may be let go."""

    def forget_model(self, model_id: str) -> None: ...


class Say(Protocol):
    """Whoever writes the log."""

    def emit(self, event: str, **fields: object) -> None: ...


class Following:
    """Hears of committed steps; what fails is said, and made up for at the next start."""

    def __init__(
        self,
        registry: ModelRegistry,
        paths: RunPaths,
        models: Models,
        say: Say,
        wire: WireClock,
    ) -> None:
        self._registry = registry
        self._root = paths.models
        self._run = paths.run
        self._models = models
        self._say = say
        self._wire = wire

    def note(self, events: Sequence[e.Event]) -> None:
        """Hear of a committed step."""
        for event in events:
            if isinstance(event, Followed):
                self._follow(event, is_newest=True)

    def mend(self, journal: Kept) -> int:
        """Do what a crash left undone; returns how much that was.

        Where somebody else has changed the registry since, it stays as it is, and only the line is
        made up for.
        """
        try:
            told = changes(self._root)
        except OSError as error:
            self._failed(f"{self._root}: {error}")
            return 0
        known = {(each.what, each.model, each.at) for each in told if each.run == self._run}
        is_newest = not told or not known or told[-1].run == self._run
        count = 0
        for _, event in journal.read_kinds(*FOLLOWED):
            assert isinstance(event, Followed)
            change = self._change(event)
            if change is not None and (change.what, change.model, change.at) not in known:
                self._follow(event, is_newest=is_newest)
                count += 1
        return count

    def _follow(self, event: Followed, *, is_newest: bool) -> None:
        """The registry first: a line says that all of it is done."""
        change = self._change(event)
        if change is None:
            return
        try:
            if is_newest:
                self._place(event)
            note(self._root, change)
        except (OSError, ModelRefused) as error:
            self._failed(f"{change.what} {change.model}: {error}")
        if isinstance(event, e.ChallengerDropped | e.WatchEnded):
            self._models.forget_model(event.model)

    def _failed(self, error: str) -> None:
        self._say.emit("registry.failed", error=error)

    def _place(self, event: Followed) -> None:
        registry = self._registry
        if isinstance(event, e.ChallengerOpened):
            registry.mark(event.model, ModelState.SHADOW)
        elif isinstance(event, e.ChallengerDropped):
            registry.mark(event.model, ModelState.DROPPED)
        elif isinstance(event, e.ModelPromoted):
            registry.activate(event.model)
        elif isinstance(event, e.ModelRolledBack):
            registry.activate(event.model)
            by_hand = event.reason is e.PromotionReason.OPERATOR
            if event.replaced:
                state = ModelState.CANDIDATE if by_hand else ModelState.DROPPED
                registry.mark(event.replaced, state)

    def _change(self, event: Followed) -> Change | None:
        if isinstance(event, e.ChallengerDropped) and event.reason in UNJUDGED:
            return None
        swap = event if isinstance(event, e.ModelPromoted | e.ModelRolledBack) else None
        return Change(
            ts=rfc3339(self._wire.now_ns()),
            what=FOLLOWED[type(event)],
            model=event.model,
            replaced=(swap.replaced or None) if swap else None,
            who=swap.who if swap else BY_RULE,
            reason=_reason(event),
            run=self._run,
            at=rfc3339(event.ts_ns),
        )


def _reason(event: Followed) -> str:
    if isinstance(event, e.ChallengerOpened):
        return f"beside {event.champion}"
    said = "no way back" if isinstance(event, e.WatchEnded) else str(event.reason)
    if isinstance(event, e.ModelPromoted | e.ModelRolledBack):
        said = event.detail or said
    return said if event.comparison is None else f"{said}; {sentence(event.comparison)}"
