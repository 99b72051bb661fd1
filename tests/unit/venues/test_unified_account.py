"""Every trade is found once, from whichever end an exchange pages and however long ago it was."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.capabilities import TWO_YEARS_MS, WEEK_MS
from daemon.venues.ccxt_reads import OddReply
from daemon.venues.ccxt_unified_account import trades_between

NOW_MS = 10 * WEEK_MS


class Exchange:
    """Answers pages of at most `rows` trades, the newest or the oldest of what is asked for."""

    def __init__(self, times: list[int], *, rows: int, is_newest_first: bool) -> None:
        self.trades: list[dict[str, Any]] = [
            {"id": str(n), "timestamp": at} for n, at in enumerate(sorted(times))
        ]
        self._rows = rows
        self._is_newest_first = is_newest_first
        self.longest_ms = 0

    async def page(self, low_ms: int, high_ms: int) -> list[dict[str, Any]]:
        self.longest_ms = max(self.longest_ms, high_ms - low_ms)
        fit = [each for each in self.trades if low_ms <= each["timestamp"] <= high_ms]
        return fit[-self._rows :] if self._is_newest_first else fit[: self._rows]


# Spread so that no page is full of one moment: that is what pages are for, not stretches of time.
times = st.lists(st.integers(1, NOW_MS), max_size=40, unique=True)


@given(times, st.integers(2, 9), st.booleans())
def test_all_of_them_each_once_and_never_too_long_a_stretch(
    told: list[int], rows: int, is_newest_first: bool
) -> None:
    exchange = Exchange(told, rows=rows, is_newest_first=is_newest_first)

    found = asyncio.run(trades_between(exchange.page, 1, NOW_MS))

    assert sorted(found, key=lambda each: int(each["id"])) == exchange.trades
    assert exchange.longest_ms <= WEEK_MS


@pytest.mark.parametrize("since_ms", [NOW_MS, NOW_MS - 1])
def test_a_moment_ago_is_one_question(since_ms: int) -> None:
    exchange = Exchange([NOW_MS], rows=5, is_newest_first=True)

    assert len(asyncio.run(trades_between(exchange.page, since_ms, NOW_MS))) == 1


def test_an_exchange_that_invents_a_new_trade_for_every_question_is_given_up() -> None:
    count = 0

    async def page(low_ms: int, high_ms: int) -> list[dict[str, Any]]:
        nonlocal count
        count += 1
        return [{"id": str(count), "timestamp": (low_ms + high_ms) // 2}]

    with pytest.raises(OddReply, match="never end"):
        asyncio.run(trades_between(page, 1, 2))


def test_from_the_beginning_on_is_a_question_a_week_and_no_thousands() -> None:
    """After a lost journal everything was asked for since 1970, in 2900 questions an instrument."""
    count = 0

    async def page(low_ms: int, high_ms: int) -> list[dict[str, Any]]:
        nonlocal count
        count += 1
        assert 0 < low_ms < high_ms
        return []

    asyncio.run(trades_between(page, 0, 20 * TWO_YEARS_MS))

    assert count == 105
