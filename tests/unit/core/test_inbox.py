import asyncio

from hypothesis import given
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.inbox import Inbox
from daemon.core.instruments import InstrumentId
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    a_bar,
    a_bars_missed,
    a_feed_stale,
    a_halt_requested,
    a_health_tick,
    an_order_reported,
)

SOL = InstrumentId("binance", "SOL/USDT")


def closed(instrument: InstrumentId, hour: int = 0, received_ns: int = 0) -> e.BarsClosed:
    ts_ns = CLOSE_NS + hour * HOUR_NS + received_ns
    bar = a_bar(instrument=instrument, open_ns=CLOSE_NS + (hour - 1) * HOUR_NS)
    return e.BarsClosed(ts_ns=ts_ns, bars=(bar,))


async def taken(inbox: Inbox) -> list[e.Input]:
    return [await inbox.get() for _ in range(len(inbox)) if len(inbox)]


async def test_answers_and_commands_go_before_bars_that_came_earlier() -> None:
    inbox = Inbox()
    for event in (closed(BTC), an_order_reported(), a_feed_stale(), a_halt_requested()):
        await inbox.put(event)

    order = [type(each) for each in await taken(inbox)]

    assert order == [e.OrderReported, e.HaltRequested, e.BarsClosed, e.FeedStale]


async def test_bars_of_one_slot_that_wait_become_one_cross_section() -> None:
    inbox = Inbox()
    for event in (closed(SOL, received_ns=5), closed(BTC, received_ns=9), closed(ETH)):
        await inbox.put(event)

    joined = await inbox.get()

    assert isinstance(joined, e.BarsClosed)
    assert [bar.instrument for bar in joined.bars] == [BTC, ETH, SOL]
    assert joined.ts_ns == CLOSE_NS + 9
    assert len(inbox) == 0


async def test_bars_of_two_slots_stay_apart_however_far_the_queue_has_run_ahead() -> None:
    inbox = Inbox()
    for event in (closed(BTC, 0), closed(ETH, 1), closed(BTC, 1)):
        await inbox.put(event)

    sections = await taken(inbox)

    assert sections[0] == closed(BTC, 0)
    assert isinstance(sections[1], e.BarsClosed)
    assert [bar.instrument for bar in sections[1].bars] == [BTC, ETH]


async def test_the_same_instrument_twice_is_never_joined() -> None:
    inbox = Inbox()
    await inbox.put(closed(BTC))
    await inbox.put(closed(BTC))

    assert await taken(inbox) == [closed(BTC), closed(BTC)]


async def test_what_lies_between_two_bars_keeps_its_place() -> None:
    inbox = Inbox()
    events = [closed(BTC), a_bars_missed(instrument=ETH), closed(ETH)]
    for event in events:
        await inbox.put(event)

    assert await taken(inbox) == events


async def test_a_full_lane_makes_bars_wait_and_nothing_else() -> None:
    inbox = Inbox(market_max=1)
    await inbox.put(closed(BTC, 0))
    late = asyncio.create_task(inbox.put(closed(BTC, 1)))
    await asyncio.sleep(0)

    await inbox.put(an_order_reported())
    await inbox.put(a_health_tick())

    assert not late.done()
    assert inbox.waits_for_room == 1
    assert [await inbox.get(), await inbox.get()] == [an_order_reported(), a_health_tick()]
    assert await inbox.get() == closed(BTC, 0)
    await late
    assert await inbox.get() == closed(BTC, 1)


async def test_several_that_wait_for_room_all_get_in_and_the_lane_keeps_its_bound() -> None:
    inbox = Inbox(market_max=2)
    putting = [asyncio.create_task(inbox.put(closed(BTC, hour))) for hour in range(20)]
    got: list[e.Input] = []
    while len(got) < 20:
        await asyncio.sleep(0)
        assert len(inbox) <= 2
        got.append(await inbox.get())

    await asyncio.gather(*putting)

    assert got == [closed(BTC, hour) for hour in range(20)]


async def test_a_reader_that_waits_is_woken_by_what_comes() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)

    await inbox.put(a_health_tick())

    assert await reading == a_health_tick()


@given(st.lists(st.tuples(st.sampled_from([BTC, ETH, SOL]), st.integers(0, 3)), max_size=30))
def test_joining_loses_no_bar_and_keeps_the_order_of_each_instrument(
    said: list[tuple[InstrumentId, int]],
) -> None:
    async def scenario() -> list[e.Input]:
        inbox = Inbox()
        for instrument, hour in said:
            await inbox.put(closed(instrument, hour))
        return await taken(inbox)

    sections = [each for each in asyncio.run(scenario()) if isinstance(each, e.BarsClosed)]

    for section in sections:
        instruments = [bar.instrument for bar in section.bars]
        assert instruments == sorted(set(instruments))
        assert len({bar.close_ns for bar in section.bars}) == 1
    for instrument in (BTC, ETH, SOL):
        told = [CLOSE_NS + hour * HOUR_NS for each, hour in said if each == instrument]
        arrived = [
            bar.close_ns for each in sections for bar in each.bars if bar.instrument == instrument
        ]
        assert arrived == told
