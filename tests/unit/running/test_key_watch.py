"""The daily check of a live key: news are told, an unfit key halts once, silence is asked again."""

import asyncio
from collections.abc import Sequence
from typing import Any

from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.events import HaltRequested, Input, KeyChecked
from daemon.running.key_watch import AGAIN_S, EVERY_S, KeyWatch
from tests.virtual_time import run_virtual

Answer = Sequence[str] | Exception


def watched(*answers: Answer) -> tuple[list[tuple[float, str]], list[Input]]:
    """(when, what) was found or said, and what went into the journal, until answers ran out."""
    said: list[tuple[float, str]] = []
    put: list[Input] = []
    left = list(answers)
    over = asyncio.Event()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()

        async def ask() -> Sequence[str]:
            if not left:
                over.set()
                raise ExchangeUnreachable("the test is over")
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def publish(event: Input) -> None:
            put.append(event)
            if isinstance(event, KeyChecked):
                at_s = loop.time() - started_s
                said.extend((at_s, each) for each in ("fit", *event.remarks))

        def emit(name: str, **fields: Any) -> None:
            said.append((loop.time() - started_s, f"{name} {fields['error']}"))

        watch = KeyWatch("kraken", ask, market_ns=lambda: 7, put=publish, emit=emit)
        task = asyncio.create_task(watch.run(["known at the start"]))
        await over.wait()
        task.cancel()

    run_virtual(scenario())
    return said, put


def test_what_the_start_heard_is_told_at_once_and_the_key_asked_about_every_day() -> None:
    said, put = watched([], ["the key of kraken expires in 9 days"])

    assert said == [
        (0.0, "fit"),
        (0.0, "known at the start"),
        (EVERY_S, "fit"),
        (2 * EVERY_S, "fit"),
        (2 * EVERY_S, "the key of kraken expires in 9 days"),
    ]
    assert not any(isinstance(each, HaltRequested) for each in put)


def test_a_key_that_became_unfit_halts_once_until_it_is_fit_again() -> None:
    unfit = LiveRefused("kraken: the key may move money out (withdraw-funds)")
    said, put = watched(unfit, unfit, [], unfit)

    halts = [each for each in put if isinstance(each, HaltRequested)]
    assert [each.reason for each in halts] == [str(unfit)] * 2
    assert {each.who for each in halts} == {"the daily check of the key"}
    assert [at for at, line in said if line.startswith("key.refused")] == [EVERY_S, 4 * EVERY_S]


def test_a_day_without_an_answer_is_asked_again_soon_and_halts_nothing() -> None:
    said, put = watched(ExchangeUnreachable("away"), [])

    assert said[-1] == (EVERY_S + AGAIN_S, "fit")
    assert not any(isinstance(each, HaltRequested) for each in put)
