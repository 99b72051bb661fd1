"""What becomes of stream messages that nobody takes."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from daemon.core.errors import ExchangeUnreachable
from daemon.venues.ccxt_streams import WAITING_MAX, Streams


class FakeKind:
    """Messages are numbers, said by the test."""

    name = "number"
    can_prime = False

    def __init__(self, *, may_lose: bool) -> None:
        self.may_lose = may_lose
        self.say: Callable[[str, int], None]

    def tap(self, hear: Callable[[str, int], None]) -> bool:
        self.say = hear
        return True

    async def watch(self, _symbol: str) -> list[int]:
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never

    async def prime(self, symbols: list[str]) -> None:
        raise NotImplementedError


def heard(kind: FakeKind, flood: int) -> list[int]:
    """The first message, then what is still there after a flood, until the stream ends or rests."""

    async def run() -> list[int]:
        taken: list[int] = []
        numbers = Streams(SimpleNamespace(), "fake", kind, per_message=1).of("A")
        first = asyncio.ensure_future(anext(numbers))
        await asyncio.sleep(0)
        kind.say("A", 0)
        taken.append(await first)
        for number in range(1, flood + 1):
            kind.say("A", number)
        async for number in numbers:
            taken.append(number)
            if number == flood:
                break
        return taken

    return asyncio.run(run())


def test_of_candles_the_oldest_go_because_the_newest_tell_their_slots_whole() -> None:
    assert heard(FakeKind(may_lose=True), WAITING_MAX + 5)[:2] == [0, 6]


def test_a_stream_of_trades_that_lost_one_has_ended() -> None:
    """Otherwise a bar would be made without it, and nobody would know."""
    with pytest.raises(ExchangeUnreachable, match="more came than could be taken"):
        heard(FakeKind(may_lose=False), WAITING_MAX + 5)

    assert heard(FakeKind(may_lose=False), WAITING_MAX)[-1] == WAITING_MAX
