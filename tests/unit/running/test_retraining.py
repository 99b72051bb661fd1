"""The trainer at the edge: one answer to every command, whatever becomes of the training."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.errors import ModelRefused, TradingdError
from daemon.core.manifests import DataRange, FoldResult, Manifest
from daemon.running.models.retraining import STARTS_MAX, Trainer
from daemon.running.models.training_process import TrainingTimedOut
from tests.builders import CLOSE_NS, HOUR_NS, OPEN_NS, a_training_start
from tests.unit.store import test_models

NOW_NS = CLOSE_NS + 7
Training = Callable[[e.StartTraining], Awaitable[Manifest]]


def a_manifest(*, edge_shown: bool = True, verdict: str = "Edge shown.") -> Manifest:
    return replace(
        test_models.a_manifest(),
        data=(DataRange("BTC/USDT", 900, 870, OPEN_NS - 900 * HOUR_NS, OPEN_NS - HOUR_NS, "0"),),
        folds=(FoldResult(500, 1, OPEN_NS - 300 * HOUR_NS, OPEN_NS - HOUR_NS, 1, 1, 1, 1, 1),),
        settings={"window_bars": 480},
        edge_shown=edge_shown,
        verdict=verdict,
    )


class Edge:
    """What the trainer is plugged into: a queue that keeps everything, and a model loader."""

    def __init__(self, train: Training, *, refuses: str = "") -> None:
        self.said: asyncio.Queue[e.Event] = asyncio.Queue()
        self.used: list[str] = []
        self._refuses = refuses
        self.trainer = Trainer(self.put, train=train, use=self.use, now_ns=lambda: NOW_NS)

    async def put(self, event: e.Event) -> None:
        await self.said.put(event)

    async def use(self, model_id: str) -> None:
        if self._refuses:
            raise ModelRefused(self._refuses)
        self.used.append(model_id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.trainer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def answer(self, asked: e.StartTraining) -> e.Event:
        async with self.running():
            self.trainer.post(asked)
            return await self.said.get()


def makes(manifest: Manifest) -> Training:
    async def train(_asked: e.StartTraining) -> Manifest:
        await asyncio.sleep(0)
        return manifest

    return train


def raises(error: Exception) -> Training:
    async def train(_asked: e.StartTraining) -> Manifest:
        await asyncio.sleep(0)
        raise error

    return train


class Endless:
    """A training that goes on until it is ended from outside."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = False

    async def __call__(self, _asked: e.StartTraining) -> Manifest:
        self.begun.set()
        try:
            never: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
            return await never
        finally:
            self.ended = True


async def test_a_model_that_passed_its_verdict_is_loaded_and_told() -> None:
    manifest = a_manifest()
    edge = Edge(makes(manifest))

    answer = await edge.answer(a_training_start(opened_ns=5))

    assert isinstance(answer, e.CandidateTrained)
    assert (answer.opened_ns, answer.model) == (5, manifest.model_id)
    assert answer.activation.trained_through_ns == manifest.trained_through_ns
    assert answer.verdict == manifest.verdict
    assert answer.held_out.window_days == 20.0
    assert edge.used == [manifest.model_id]


async def test_a_model_that_did_not_pass_is_told_with_its_sentence_and_not_loaded() -> None:
    manifest = a_manifest(edge_shown=False, verdict="No edge shown: it may guess.")
    edge = Edge(makes(manifest))

    answer = await edge.answer(a_training_start(opened_ns=5))

    assert answer == e.TrainingFailed(
        ts_ns=NOW_NS,
        opened_ns=5,
        fault=e.TrainingFault.CANDIDATE,
        reason="No edge shown: it may guess.",
        model=manifest.model_id,
    )
    assert edge.used == []


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ModelRefused("12 bars are too few"), e.TrainingFault.DATA),
        (TrainingTimedOut("not within 60 s"), e.TrainingFault.TIMEOUT),
        (TradingdError("the training process ended with -9"), e.TrainingFault.PROCESS),
        (OSError("Cannot allocate memory"), e.TrainingFault.PROCESS),
        (ValueError("a bug of ours"), e.TrainingFault.PROCESS),
    ],
)
async def test_whatever_goes_wrong_is_told_as_a_failed_training(
    error: Exception, fault: e.TrainingFault
) -> None:
    answer = await Edge(raises(error)).answer(a_training_start())

    assert isinstance(answer, e.TrainingFailed)
    assert (answer.fault, answer.reason) == (fault, str(error))


async def test_a_model_that_cannot_be_loaded_is_no_candidate() -> None:
    manifest = a_manifest()

    answer = await Edge(makes(manifest), refuses="sha256 differs").answer(a_training_start())

    assert isinstance(answer, e.TrainingFailed)
    assert answer.fault is e.TrainingFault.PROCESS
    assert "sha256 differs" in answer.reason


async def test_a_training_over_which_the_daemon_ended_again_and_again_is_given_up() -> None:
    edge = Edge(raises(AssertionError("it must not be trained")))

    answer = await edge.answer(a_training_start(start=STARTS_MAX + 1))

    assert isinstance(answer, e.TrainingFailed)
    assert answer.fault is e.TrainingFault.PROCESS
    assert f"ended {STARTS_MAX} times" in answer.reason


async def test_who_cancels_a_training_ends_it_at_once_and_is_named() -> None:
    endless = Endless()
    edge = Edge(endless)
    async with edge.running():
        edge.trainer.post(a_training_start())
        await endless.begun.wait()

        was_cancelled = edge.trainer.cancel("uid 7: not now")
        answer = await edge.said.get()

    assert was_cancelled
    assert endless.ended
    assert isinstance(answer, e.TrainingFailed)
    assert (answer.fault, answer.reason) == (e.TrainingFault.OPERATOR, "uid 7: not now")


async def test_where_nothing_is_trained_nothing_can_be_cancelled() -> None:
    edge = Edge(makes(a_manifest()))
    async with edge.running():
        assert not edge.trainer.cancel("why not")


async def test_the_end_of_the_daemon_ends_a_training_and_says_nothing() -> None:
    endless = Endless()
    edge = Edge(endless)
    async with edge.running():
        edge.trainer.post(a_training_start())
        await endless.begun.wait()

    assert endless.ended
    assert edge.said.empty()


async def test_it_is_busy_from_the_command_until_its_answer_is_a_step() -> None:
    edge = Edge(raises(TradingdError("it died")))
    asked = a_training_start(opened_ns=5)
    async with edge.running():
        edge.trainer.post(asked)
        answer = await edge.said.get()
        before = edge.trainer.is_busy
        edge.trainer.note((answer,))

    assert before
    assert not edge.trainer.is_busy


async def test_after_an_answer_it_trains_what_is_asked_next() -> None:
    edge = Edge(raises(TradingdError("it died")))
    told = []
    async with edge.running():
        for opened_ns in (5, 6):
            edge.trainer.post(a_training_start(opened_ns=opened_ns))
            answer = await edge.said.get()
            edge.trainer.note((answer,))
            assert isinstance(answer, e.TrainingFailed)
            told.append(answer.opened_ns)

    assert told == [5, 6]
