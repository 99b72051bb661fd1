import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.core.events import Input, OrderReported, Outcome
from daemon.running.fence import Fence
from daemon.running.halt_file import HaltFile
from daemon.venues.outbox import Outbox
from tests.fakes import FakeVenue
from tests.unit.venues.orders import an_order
from tests.virtual_time import run_virtual


@pytest.mark.parametrize(
    ("halts", "is_stopping", "reason"),
    [
        (["drawdown", "operator"], False, "trading is halted: drawdown, operator"),
        ([], True, "the daemon stops"),
    ],
)
def test_an_entry_that_waits_in_line_when_trading_halts_or_the_daemon_stops_does_not_leave(
    tmp_path: Path, halts: list[str], is_stopping: bool, reason: str
) -> None:
    published: list[OrderReported] = []
    now: dict[str, bool] = {"is_late": False}

    async def publish(event: Input) -> None:
        assert isinstance(event, OrderReported)
        published.append(event)

    async def scenario() -> list[str]:
        venue = FakeVenue()
        fence = Fence(
            HaltFile(tmp_path),
            lambda: halts if now["is_late"] else [],
            lambda: is_stopping and now["is_late"],
            is_lockstep=False,
        )
        outbox = Outbox(venue, publish, fence=fence)
        running = asyncio.create_task(outbox.run())
        venue.gate.clear()  # the exchange takes its time with the first one
        for name, is_exit in (("tdstop", True), ("tdentry", False), ("tdexit", True)):
            outbox.post(replace(an_order(name), is_exit=is_exit))
        await asyncio.sleep(1)
        now["is_late"] = True
        venue.gate.set()
        await outbox.idle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return venue.sent

    assert run_virtual(scenario()) == ["tdstop", "tdexit"]
    (kept,) = (each for each in published if each.client_order_id == "tdentry")
    assert (kept.outcome, kept.reason) == (Outcome.NOT_SENT, reason)


def test_in_lock_step_only_the_file_keeps_an_order_back(tmp_path: Path) -> None:
    fence = Fence(HaltFile(tmp_path), lambda: ["operator"], lambda: True, is_lockstep=True)
    assert fence(False) == ""

    (tmp_path / "HALT").touch()

    assert "HALT" in fence(False)
    assert fence(True) == ""
