import asyncio
import random
from collections import Counter, defaultdict

import pytest

from daemon.venues.budget import SHARES, Budget, Limit, NoRoom, Use
from daemon.venues.ccxt_budget import silence_s
from tests.virtual_time import VirtualWire, run_virtual

NOW_MS = 1_700_000_000_000
HISTORY_ROOM = 100 * SHARES[Use.HISTORY]


def a_budget(weight: float = 100, window_s: float = 60) -> Budget:
    return Budget(Limit(weight, window_s), wire=VirtualWire())


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def request(budget: Budget, weight: float, use: Use, takes_s: float = 0.1) -> float:
    """When the exchange counted it: somewhere between its leaving and its answer."""
    spent = await budget.spend(weight, use)
    await asyncio.sleep(takes_s / 2)
    counted_s = now_s()
    await asyncio.sleep(takes_s / 2)
    budget.settle(spent)
    return counted_s


async def ends_at(budget: Budget, weight: float, use: Use) -> float:
    await request(budget, weight, use)
    return now_s()


# --- the window -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_window_of_the_exchange_ever_holds_more_than_the_limit(seed: int) -> None:
    rng = random.Random(seed)

    async def scenario() -> None:
        budget, offset_s = a_budget(), rng.uniform(0, 60)
        counted: dict[int, float] = defaultdict(float)

        async def client(use: Use) -> None:
            for _ in range(12):
                await asyncio.sleep(rng.expovariate(1 / 8))
                weight = rng.choice((1, 2, 4, 20))
                try:
                    at_s = await request(budget, weight, use, rng.uniform(0.01, 4.0))
                except NoRoom:
                    continue
                counted[int((at_s + offset_s) // 60)] += weight

        uses = (*Use, Use.HISTORY, Use.HISTORY, Use.LIVE)
        await asyncio.gather(*(client(use) for use in uses))

        assert sum(counted.values()) > 200
        assert max(counted.values()) <= 100

    run_virtual(scenario())


def test_history_leaves_room_that_only_others_use_and_orders_have_the_last_of_it() -> None:
    async def scenario() -> None:
        budget, done = a_budget(), Counter[Use]()

        async def many(use: Use, times: int) -> None:
            for _ in range(times):
                await request(budget, 1, use, 0.01)
                done[use] += 1

        history = asyncio.create_task(many(Use.HISTORY, 200))
        await asyncio.sleep(5)
        assert done[Use.HISTORY] == budget.used == HISTORY_ROOM
        live = asyncio.create_task(many(Use.LIVE, 50))
        await asyncio.sleep(5)
        assert done[Use.LIVE] == 10
        account = asyncio.create_task(many(Use.ACCOUNT, 50))
        await asyncio.sleep(5)
        assert done[Use.ACCOUNT] == 5
        await many(Use.ORDER, 5)

        assert budget.used == 100
        with pytest.raises(NoRoom, match="the request budget is used up: 100 of 100 in 60 s"):
            await budget.spend(1, Use.ORDER)
        for task in (history, live, account):
            task.cancel()
        await asyncio.gather(history, live, account, return_exceptions=True)

    run_virtual(scenario())


def test_history_yields_to_a_poll_that_came_later() -> None:
    async def scenario() -> None:
        budget = a_budget()
        await request(budget, 90, Use.LIVE)
        history = asyncio.create_task(ends_at(budget, 10, Use.HISTORY))
        await asyncio.sleep(50)
        live = asyncio.create_task(ends_at(budget, 85, Use.LIVE))

        assert await live == pytest.approx(60.2)
        assert await history == pytest.approx(120.3)

    run_virtual(scenario())


def test_room_comes_back_a_window_after_the_answer() -> None:
    async def scenario() -> None:
        budget = a_budget()
        await request(budget, HISTORY_ROOM, Use.HISTORY, takes_s=3.0)

        before_s = now_s()
        await budget.spend(1, Use.HISTORY)

        assert now_s() - before_s == pytest.approx(60.0)

    run_virtual(scenario())


def test_a_request_that_never_came_to_be_gives_its_place_back() -> None:
    async def scenario() -> None:
        budget = a_budget(1_000)
        for _ in range(8):
            await budget.spend(1, Use.HISTORY)

        before_s = now_s()
        await budget.spend(1, Use.HISTORY)

        assert now_s() - before_s == pytest.approx(15.0)

    run_virtual(scenario())


def test_what_others_use_at_the_same_address_counts_too() -> None:
    async def scenario() -> None:
        budget = a_budget()
        await request(budget, 10, Use.LIVE)

        budget.heard(97)
        budget.heard(60)

        assert budget.used == 97
        with pytest.raises(NoRoom):
            await budget.spend(4, Use.ORDER)
        await budget.spend(3, Use.ORDER)

    run_virtual(scenario())


def test_what_the_exchange_says_it_counted_blocks_one_window_however_much_it_says() -> None:
    async def scenario() -> None:
        budget = a_budget()

        budget.heard(1e12)
        with pytest.raises(NoRoom):
            await budget.spend(1, Use.ORDER)
        await asyncio.sleep(60)

        await budget.spend(1, Use.ORDER)

    run_virtual(scenario())


def test_one_request_heavier_than_the_whole_window_goes_alone_and_counts_for_long() -> None:
    async def scenario() -> None:
        budget = a_budget(1, 1.0)
        await request(budget, 3, Use.LIVE, 0.0)
        before_s = now_s()
        await request(budget, 1, Use.LIVE, 0.0)

        assert now_s() - before_s == pytest.approx(3.0)

    run_virtual(scenario())


def test_an_order_that_costs_nothing_leaves_whatever_readings_have_used_up() -> None:
    """As on Kraken, where one reading of its trades costs six of the one that a second allows."""

    async def scenario() -> None:
        budget = a_budget(weight=1, window_s=1)
        await request(budget, 6, Use.LIVE)
        await budget.spend(6, Use.LIVE)

        assert await ends_at(budget, 0, Use.ORDER) == pytest.approx(now_s())
        budget.silence(60)
        with pytest.raises(NoRoom, match="it asked for silence"):
            await budget.spend(0, Use.ORDER)

    run_virtual(scenario())


# --- silence --------------------------------------------------------------------------------------


def test_nothing_leaves_while_silence_is_asked_for_and_orders_do_not_wait_for_its_end() -> None:
    async def scenario() -> None:
        budget = a_budget()
        budget.silence(120)

        for use in (Use.ORDER, Use.ACCOUNT, Use.LIVE):
            with pytest.raises(NoRoom, match="it asked for silence, 120 s are left"):
                await budget.spend(1, use)
        history = await ends_at(budget, 1, Use.HISTORY)

        assert history >= 120
        assert now_s() < 121
        await budget.spend(1, Use.ORDER)

    run_virtual(scenario())


def test_too_many_orders_stop_orders_and_nothing_else() -> None:
    async def scenario() -> None:
        budget = a_budget()
        budget.silence(3_600, is_orders_only=True)

        await budget.spend(1, Use.LIVE)

        with pytest.raises(NoRoom, match="3600 s are left"):
            await budget.spend(1, Use.ORDER)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("status", "headers", "text", "expected_s"),
    [
        (200, {"Retry-After": "5"}, "", None),
        (503, {}, "banned until 1700000120000", None),
        (429, {"Retry-After": "7"}, "", 7),
        (429, {"retry-after": "0.5"}, "", 0.5),
        (429, {}, "slow down", 60),
        (429, {"Retry-After": "soon"}, "", 60),
        (429, {"Retry-After": "-3"}, "", 60),
        (429, {"Retry-After": "nan"}, "", 60),
        (429, {"Retry-After": "Tue, 14 Nov 2023 22:14:50 GMT"}, "", 90),
        (418, {}, "IP banned until 1700000120500.", 120.5),
        (418, {}, "IP banned until 1700000120.", 120),
        (418, {}, "IP banned until 1700000120500000.", 120.5),
        (418, {}, "IP banned until 1600000000000.", 60),
        (418, {"Retry-After": "300"}, "IP banned until 1700000120000.", 300),
        (418, {"Retry-After": "3"}, "IP banned until 1700000120000.", 120),
        (418, {"Retry-After": "99999999"}, "", 86_400),
        (418, {}, "IP banned until 9999999999999.", 86_400),
    ],
)
def test_a_wish_for_silence_is_read_however_it_is_said(
    status: int, headers: dict[str, str], text: str, expected_s: float | None
) -> None:
    assert silence_s(status, headers, text, NOW_MS) == pytest.approx(expected_s)
