"""Which model has which part: the active one, its challenger, and the one it replaced.

Belongs here: who is who, by journaled events alone. Who should be is decided in layer 7; layer 3
asks here whom to let predict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import ModelActivated

if TYPE_CHECKING:
    from daemon.core.events import (
        ChallengerDropped,
        ChallengerOpened,
        ModelPromoted,
        ModelRolledBack,
        WatchEnded,
    )


class Shadow(Struct, frozen=True):
    """A model that predicts beside the active one and trades nothing, and since when."""

    activation: ModelActivated
    since_ns: int

    @property
    def model(self) -> str:
        return self.activation.model


class Roles:
    """At most one model in each part."""

    def __init__(self) -> None:
        self.active: ModelActivated | None = None
        self.challenger: Shadow | None = None
        self.previous: Shadow | None = None  # while the way back to it is open
        self._taking_over = ""  # decided, and its ModelActivated is the next

    def shadows(self) -> tuple[Shadow, ...]:
        """Who predicts in shadow."""
        return tuple(each for each in (self.challenger, self.previous) if each is not None)

    # --- applying -----------------------------------------------------------------------------

    def apply_model_activated(self, event: ModelActivated) -> None:
        """One that no promotion announced was chosen at a start: nothing leads back from it."""
        is_another = self.active is None or self.active.model != event.model
        if is_another and event.model != self._taking_over:
            self.previous = None
        self._end_challenge(event.model)
        self._taking_over = ""
        self.active = event

    def apply_challenger_opened(self, event: ChallengerOpened) -> None:
        self.challenger = Shadow(event.activation, event.ts_ns)

    def apply_challenger_dropped(self, event: ChallengerDropped) -> None:
        self._end_challenge(event.model)

    def apply_model_promoted(self, event: ModelPromoted) -> None:
        self._taking_over = event.model
        self._end_challenge(event.model)
        self.previous = None
        if event.is_watched and self.active is not None:
            self.previous = Shadow(self.active, event.ts_ns)

    def apply_model_rolled_back(self, event: ModelRolledBack) -> None:
        self._taking_over = event.model
        self._end_challenge(event.model)
        self.previous = None

    def apply_watch_ended(self, _event: WatchEnded) -> None:
        self.previous = None

    def _end_challenge(self, model: str) -> None:
        if self.challenger is not None and self.challenger.model == model:
            self.challenger = None
