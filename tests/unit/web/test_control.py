"""The control socket from both ends: what it lets in, when it answers, and who is said to ask."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import control as client
from daemon.core import events as e
from daemon.core.clock import ManualClock
from daemon.core.errors import CheckFailed, DaemonNotRunning, ModelRefused, UsageRefused
from daemon.store.lock import StateLock
from daemon.web.control import (
    CONNECTIONS_MAX,
    LINE_BYTES_MAX,
    REASON_BYTES_MAX,
    SOCKET_NAME,
    Answer,
    Control,
    Request,
    short_path,
    wrong_reason,
)
from tests.builders import (
    MODEL,
    a_halt,
    a_health_tick,
    a_model_activated,
    a_promotion,
    a_resumption,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW_NS = 1_704_067_200_000_000_000  # 2024-01-01
ME = f"uid {os.getuid()} pid {os.getpid()}"
SOON_S = 0.05
MANY = b'{"command":"halt","reason":"many"}\n'


class FakeDaemon:
    """Puts inputs into a list; commits each at once, or when told."""

    def __init__(self, folder: Path, *, commits: bool = True, within_s: float = 30.0) -> None:
        self.asked: list[e.Input] = []
        self.must_stay = ""
        self.cancelled: list[str] = []
        self.is_training = True
        self.arrived = asyncio.Event()
        self._commits = commits
        self.control = Control(
            folder,
            put=self._put,
            now_ns=ManualClock(NOW_NS).now_ns,
            status=lambda: {"trading": "halted" if self.asked else "active"},
            must_stay_halted=lambda: self.must_stay,
            cancel_training=self._cancel,
            swap=self._swap,
            within_s=within_s,
        )

    def _cancel(self, why: str) -> bool:
        self.cancelled.append(why)
        return self.is_training

    def commit(self, event: e.Input) -> None:
        caused: e.Event = a_halt() if isinstance(event, e.HaltRequested) else a_resumption()
        if isinstance(event, e.PromotionRequested):
            caused = a_promotion(activation=event.activation)
        self.control.note((event, caused))

    async def _swap(self, command: str, model: str) -> e.ModelActivated:
        if model == "unknown":
            msg = f"{command} {model}: not in the registry"
            raise ModelRefused(msg)
        return a_model_activated(model=model)

    async def _put(self, event: e.Input) -> None:
        self.asked.append(event)
        self.arrived.set()
        if self._commits:
            self.commit(event)


@asynccontextmanager
async def serving(daemon: FakeDaemon) -> AsyncIterator[None]:
    running = asyncio.create_task(daemon.control.run())
    waiting = asyncio.create_task(daemon.control.ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


async def asked(folder: Path, request: Request) -> Answer:
    return await asyncio.to_thread(client.ask, folder, request)


async def sent(folder: Path, line: bytes) -> Answer:
    """What comes back for any bytes at all."""
    with short_path(folder) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    writer.write(line)
    try:
        return msgspec.json.decode(await reader.readline(), type=Answer)
    finally:
        writer.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_halt_is_queued_with_its_reason_time_and_asker(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)
    async with serving(daemon):
        answer = await asked(tmp_path, Request("halt", "looks wrong"))

    assert daemon.asked == [e.HaltRequested(ts_ns=NOW_NS, reason="looks wrong", who=ME)]
    assert answer == Answer(
        ok=True,
        at="2024-01-01T00:00:00.000Z",
        who=ME,
        caused=("TradingHalted",),
        status={"trading": "halted"},
    )


async def test_a_resume_is_queued_and_says_what_it_caused(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)
    async with serving(daemon):
        answer = await asked(tmp_path, Request("resume", "checked"))

    assert daemon.asked == [e.ResumeRequested(ts_ns=NOW_NS, reason="checked", who=ME)]
    assert answer.caused == ("TradingResumed",)


async def test_a_resume_that_could_not_last_is_refused_and_a_halt_is_not(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)
    daemon.must_stay = "take the file away first"
    async with serving(daemon):
        resume = await asked(tmp_path, Request("resume", "checked"))
        halt = await asked(tmp_path, Request("halt", "looks wrong"))

    assert (resume.ok, resume.error, halt.ok) == (False, "take the file away first", True)
    assert [type(each) for each in daemon.asked] == [e.HaltRequested]


async def test_a_status_asks_the_core_for_nothing(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)
    async with serving(daemon):
        answer = await asked(tmp_path, Request("status"))

    assert answer == Answer(ok=True, who=ME, status={"trading": "active"})
    assert daemon.asked == []


async def test_a_training_is_cancelled_by_whoever_asks_and_says_why(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)
    async with serving(daemon):
        answer = await asked(tmp_path, Request("cancel_training", "not now"))
        daemon.is_training = False
        again = await asked(tmp_path, Request("cancel_training", "not now"))
        silent = await asked(tmp_path, Request("cancel_training"))

    assert daemon.cancelled == [f"cancelled by {ME}: not now"] * 2
    assert (answer.ok, answer.who) == (True, ME)
    assert (again.ok, again.error) == (False, "no model is being trained")
    assert not silent.ok
    assert daemon.asked == []


async def test_nothing_is_answered_before_the_commit(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, commits=False)
    async with serving(daemon):
        asking = asyncio.create_task(asked(tmp_path, Request("halt", "wait for it")))
        await daemon.arrived.wait()
        daemon.control.note((a_health_tick(),))
        status = await asked(tmp_path, Request("status"))
        was_answered = asking.done()
        daemon.commit(daemon.asked[0])
        answer = await asking

    assert status.ok
    assert not was_answered
    assert answer.ok


async def test_of_two_equal_requests_each_waits_for_its_own_commit(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, commits=False)
    async with serving(daemon):
        asking = set()
        for _ in range(2):
            daemon.arrived.clear()
            asking.add(asyncio.create_task(asked(tmp_path, Request("halt", "same"))))
            await daemon.arrived.wait()
        one, two = daemon.asked
        daemon.commit(two)
        done, left = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        daemon.commit(one)
        await asyncio.wait(left)

    assert one == two
    assert one is not two
    assert (len(done), len(left)) == (1, 1)


async def test_a_commit_that_does_not_come_is_told_as_late(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, commits=False, within_s=SOON_S)
    async with serving(daemon):
        answer = await asked(tmp_path, Request("halt", "hurry"))
        daemon.commit(daemon.asked[0])  # nobody waits any more, and that is no error

    assert (answer.ok, answer.is_late) == (False, True)
    assert "may still take effect" in answer.error


async def test_who_connects_and_says_nothing_is_sent_away(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, within_s=SOON_S)
    async with serving(daemon):
        answer = await sent(tmp_path, b'{"command":')

    assert answer == Answer(ok=False, error="no request within 0.05 s")


@pytest.mark.parametrize(
    "line",
    [
        b"halt",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"command":"sell","reason":"r"}',
        b'{"command":"halt"}',
        b'{"command":"halt","reason":""}',
        b'{"command":"halt","reason":"  "}',
        b'{"command":"halt","reason":7}',
        b'{"command":"halt","reason":"two\\nlines"}',
        b'{"command":"halt","reason":"\\u001b[31mred"}',
        b'{"command":"halt","reason":"r","who":"uid 0 pid 1"}',
        b"[" * 4_000,
        b'{"command":"halt","reason":' + b"[" * 4_000,
        b'{"x":' + b"[" * 4_000,
        b'{"command":"halt","reason":"%s"}' % (b"r" * (REASON_BYTES_MAX + 1)),
        b"r" * (LINE_BYTES_MAX + 1),
    ],
)
async def test_what_is_no_request_is_refused_and_queues_nothing(
    tmp_path: Path, line: bytes
) -> None:
    daemon = FakeDaemon(tmp_path)
    async with serving(daemon):
        answer = await sent(tmp_path, line + b"\n")
        after = await asked(tmp_path, Request("status"))

    assert not answer.ok
    assert answer.error
    assert daemon.asked == []
    assert after.ok


@given(st.text(max_size=REASON_BYTES_MAX + 8))
def test_every_reason_that_is_let_in_fits_into_a_request_and_one_line(reason: str) -> None:
    if wrong_reason(reason):
        return
    line = msgspec.json.encode(Request("resume", reason))

    assert len(line) <= LINE_BYTES_MAX
    assert len(reason.splitlines()) == 1
    assert msgspec.json.decode(line, type=Request).reason == reason


async def test_one_connection_too_many_is_refused_and_a_place_that_is_free_again_is_given(
    tmp_path: Path,
) -> None:
    daemon = FakeDaemon(tmp_path, commits=False)
    async with serving(daemon):
        asking = []
        for _ in range(CONNECTIONS_MAX):
            daemon.arrived.clear()
            asking.append(asyncio.create_task(sent(tmp_path, MANY)))
            await daemon.arrived.wait()
        refused = await asked(tmp_path, Request("status"))
        for event in daemon.asked:
            daemon.commit(event)
        await asyncio.gather(*asking)
        given_again = await asked(tmp_path, Request("status"))

    assert refused.error == "too many connections: try again"
    assert given_again.ok


async def test_who_leaves_without_waiting_has_still_asked(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, commits=False)
    async with serving(daemon):
        with short_path(tmp_path) as address:
            _, writer = await asyncio.open_unix_connection(address)
        writer.write(msgspec.json.encode(Request("halt", "gone")) + b"\n")
        await daemon.arrived.wait()
        writer.transport.abort()
        daemon.commit(daemon.asked[0])
        after = await asked(tmp_path, Request("status"))

    assert len(daemon.asked) == 1
    assert after.ok


async def test_the_socket_is_its_owners_alone_and_goes_with_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / SOCKET_NAME
    async with serving(FakeDaemon(tmp_path)):
        mode = path.lstat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()


async def test_the_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead, short_path(tmp_path) as address:
        dead.bind(address)
    with pytest.raises(DaemonNotRunning, match="no daemon is running"):
        client.ask(tmp_path, Request("status"))

    async with serving(FakeDaemon(tmp_path)):
        answer = await asked(tmp_path, Request("status"))

    assert answer.ok


async def test_a_state_directory_may_have_a_name_longer_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("s" * 150)
    folder.mkdir()
    open_before = open_files()
    async with serving(FakeDaemon(folder)):
        answer = await asked(folder, Request("halt", "far away"))

    assert answer.ok
    assert open_files() == open_before


async def test_a_daemon_that_ends_leaves_nobody_waiting(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path, commits=False)
    async with serving(daemon):
        asking = asyncio.create_task(asked(tmp_path, Request("halt", "too late")))
        await daemon.arrived.wait()

    with pytest.raises(DaemonNotRunning, match="ended before it answered"):
        await asking


async def test_a_missing_state_directory_stops_the_control_loudly(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await FakeDaemon(tmp_path / "nowhere").control.run()


# --- the client alone -----------------------------------------------------------------------------


def test_without_a_daemon_a_request_exits_3(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DaemonNotRunning, match="no daemon is running") as refusal:
            client.ask(folder, Request("halt", "anybody?"))
        assert refusal.value.exit_code == 3


def test_a_daemon_that_does_not_listen_yet_is_told_from_none(tmp_path: Path) -> None:
    with (
        StateLock.acquire(tmp_path, started_ns=NOW_NS),
        pytest.raises(DaemonNotRunning, match=f"pid {os.getpid()} is starting or stopping"),
    ):
        client.ask(tmp_path, Request("halt", "too early"))


def test_a_daemon_that_does_not_answer_is_a_time_out(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung, short_path(tmp_path) as address:
        hung.bind(address)
        hung.listen()
        with pytest.raises(client.TimedOut, match="may still do as asked") as refusal:
            client.ask(tmp_path, Request("halt", "hello?"), within_s=SOON_S)

    assert refusal.value.exit_code == 5


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "r" * (REASON_BYTES_MAX + 1)])
def test_a_bad_reason_is_a_wrong_command_line(tmp_path: Path, reason: str) -> None:
    with pytest.raises(UsageRefused, match="--reason"):
        client.halt(reason, None, tmp_path, as_json=False)
    with pytest.raises(UsageRefused, match="--reason"):
        client.resume(reason, True, None, tmp_path, as_json=False)


def test_a_resume_must_be_confirmed(tmp_path: Path) -> None:
    with pytest.raises(UsageRefused, match="--confirm"):
        client.resume("checked", False, None, tmp_path, as_json=False)


async def test_a_command_prints_one_line_or_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(FakeDaemon(tmp_path)):
        await asyncio.to_thread(client.halt, " why ", None, tmp_path, as_json=False)
        line = capsys.readouterr().out
        await asyncio.to_thread(client.resume, "so", True, None, tmp_path, as_json=True)
        result: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)

    assert line.startswith("trading is halted since 2024-01-01T00:00:00.000Z")
    assert line.count("\n") == 1
    assert result == {
        "command": "resume",
        "reason": "so",
        "at": "2024-01-01T00:00:00.000Z",
        "who": ME,
        "caused": ["TradingResumed"],
        "trading": "halted",
    }


@pytest.mark.parametrize(
    ("is_late", "error", "code"), [(True, client.TimedOut, 5), (False, CheckFailed, 4)]
)
async def test_a_refusal_of_the_daemon_has_its_exit_code(
    tmp_path: Path, is_late: bool, error: type[Exception], code: int
) -> None:
    within_s = SOON_S if is_late else 30.0
    daemon = FakeDaemon(tmp_path, commits=False, within_s=within_s)
    async with serving(daemon):
        asking = []
        for _ in range(0 if is_late else CONNECTIONS_MAX):
            daemon.arrived.clear()
            asking.append(asyncio.create_task(sent(tmp_path, MANY)))
            await daemon.arrived.wait()
        with pytest.raises(error) as refusal:
            await asyncio.to_thread(client.halt, "one more", None, tmp_path, as_json=False)
        for event in daemon.asked:
            daemon.commit(event)
        await asyncio.gather(*asking)

    assert getattr(refusal.value, "exit_code", None) == code


async def test_a_promotion_carries_a_proven_model_and_tells_what_it_replaced(
    tmp_path: Path,
) -> None:
    daemon = FakeDaemon(tmp_path)

    async with serving(daemon):
        answer = await asked(tmp_path, Request("promote", "better", "rf-1"))

    (event,) = daemon.asked
    assert isinstance(event, e.PromotionRequested)
    assert (event.model, event.reason, event.who) == ("rf-1", "better", ME)
    assert (answer.model, answer.replaced) == ("rf-1", MODEL)


async def test_a_model_that_must_not_be_used_never_becomes_an_input(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path)

    async with serving(daemon):
        answer = await asked(tmp_path, Request("rollback", "worse", "unknown"))

    assert (answer.ok, answer.error) == (False, "rollback unknown: not in the registry")
    assert daemon.asked == []
