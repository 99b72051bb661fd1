import asyncio
import gc

from daemon.running.process.strays import KINDS_MAX, Strays


async def dies() -> None:
    raise KeyError("https://exchange.example/order?signature=secret")


def test_a_task_nobody_waits_for_is_told_once_by_kind_and_place_without_its_words() -> None:
    told: list[str] = []
    strays = Strays(told.append)

    async def scenario() -> None:
        strays.listen(asyncio.get_running_loop())
        for _ in range(3):
            task = asyncio.create_task(dies())
            await asyncio.wait({task})
            del task
            gc.collect()

    asyncio.run(scenario())

    assert strays.count == 3
    assert len(told) == 1
    assert told[0].startswith("KeyError in dies, line ")
    assert "secret" not in told[0]


def test_a_callback_that_fails_is_told_and_a_flood_of_kinds_is_bounded() -> None:
    told: list[str] = []
    strays = Strays(told.append)
    loop = asyncio.new_event_loop()
    for number in range(2 * KINDS_MAX):
        strays.hear(loop, {"message": f"odd {number}"})
    loop.close()

    assert strays.count == 2 * KINDS_MAX
    assert len(told) == KINDS_MAX
