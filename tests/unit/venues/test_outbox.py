"""The outbox against a scripted venue, in virtual time."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core.events import Input, OrderReported, Outcome, ReportSource
from daemon.core.orders import OrderState, OrderType
from daemon.venues.outbox import Outbox
from daemon.venues.turns import Turns
from tests.fakes import FakeVenue, Fate
from tests.unit.venues.orders import (
    BTC,
    ETH,
    NOW_NS,
    a_cancel,
    a_look_up,
    a_resting_order,
    an_order,
)
from tests.virtual_time import run_virtual


class Post:
    def __init__(self, venue: FakeVenue, **settings: float | Turns) -> None:
        self.venue = venue
        self.published: list[OrderReported] = []
        self.outbox = Outbox(venue, self._publish, **settings)  # type: ignore[arg-type]
        self.running = asyncio.create_task(self.outbox.run())

    async def _publish(self, event: Input) -> None:
        assert isinstance(event, OrderReported)
        self.published.append(event)

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def outcomes(self, ours: str = "tdone") -> list[Outcome]:
        return [each.outcome for each in self.published if each.client_order_id == ours]


def posted(scenario: Callable[[Post], Awaitable[None]], *fates: Fate, **settings: float) -> Post:
    async def run() -> Post:
        post = Post(FakeVenue(*fates), **settings)
        await scenario(post)
        await post.stop()
        return post

    return run_virtual(run())


def test_an_order_is_sent_and_its_answer_comes_back_as_an_input() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        assert post.outbox.in_flight == 1
        await post.outbox.idle()

    post = posted(scenario)

    assert post.venue.sent == ["tdone"]
    assert [each.state for each in post.published] == [OrderState.FILLED]
    assert post.published[0].fills[0].quantity == Decimal("0.5")


@pytest.mark.parametrize("fate", [Fate.REFUSED, Fate.NOT_SENT])
def test_a_definite_no_is_told_and_nothing_is_looked_up(fate: Fate) -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        await post.outbox.idle()
        await asyncio.sleep(600)

    post = posted(scenario, fate)

    assert post.outcomes() == [Outcome(fate.value)]
    assert post.venue.asked == []


def test_the_fence_is_asked_before_every_order_and_keeps_back_what_it_names() -> None:
    async def run() -> Post:
        reasons = iter(["", "the file HALT is there"])
        fence: Any = lambda is_exit: "" if is_exit else next(reasons)  # noqa: E731
        post = Post(FakeVenue(), fence=fence)
        for name, is_exit in (("tdone", False), ("tdtwo", False), ("tdout", True)):
            post.outbox.post(replace(an_order(name), is_exit=is_exit))
        await post.outbox.idle()
        await post.stop()
        return post

    post = run_virtual(run())

    assert post.venue.sent == ["tdone", "tdout"]
    (kept,) = (each for each in post.published if each.client_order_id == "tdtwo")
    assert (kept.outcome, kept.reason) == (Outcome.NOT_SENT, "the file HALT is there")


def test_unknown_is_told_first_and_what_was_found_out_after_it() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        await asyncio.sleep(0.1)
        assert post.outcomes() == [Outcome.UNKNOWN]
        assert post.outbox.in_flight == 1
        await post.outbox.idle()

    post = posted(scenario, Fate.REPLY_LOST)

    assert post.outcomes() == [Outcome.UNKNOWN, Outcome.ACKNOWLEDGED]
    assert post.published[1].source is ReportSource.LOOKUP
    assert post.published[1].fills
    assert post.venue.sent == ["tdone"]


def test_an_order_that_never_arrived_ends_absent_and_is_not_sent_again() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        await post.outbox.idle()

    post = posted(scenario, Fate.REQUEST_LOST)

    assert post.outcomes() == [Outcome.UNKNOWN, Outcome.ABSENT]
    assert post.venue.sent == ["tdone"]


def test_a_venue_that_raises_after_sending_leaves_an_unknown_order_that_is_found() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        await post.outbox.idle()

    post = posted(scenario, Fate.RAISES)

    assert post.outcomes() == [Outcome.UNKNOWN, Outcome.ACKNOWLEDGED]
    assert "TypeError" in post.published[0].reason


def test_an_order_that_rests_is_looked_up_until_it_is_over() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(an_order())
        await post.outbox.idle()

    post = posted(scenario, Fate.RESTS)

    assert [each.state for each in post.published] == [OrderState.ACCEPTED, OrderState.FILLED]


def test_orders_of_one_instrument_are_sent_one_after_the_other() -> None:
    async def scenario(post: Post) -> None:
        post.venue.gate.clear()
        post.outbox.post(an_order("tda"))
        post.outbox.post(an_order("tdb"))
        post.outbox.post(an_order("tdc", instrument=ETH))
        await asyncio.sleep(1)
        assert post.venue.sent == ["tda", "tdc"]
        assert post.outbox.in_flight == 3
        post.venue.gate.set()
        await post.outbox.idle()

    post = posted(scenario)

    assert post.venue.sent == ["tda", "tdc", "tdb"]
    assert sorted(each.client_order_id for each in post.published) == ["tda", "tdb", "tdc"]


def test_a_look_up_is_answered_and_asking_twice_at_a_time_is_one_search() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_look_up())
        post.outbox.post(a_look_up())
        await post.outbox.idle()

    post = posted(scenario)

    assert post.venue.asked == ["tdone"]
    assert post.outcomes() == [Outcome.ABSENT]


def test_news_of_the_venue_are_passed_on() -> None:
    news = OrderReported(
        ts_ns=NOW_NS,
        client_order_id="tdone",
        outcome=Outcome.ACKNOWLEDGED,
        source=ReportSource.STREAM,
        state=OrderState.CANCELED,
    )

    async def scenario(post: Post) -> None:
        post.venue.news.put_nowait(news)
        await asyncio.sleep(1)

    assert posted(scenario).published == [news]


def test_news_that_cannot_be_taken_in_end_the_run_instead_of_being_lost() -> None:
    async def full(_event: Input) -> None:
        msg = "order reports pile up"
        raise AssertionError(msg)

    async def run() -> BaseException:
        venue = FakeVenue()
        await venue.submit(an_order())
        venue.news.put_nowait(await venue.look_up(a_look_up()))
        with pytest.raises(AssertionError) as raised:
            await Outbox(venue, full).run()
        return raised.value

    assert str(run_virtual(run())) == "order reports pile up"


def test_a_cancel_whose_answer_cannot_be_taken_in_is_not_passed_over() -> None:
    async def full(_event: Input) -> None:
        msg = "order reports pile up"
        raise AssertionError(msg)

    async def run() -> list[str]:
        heard: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: heard.append(str(context.get("exception")))
        )
        venue = FakeVenue()
        await venue.submit(a_resting_order())
        outbox = Outbox(venue, full)
        running = asyncio.create_task(outbox.run())
        outbox.post(a_cancel())
        await outbox.idle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        gc.collect()
        return heard

    assert run_virtual(run()) == ["order reports pile up"]


def test_a_stream_of_news_that_breaks_is_listened_to_again() -> None:
    class Breaking(FakeVenue):
        listened = 0

        async def reports(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self.listened += 1
            if self.listened < 3:
                raise ConnectionResetError
            async for report in super().reports():
                yield report

    async def run() -> Breaking:
        venue = Breaking()
        post = Post(venue)
        await asyncio.sleep(10)
        await post.stop()
        return venue

    assert run_virtual(run()).listened == 3


def test_when_stopped_an_order_on_its_way_is_answered_and_a_waiting_one_is_not_sent() -> None:
    async def scenario(post: Post) -> None:
        post.venue.gate.clear()
        post.outbox.post(an_order("tda"))
        post.outbox.post(an_order("tdb"))
        await asyncio.sleep(1)
        stopping = asyncio.create_task(post.stop())
        await asyncio.sleep(1)
        assert not stopping.done()
        post.venue.gate.set()
        await stopping

    post = posted(scenario)

    assert post.venue.sent == ["tda"]
    assert post.outcomes("tda") == [Outcome.ACKNOWLEDGED]
    assert post.outcomes("tdb") == [Outcome.NOT_SENT]


def test_a_command_posted_after_the_stop_is_never_sent() -> None:
    async def scenario(post: Post) -> None:
        await asyncio.sleep(1)
        post.outbox.post(an_order("tda"))
        await post.stop()
        post.outbox.post(an_order("tdb"))
        await asyncio.sleep(1)
        assert post.outbox.in_flight == 0

    post = posted(scenario)

    assert post.venue.sent == []
    assert post.outcomes("tda") == [Outcome.NOT_SENT]
    assert post.outcomes("tdb") == [Outcome.NOT_SENT]


def test_a_venue_that_never_answers_does_not_hold_up_the_end() -> None:
    async def scenario(post: Post) -> None:
        post.venue.gate.clear()
        post.outbox.post(an_order("tda"))
        await asyncio.sleep(1)
        async with asyncio.timeout(11):
            await post.stop()

    post = posted(scenario, drain_within_s=10.0)

    assert post.venue.sent == ["tda"]
    assert post.published == []


def test_a_look_up_that_fails_is_repeated_until_there_is_an_answer() -> None:
    class Flaky(FakeVenue):
        failures = 0

        async def look_up(self, order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            self.failures += 1
            if self.failures < 4:
                raise ValueError("odd")
            return await super().look_up(order)

    async def run() -> Post:
        post = Post(Flaky())
        post.outbox.post(a_look_up())
        await post.outbox.idle()
        await post.stop()
        return post

    assert run_virtual(run()).outcomes() == [Outcome.ABSENT]


def test_in_flight_is_zero_only_when_every_instrument_has_its_answers() -> None:
    async def scenario(post: Post) -> None:
        for number in range(20):
            instrument = BTC if number % 2 else ETH
            post.outbox.post(an_order(f"td{number}", instrument=instrument))
        await post.outbox.idle()
        assert len({each.client_order_id for each in post.published}) == 20

    posted(scenario, *[Fate.REPLY_LOST, Fate.FILLS, Fate.REFUSED] * 6)


def test_outboxes_that_share_turns_send_one_order_after_the_other() -> None:
    """As they were posted, whichever venue answers faster."""

    async def run() -> tuple[list[str], list[str], list[str]]:
        turns = Turns(is_ordered=True)
        slow, fast = Post(FakeVenue(), turns=turns), Post(FakeVenue(), turns=turns)
        slow.venue.gate.clear()
        slow.outbox.post(an_order())
        fast.outbox.post(an_order("tdtwo"))
        await asyncio.sleep(5)
        meanwhile = list(fast.venue.sent)
        slow.venue.gate.set()
        await slow.outbox.idle()
        await fast.outbox.idle()
        for post in (slow, fast):
            await post.stop()
        return meanwhile, slow.venue.sent, fast.venue.sent

    assert run_virtual(run()) == ([], ["tdone"], ["tdtwo"])


# --- orders that rest -----------------------------------------------------------------------------


def states(post: Post) -> list[OrderState | None]:
    return [each.state for each in post.published]


def test_an_order_that_rests_is_followed_until_it_is_over_and_nobody_waits_for_it() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        assert states(post) == [OrderState.ACCEPTED]
        await asyncio.sleep(200)
        assert states(post) == [OrderState.ACCEPTED], "no news is not told"
        post.venue.meets("tdone")
        await asyncio.sleep(70)
        post.venue.asked.clear()
        await asyncio.sleep(600)

    post = posted(scenario)

    assert states(post) == [OrderState.ACCEPTED, OrderState.FILLED]
    assert post.venue.asked == [], "what is over is not asked about"


def test_a_cancel_is_told_by_what_the_order_is_then() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        post.outbox.post(a_cancel())
        await post.outbox.idle()
        post.venue.asked.clear()
        await asyncio.sleep(600)

    post = posted(scenario)

    assert states(post) == [OrderState.ACCEPTED, OrderState.CANCELED]
    assert post.venue.asked == ["tdone"], "once more, whether that was true"


def test_a_fill_that_raced_a_cancel_is_found_soon_though_the_exchange_denied_it() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        post.outbox.post(a_cancel())
        await post.outbox.idle()
        post.venue.had_met(a_resting_order())
        await asyncio.sleep(3.0)

    post = posted(scenario)

    assert states(post) == [OrderState.ACCEPTED, OrderState.CANCELED, OrderState.FILLED]
    assert [len(each.fills) for each in post.published] == [0, 0, 1]


def test_a_cancel_that_came_too_late_tells_the_fill() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        post.venue.meets("tdone")
        post.outbox.post(a_cancel())
        await post.outbox.idle()

    post = posted(scenario)

    assert states(post)[-1] is OrderState.FILLED
    assert post.published[-1].fills


def test_two_cancels_of_one_order_at_a_time_are_one() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        post.outbox.post(a_cancel())
        post.outbox.post(a_cancel())
        await post.outbox.idle()

    assert posted(scenario).venue.cancelled == ["tdone"]


def test_after_the_end_nothing_is_cancelled() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        await post.stop()
        post.outbox.post(a_cancel())
        await asyncio.sleep(60)

    assert posted(scenario).venue.cancelled == []


def test_where_the_market_waits_resting_orders_are_asked_about_when_it_has_moved() -> None:
    async def scenario(post: Post) -> None:
        post.outbox.post(a_resting_order())
        await post.outbox.idle()
        await asyncio.sleep(600)
        assert post.venue.asked == []
        await post.outbox.look_at_resting()
        assert states(post) == [OrderState.ACCEPTED], "no news"
        post.venue.meets("tdone")
        await post.outbox.look_at_resting()
        await post.outbox.look_at_resting()

    post = posted(scenario, is_following=False)

    assert states(post) == [OrderState.ACCEPTED, OrderState.FILLED]
    assert post.venue.asked == ["tdone", "tdone"], "what is over is not asked about"


def test_an_order_that_an_earlier_process_left_open_is_followed() -> None:
    async def scenario(post: Post) -> None:
        await post.venue.submit(a_resting_order())
        post.outbox.watch(replace(a_look_up(), order_type=OrderType.LIMIT))
        await asyncio.sleep(5)
        post.venue.meets("tdone")
        await asyncio.sleep(70)

    post = posted(scenario)

    assert states(post) == [OrderState.ACCEPTED, OrderState.FILLED]
    assert post.venue.sent == ["tdone"]
