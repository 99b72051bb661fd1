"""A process that appends steps as fast as it can and prints each one that was acknowledged."""

import asyncio
import sys
from pathlib import Path

from daemon.core.events import Event
from daemon.store.journal import SqliteJournal
from tests.builders import a_bars_closed, an_intent, an_order_filled, feature_rows

AT_ONCE = 4


def step_of(number: int) -> tuple[Event, ...]:
    """Three to five events that all carry the step's number."""
    events = [a_bars_closed(ts_ns=number), feature_rows(ts_ns=number), an_intent(ts_ns=number)]
    return (*events, *(an_order_filled(ts_ns=number) for _ in range(number % 3)))


async def write(path: Path) -> None:
    journal = SqliteJournal.open(path)
    turn = journal.last_step()

    async def append(number: int) -> None:
        await journal.append(step_of(number), is_durable=number % 2 == 0)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()

    while True:
        await asyncio.gather(*(append(turn + n) for n in range(1, AT_ONCE + 1)))
        turn += AT_ONCE


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
