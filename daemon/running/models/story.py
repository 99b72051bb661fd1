"""What a journal tells of models in shadow: who predicts beside the active one, and how well.

Belongs here: reading it back for people, also while its daemon runs. What is compared, and what
follows, belongs to layer 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from daemon.core import events as e
from daemon.core.roles import Roles
from daemon.layers.monitoring.challenger import compared
from daemon.layers.monitoring.pairing import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Kept(Protocol):
    """A journal, whoever reads it."""

    def read_kinds(self, *kinds: type[e.Event]) -> Iterator[tuple[int, e.Event]]: ...


class InShadow(Struct, frozen=True):
    """A model that predicts beside the active one: "challenger" or "previous"."""

    part: str
    model: str
    active: str
    since_ns: int
    comparison: e.Comparison


def in_shadow(journal: Kept) -> list[InShadow]:
    """As the journal stands; nothing where no model is in shadow."""
    roles, records = Roles(), dict[str, Record]()
    timeframe_ns, newest_ns = 1, 0
    kept: dict[type[e.Event], Callable[[Any], None]] = {
        e.ModelActivated: roles.apply_model_activated,
        e.ChallengerOpened: roles.apply_challenger_opened,
        e.ChallengerDropped: roles.apply_challenger_dropped,
        e.ModelPromoted: roles.apply_model_promoted,
        e.ModelRolledBack: roles.apply_model_rolled_back,
        e.WatchEnded: roles.apply_watch_ended,
    }
    for _, event in journal.read_kinds(e.RunOpened, e.ModelsCompared, *kept):
        if isinstance(event, e.RunOpened):
            timeframe_ns = event.timeframe_ns
        elif isinstance(event, e.ModelsCompared):
            newest_ns = max(newest_ns, event.until_ns)
            records.setdefault(event.model, Record()).add(event)
        else:
            kept[type(event)](event)
            if isinstance(event, e.ChallengerOpened):
                records[event.model] = Record()
            elif isinstance(event, e.ModelPromoted):
                records[event.replaced] = Record()
    active = "" if roles.active is None else roles.active.model
    parts = (("challenger", roles.challenger), ("previous", roles.previous))
    return [
        InShadow(
            part,
            shadow.model,
            active,
            shadow.since_ns,
            compared(records[shadow.model], max(0, newest_ns - shadow.since_ns) // timeframe_ns),
        )
        for part, shadow in parts
        if shadow is not None
    ]
