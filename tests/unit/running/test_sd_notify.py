import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.running.process.sd_notify import Notifier


@contextmanager
def a_manager(address: str) -> Iterator[socket.socket]:
    """The manager's end: a datagram socket, as systemd binds it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)
        yield manager


async def heard(manager: socket.socket) -> list[str]:
    async with asyncio.timeout(5):
        message = await asyncio.get_running_loop().sock_recv(manager, 4096)
    return message.decode().split("\n")


async def test_ready_comes_with_a_status(tmp_path: Path) -> None:
    with a_manager(str(tmp_path / "notify")) as manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "notify")})

        assert notifier.is_managed
        assert notifier.ready("paper: 8760 bars")
        assert await heard(manager) == ["READY=1", "STATUS=paper: 8760 bars"]


async def test_an_abstract_socket_is_reached() -> None:
    name = f"tradingd-test-{os.getpid()}-{os.urandom(4).hex()}"
    with a_manager(f"\0{name}") as manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"})

        assert notifier.stopping()
        assert await heard(manager) == ["STOPPING=1", "STATUS=stopping"]


async def test_a_status_is_one_line_and_can_forge_no_state(tmp_path: Path) -> None:
    with a_manager(str(tmp_path / "notify")) as manager:
        Notifier(str(tmp_path / "notify")).status("warming up\nREADY=1\t now")

        assert await heard(manager) == ["STATUS=warming up READY=1 now"]


async def test_more_time_is_asked_for_in_microseconds(tmp_path: Path) -> None:
    with a_manager(str(tmp_path / "notify")) as manager:
        Notifier(str(tmp_path / "notify")).extend_timeout(1.5)

        assert await heard(manager) == ["EXTEND_TIMEOUT_USEC=1500000"]


async def test_progress_feeds_the_watchdog(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with a_manager(address) as manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
        feeding = asyncio.create_task(notifier.feed_watchdog(lambda: True))

        assert [await heard(manager) for _ in range(3)] == [["WATCHDOG=1"]] * 3
        assert notifier.watchdog_s == 0.02
        assert not feeding.done()
        feeding.cancel()


async def test_a_daemon_without_progress_lets_the_watchdog_starve(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    asked = asyncio.Queue[bool]()

    def stuck() -> bool:
        asked.put_nowait(False)
        return False

    with a_manager(address) as manager:
        notifier = Notifier(address, watchdog_s=0.01)
        feeding = asyncio.create_task(notifier.feed_watchdog(stuck))
        async with asyncio.timeout(5):
            for _ in range(3):
                await asked.get()
        feeding.cancel()
        notifier.status("still here")

        assert await heard(manager) == ["STATUS=still here"]


async def test_a_loop_that_hangs_sends_nothing(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with a_manager(address) as manager:
        notifier = Notifier(address, watchdog_s=0.002)
        feeding = asyncio.create_task(notifier.feed_watchdog(lambda: True))
        await heard(manager)

        # Blocks the loop as a stuck handler would, for many watchdog periods.
        silence = socket.socketpair()
        silence[0].settimeout(0.05)
        try:
            silence[0].recv(1)
        except TimeoutError:
            pending = [len(part) for part in _waiting(manager)]
        feeding.cancel()
        for each in silence:
            each.close()

        assert pending == []


def _waiting(manager: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield manager.recv(4096)
        except BlockingIOError:
            return


async def test_without_a_manager_everything_is_silent() -> None:
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "20000"})

    assert not notifier.is_managed
    assert notifier.watchdog_s is None
    assert not notifier.ready("on")
    await notifier.feed_watchdog(lambda: True)


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    assert not Notifier(str(tmp_path / "gone")).status("on")


def test_a_socket_of_an_unknown_kind_is_ignored() -> None:
    assert not Notifier.from_environment({"NOTIFY_SOCKET": "vsock:2:1234"}).is_managed


def test_a_watchdog_time_that_is_no_number_is_no_watchdog(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")

    for text in ("", "0", "soon", "-1"):
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": text}
        assert Notifier.from_environment(environ).watchdog_s is None
