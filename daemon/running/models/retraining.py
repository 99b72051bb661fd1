"""Has candidates trained beside the daemon: from a command to one answer that always comes.

Belongs here: when a training's process runs, and that whatever becomes of it is one input. When a
new model is asked for is decided in layer 7, how it is made and judged belongs to research.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from daemon.core.errors import ModelRefused, TradingdError
from daemon.core.events import CandidateTrained, TrainingFailed, TrainingFault
from daemon.running.models.candidates import candidate_trained
from daemon.running.models.training_process import TrainingTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.core.events import Event, Input, StartTraining
    from daemon.core.manifests import Manifest

STARTS_MAX = 3


class _Cancelled(Exception):  # not an error: somebody asked for it
    pass


# The first kind that fits says whose fault it is.
FAULTS: tuple[tuple[type[Exception], TrainingFault], ...] = (
    (_Cancelled, TrainingFault.OPERATOR),
    (TrainingTimedOut, TrainingFault.TIMEOUT),
    (ModelRefused, TrainingFault.DATA),
    (Exception, TrainingFault.PROCESS),
)


class Train(Protocol):
    """Trains and judges as it is told; the model is in the registry then."""

    def __call__(self, asked: StartTraining, /) -> Awaitable[Manifest]: ...


class Use(Protocol):
    """Verifies a model and hands it to the core, ready for what may be decided about it."""

    def __call__(self, model_id: str, /) -> Awaitable[object]: ...


class Trainer:
    """Runs one training at a time; nothing that happens to it is more than a TrainingFailed."""

    def __init__(
        self,
        put: Callable[[Input], Awaitable[None]],
        *,
        train: Train,
        use: Use,
        now_ns: Callable[[], int],
    ) -> None:
        self._put = put
        self._train = train
        self._use = use
        self._now_ns = now_ns
        self._asked: StartTraining | None = None
        self._running: asyncio.Future[Manifest] | None = None
        self._cancelled = ""
        self._wake = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """True from the command until the step that took the answer."""
        return self._asked is not None

    def post(self, asked: StartTraining) -> None:
        """Begin, as soon as `run` gets to it."""
        self._asked = asked
        self._wake.set()

    def cancel(self, why: str) -> bool:
        """End the training that runs, as somebody asked; False when there is none."""
        if self._running is None or self._running.done():
            return False
        self._cancelled = why
        self._running.cancel()
        return True

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        first = events[0]
        if self._asked is None or not isinstance(first, CandidateTrained | TrainingFailed):
            return
        if first.opened_ns == self._asked.opened_ns:
            self._asked = None

    async def run(self) -> None:
        """Until cancelled, and a training that runs is ended then."""
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
            manifest = await self._trained(asked)
            if manifest.edge_shown:
                await self._ready(manifest.model_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the daemon goes on without
            fault = next(fault for kind, fault in FAULTS if isinstance(error, kind))
            return self._failed(asked, fault, str(error) or repr(error))
        if manifest.edge_shown:
            return candidate_trained(manifest, asked, self._now_ns())
        fault = TrainingFault.CANDIDATE
        return self._failed(asked, fault, manifest.verdict, manifest.model_id)

    async def _trained(self, asked: StartTraining) -> Manifest:
        self._cancelled = ""
        self._running = asyncio.ensure_future(self._train(asked))
        try:
            return await self._running
        except asyncio.CancelledError:
            if self._cancelled:
                raise _Cancelled(self._cancelled) from None
            raise
        finally:
            self._running = None

    async def _ready(self, model_id: str) -> None:
        try:
            await self._use(model_id)
        except ModelRefused as error:
            msg = f"what the training left behind must not be used: {error}"
            raise TradingdError(msg) from error

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
