"""A start whose exchange is away: an error at a terminal, and waited for by a service."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemon.cli.connecting import reached
from daemon.core.errors import ExchangeUnreachable
from daemon.running.process.sd_notify import Notifier
from daemon.running.world.sites import World

HERE = World(())


def away_for(times: int) -> tuple[Callable[[], Awaitable[World]], list[int]]:
    """An exchange that answers behind so many tries, and the tries so far."""
    tries: list[int] = []

    async def connecting() -> World:
        tries.append(len(tries))
        if len(tries) <= times:
            msg = "binance gave no answer within 14 s"
            raise ExchangeUnreachable(msg)
        return HERE

    return connecting, tries


async def test_a_service_waits_for_its_exchange_longer_than_a_manager_restarts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connecting, tries = away_for(20)

    world = await reached(connecting, Notifier(str(tmp_path / "nobody")), again_s=0.0)

    assert world is HERE
    assert len(tries) == 21
    told = capsys.readouterr().err.splitlines()
    assert told == ["tradingd: binance gave no answer within 14 s; asking again every 0 s"]


async def test_at_a_terminal_an_exchange_that_is_away_is_an_error() -> None:
    connecting, tries = away_for(1)

    with pytest.raises(ExchangeUnreachable):
        await reached(connecting, Notifier(None), again_s=0.0)
    assert len(tries) == 1
