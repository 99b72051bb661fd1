"""When the rows of a day are checked, and what is said when they cannot be."""

import asyncio

from daemon.core import events as e
from daemon.core.errors import TradingdError
from daemon.core.timeframes import DAY_NS
from daemon.research.live_rows import Differing, RowsChecked
from daemon.running.feature_check import FeatureCheck
from tests.builders import (
    BTC,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_features_checked,
    a_journal_thinned,
)

MIDNIGHT_NS = OPEN_NS - OPEN_NS % DAY_NS


def closed(hour: int) -> tuple[e.Event, ...]:
    """The bar that closes so many hours after midnight."""
    bar = a_bar(open_ns=MIDNIGHT_NS + (hour - 1) * HOUR_NS)
    return (e.BarsClosed(ts_ns=bar.close_ns + 5, bars=(bar,)),)


class Checks:
    """Answers in turn, and notes behind which step it was asked to look."""

    def __init__(self, *answers: RowsChecked | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[int] = []

    async def __call__(self, after_step: int) -> RowsChecked:
        self.asked.append(after_step)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def told_of(
    checks: Checks | None, hours: range, before: tuple[e.Event, ...] = ()
) -> list[e.FeaturesChecked]:
    told: list[e.FeaturesChecked] = []

    async def publish(event: e.FeaturesChecked) -> None:
        assert task.is_due
        told.append(event)

    task = FeatureCheck(checks, publish)
    for event in before:
        task.recall(event)
    running = asyncio.create_task(task.run())
    for hour in hours:
        task.note(closed(hour))
        await task.settled()
        assert not task.is_due
    running.cancel()
    return told


async def test_a_day_is_checked_with_the_first_bar_of_the_next_and_each_row_once() -> None:
    checks = Checks(RowsChecked(rows=24, through_step=30), RowsChecked(rows=24, through_step=60))

    told = await told_of(checks, range(10, 60))

    # The bar that closes at midnight is the last of its day.
    assert [each.ts_ns for each in told] == [closed(25)[0].ts_ns, closed(49)[0].ts_ns]
    assert checks.asked == [0, 30]
    assert [each.rows for each in told] == [24, 24]


async def test_what_differs_is_told_with_the_first_number() -> None:
    first = Differing(instrument=BTC, close_ns=MIDNIGHT_NS, feature="rsi_14", live=1.0, stored=None)
    checks = Checks(RowsChecked(rows=24, differing=2, through_step=30, first=first))

    (told,) = await told_of(checks, range(20, 30))

    assert (told.differing, told.instrument, told.feature) == (2, BTC, "rsi_14")
    assert (told.close_ns, told.live, told.stored) == (MIDNIGHT_NS, 1.0, None)


async def test_a_check_that_fails_is_told_and_made_up_for_with_the_next_day() -> None:
    checks = Checks(TradingdError("the store is locked"), RowsChecked(rows=48, through_step=60))

    failed, made_up = await told_of(checks, range(20, 60))

    assert (failed.error, failed.rows) == ("the store is locked", 0)
    assert (made_up.error, made_up.rows) == ("", 48)
    assert checks.asked == [0, 0]


async def test_after_a_resume_it_goes_on_behind_what_was_checked() -> None:
    before = (*closed(10), *closed(25), a_features_checked(through_step=30), *closed(26))
    checks = Checks(RowsChecked(through_step=60))

    told = await told_of(checks, range(27, 50), before)

    assert [each.ts_ns for each in told] == [closed(49)[0].ts_ns]
    assert checks.asked == [30]


async def test_a_journal_thinned_since_is_checked_from_its_begin_once() -> None:
    thinned, old = a_journal_thinned(), a_features_checked(through_step=30)
    checks = Checks(RowsChecked(through_step=8), RowsChecked(through_step=12))

    told = await told_of(checks, range(27, 50), (thinned, *closed(25), old, *closed(26)))
    await told_of(checks, range(50, 75), (thinned, *closed(25), old, *closed(49), *told))

    assert checks.asked == [0, 8]


async def test_a_check_that_was_owed_at_a_kill_comes_with_the_next_bar() -> None:
    checks = Checks(RowsChecked(through_step=60))

    told = await told_of(checks, range(26, 28), (*closed(10), *closed(25)))

    assert [each.ts_ns for each in told] == [closed(26)[0].ts_ns]


async def test_where_it_is_off_nothing_is_checked() -> None:
    assert await told_of(None, range(60)) == []
