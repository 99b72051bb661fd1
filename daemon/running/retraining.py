"""Has candidates trained beside the daemon: from a command to one answer that always comes.

Belongs here: when a training's process runs, and that whatever becomes of it is one input. When a
new model is asked for is decided in layer 7, how it is made and judged belongs to research.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from daemon.core.errors import ModelRefused, TradingdError
from daemon.core.events import CandidateTrained, TrainingFailed, TrainingFault
from daemon.running.candidates import candidate_trained

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.core.events import Event, Input, StartTraining
    from daemon.core.manifests import Manifest

STARTS_MAX = 3


class Train(Protocol):
    """Trains as it is told and returns the id of the model, which is in the registry then."""

    def __call__(self, asked: StartTraining) -> Awaitable[str]: ...


class Trainer:
    """Runs one training at a time; nothing that happens to it is more than a TrainingFailed."""

    def __init__(
        self,
        put: Callable[[Input], Awaitable[None]],
        *,
        train: Train,
        use: Callable[[str], Manifest],
        now_ns: Callable[[], int],
    ) -> None:
        self._put = put
        self._train = train
        self._use = use
        self._now_ns = now_ns
        self._asked: StartTraining | None = None
        self._wake = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """True from the command until the step that took the answer."""
        return self._asked is not None

    def post(self, asked: StartTraining) -> None:
        """Begin, as soon as `run` gets to it."""
        self._asked = asked
        self._wake.set()

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        first = events[0]
        if isinstance(first, CandidateTrained | TrainingFailed):
            self._asked = None

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._asked is not None:
                await self._put(await self._answer(self._asked))

    async def _answer(self, asked: StartTraining) -> Input:
        if asked.start > STARTS_MAX:
            reason = f"the daemon ended {STARTS_MAX} times while this was trained"
            return self._failed(asked, TrainingFault.PROCESS, reason)
        try:
            manifest = self._use(await self._train(asked))
        except ModelRefused as error:
            return self._failed(asked, TrainingFault.DATA, str(error))
        except TradingdError as error:
            return self._failed(asked, TrainingFault.PROCESS, str(error))
        if not manifest.edge_shown:
            fault = TrainingFault.CANDIDATE
            return self._failed(asked, fault, manifest.verdict, manifest.model_id)
        return candidate_trained(manifest, asked, self._now_ns())

    def _failed(
        self, asked: StartTraining, fault: TrainingFault, reason: str, model: str = ""
    ) -> TrainingFailed:
        return TrainingFailed(
            ts_ns=self._now_ns(),
            opened_ns=asked.opened_ns,
            fault=fault,
            reason=reason,
            model=model,
        )
