"""Signed requests on Kraken, through ccxt's own class: none overtakes another, and none waits for
ever behind one that was given up.
"""

import asyncio
from collections import deque
from typing import Any

import pytest

from daemon.venues.budget import Budget, Limit, Use
from daemon.venues.ccxt_budget import keep_budget, using
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_departures import fields_of
from daemon.venues.single_file import Line
from tests.virtual_time import VirtualWire

SECRET = "Y2FuYXJ5LXNlY3JldC1jYW5hcnk="


class Wire:
    """Where requests of all clients come out; each is answered when the test lets it be."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.nonces: list[int] = []
        self._answers: deque[asyncio.Future[dict[str, Any]]] = deque()

    async def fetch(
        self, url: str, _method: str = "GET", _headers: Any = None, body: Any = None
    ) -> dict[str, Any]:
        self.left.append(url.rpartition("/")[2])
        if "/private/" in url:
            self.nonces.append(int(fields_of(url, body)["nonce"][0]))
        self._answers.append(asyncio.get_running_loop().create_future())
        return await self._answers[-1]

    async def answer(self) -> None:
        """The oldest request gets its answer, and whoever waited for that goes on."""
        self._answers.popleft().set_result({"error": [], "result": {}})
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def a_client(wire: Wire, key: str = "one") -> Any:
    client = make_client("kraken", credentials=(key, SECRET))
    client.fetch = wire.fetch
    clock: Any = VirtualWire()
    keep_budget(client, Budget(Limit(1_000.0, 60.0), wire=clock), "kraken", Use.ACCOUNT)
    return client


async def placed(client: Any) -> None:
    with using(Use.ORDER):
        await client.privatePostAddOrder({"pair": "XBTUSDT"})


async def test_two_clients_of_one_key_count_on_from_one_another() -> None:
    wire = Wire()
    client, other = a_client(wire, "met"), a_client(wire, "met")
    client.nonce = other.nonce = lambda: 1_700_000_000_000  # they meet in one millisecond
    async with asyncio.TaskGroup() as tasks:
        for asker in (client, client, other):
            tasks.create_task(asker.privatePostBalanceEx())
        for _ in range(3):
            await settled()
            await wire.answer()

    assert wire.nonces == [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002]


async def test_requests_of_one_key_leave_one_at_a_time_and_an_order_goes_first() -> None:
    wire = Wire()
    client, other = a_client(wire), a_client(wire)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.privatePostBalanceEx())
        tasks.create_task(other.privatePostOpenOrders())
        await settled()
        assert wire.left == ["BalanceEx"]

        tasks.create_task(placed(client))
        await settled()
        await wire.answer()
        assert wire.left == ["BalanceEx", "AddOrder"]

        await wire.answer()
        assert wire.left == ["BalanceEx", "AddOrder", "OpenOrders"]
        await wire.answer()

    assert wire.nonces == sorted(set(wire.nonces))


async def test_public_requests_and_other_keys_wait_for_nobody() -> None:
    wire = Wire()
    client = a_client(wire)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.privatePostBalanceEx())
        tasks.create_task(client.publicGetTime())
        tasks.create_task(a_client(wire, "two").privatePostBalanceEx())
        await settled()
        assert sorted(wire.left) == ["BalanceEx", "BalanceEx", "Time"]
        for _ in range(3):
            await wire.answer()


@pytest.mark.parametrize("is_on_its_way", [True, False])
async def test_a_request_that_is_given_up_lets_the_next_one_go(*, is_on_its_way: bool) -> None:
    wire = Wire()
    client = a_client(wire)
    first = asyncio.create_task(client.privatePostBalanceEx())
    await settled()
    second = asyncio.create_task(client.privatePostOpenOrders())
    await settled()

    if is_on_its_way:
        first.cancel()
        await settled()
        assert wire.left == ["BalanceEx", "OpenOrders"]
    else:
        second.cancel()
        third = asyncio.create_task(client.privatePostClosedOrders())
        await settled()
        await wire.answer()
        assert wire.left == ["BalanceEx", "ClosedOrders"]
        third.cancel()
    second.cancel()
    await settled()


async def test_a_turn_that_comes_to_one_who_is_just_leaving_goes_to_the_next() -> None:
    line = Line()
    await line.enter(Use.ACCOUNT)
    second = asyncio.create_task(line.enter(Use.ACCOUNT))
    third = asyncio.create_task(line.enter(Use.HISTORY))
    await settled()

    line.leave()
    second.cancel()
    await settled()

    assert second.cancelled()
    assert third.done()
    line.leave()
    await line.enter(Use.ACCOUNT)  # nobody is in it any more
