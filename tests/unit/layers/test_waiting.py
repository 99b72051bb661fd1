"""What waits between a stream and the task that takes its candles."""

import asyncio

from daemon.core.bars import RawBar
from daemon.layers.ingestion.feed_config import FeedCounts
from daemon.layers.ingestion.waiting import WAITING_MAX, Waiting
from tests.unit.layers.candles import a_raw


def taken(waiting: Waiting) -> list[RawBar | str]:
    async def take() -> list[RawBar | str]:
        found: list[RawBar | str] = []
        while (item := await waiting.get(0.0)) is not None:
            found.append(item)
        return found

    return asyncio.run(take())


def test_partial_candles_of_one_slot_replace_each_other() -> None:
    waiting = Waiting(FeedCounts())
    waiting.put(a_raw(0, 100.1, is_closed=False))
    waiting.put(a_raw(0, 100.2, is_closed=False))
    waiting.put(a_raw(0, 100.3, is_closed=True))

    assert taken(waiting) == [a_raw(0, 100.3, is_closed=True)]


def test_closed_candles_never_replace_each_other() -> None:
    waiting = Waiting(FeedCounts())
    waiting.put(a_raw(0, is_closed=True))
    waiting.put(a_raw(0, 100.6, is_closed=True))
    waiting.put(a_raw(1, is_closed=False))

    assert len(taken(waiting)) == 3


def test_when_nobody_takes_them_the_oldest_go_and_are_counted() -> None:
    counts = FeedCounts()
    waiting = Waiting(counts)
    for slot in range(WAITING_MAX + 5):
        waiting.put(a_raw(slot, is_closed=True))

    assert taken(waiting)[0] == a_raw(5, is_closed=True)
    assert counts.dropped == 5


def test_a_broken_stream_is_told_once_and_in_its_place() -> None:
    waiting = Waiting(FeedCounts())
    waiting.put(a_raw(0, is_closed=False))
    waiting.put_broken("gone")
    waiting.put_broken("gone")
    waiting.put(a_raw(0, is_closed=False))

    assert taken(waiting) == [a_raw(0, is_closed=False), "gone", a_raw(0, is_closed=False)]
