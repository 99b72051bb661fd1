"""Which connection carries what, and how fast a connection may be spoken to."""

import asyncio

import pytest

from daemon.venues.ccxt_pace import Pace
from daemon.venues.ccxt_shards import Spread
from daemon.venues.stream_limits import limits_of
from tests.virtual_time import run_virtual


def names(count: int) -> list[str]:
    return [f"S{number}/USDT" for number in range(count)]


@pytest.mark.parametrize(("count", "sizes"), [(3, [3]), (4, [2, 2]), (8, [3, 3, 2])])
def test_symbols_are_spread_evenly_over_as_few_connections_as_will_do(
    count: int, sizes: list[int]
) -> None:
    spread = Spread(3)
    spread.add(names(count))

    assert [len(spread.on(place)) for place in range(len(sizes))] == sizes
    assert spread.on(len(sizes)) == ()


def test_a_symbol_stays_where_it_is_however_many_come_later() -> None:
    spread = Spread(3)
    spread.add(names(4))
    before = {each: spread.place(each) for each in names(4)}

    spread.add(names(11))

    assert {each: spread.place(each) for each in names(4)} == before
    assert [len(spread.on(place)) for place in range(4)] == [3, 3, 3, 2]


def test_without_a_budget_all_share_one_connection() -> None:
    spread = Spread(limits_of("okx").streams)
    spread.add(names(5_000))

    assert {spread.place(each) for each in names(5_000)} == {0}


def test_more_symbols_than_one_connection_of_binance_carries_take_two() -> None:
    spread = Spread(limits_of("binance").streams)
    spread.add(names(1_025))

    assert [len(spread.on(place)) for place in (0, 1)] == [513, 512]


def test_messages_leave_evenly_and_a_wait_is_not_made_up_for_by_a_burst() -> None:
    async def scenario() -> list[float]:
        pace, left = Pace(0.25), []

        async def say() -> None:
            await pace(5)
            left.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(say() for _ in range(3)))
        await asyncio.sleep(10)
        await asyncio.gather(*(say() for _ in range(3)))
        return left

    assert run_virtual(scenario()) == pytest.approx([0.0, 0.25, 0.5, 10.5, 10.75, 11.0])
