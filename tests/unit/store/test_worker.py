"""The hand-over to the store's thread: in call order, bounded, never split by a cancellation."""

import asyncio
import threading

import pytest

from daemon.store.worker import Worker


async def test_functions_run_one_after_another_in_call_order_in_one_thread() -> None:
    worker = Worker("test", waiting_max=3)
    seen: list[tuple[int, str]] = []

    def note(n: int) -> int:
        seen.append((n, threading.current_thread().name))
        return n * n

    answers = await asyncio.gather(*(worker.run(note, n) for n in range(20)))
    worker.close()

    assert answers == [n * n for n in range(20)]
    assert [n for n, _ in seen] == list(range(20))
    assert {name for _, name in seen} == {"test_0"}


async def test_what_a_function_raises_reaches_its_caller_alone() -> None:
    worker = Worker("test")

    def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await worker.run(fail)

    assert await worker.run(len, "next") == 4
    worker.close()


async def test_a_cancelled_call_still_runs_to_its_end() -> None:
    worker = Worker("test")
    may_go_on, ran = threading.Event(), threading.Event()
    blocked = asyncio.create_task(worker.run(may_go_on.wait))
    cancelled = asyncio.create_task(worker.run(ran.set))
    asyncio.get_running_loop().call_soon(cancelled.cancel)  # runs after both were handed over
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    may_go_on.set()
    await blocked
    worker.close()

    assert ran.is_set()


async def test_a_full_queue_makes_callers_wait() -> None:
    worker = Worker("test", waiting_max=1)
    may_go_on, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(worker.run(may_go_on.wait))
    second = asyncio.create_task(worker.run(ran.set))
    asyncio.get_running_loop().call_soon(second.cancel)
    with pytest.raises(asyncio.CancelledError):
        await second

    may_go_on.set()
    await first
    worker.close()

    assert not ran.is_set(), "it never came into the queue"


async def test_a_closed_worker_takes_nothing_more() -> None:
    worker = Worker("test", waiting_max=1)
    worker.close()

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await worker.run(len, "")
