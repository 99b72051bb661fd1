"""`tradingd flatten` beside a daemon whose door is full: a line, and patience, not a traceback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from daemon.cli.flatten import flatten
from daemon.core.errors import CheckFailed
from daemon.store.runs import RunSpec, new_run
from daemon.web.control import SOCKET_NAME, Answer

RUN = "20240101T000000-3fa2"
FULL = Answer(ok=False, error="too many connections: try again")
FLAT = Answer(ok=True, status={"run": RUN, "positions": {}, "open_orders": [], "dust": {}})


@contextmanager
def a_daemon(state: Path, *answers: Answer) -> Iterator[None]:
    """Gives each who asks the next of these answers."""
    new_run(
        state,
        RunSpec(
            run=RUN, created_ns=1, mode="shadow", market="binance", symbols=("BTC/USDT",),
            timeframe="1h", seed=1, config_hash="",
        ),
    )  # fmt: skip
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(state / SOCKET_NAME))
        door.listen()
        thread = threading.Thread(target=_serve, args=(door, answers))
        thread.start()
        yield
        thread.join(timeout=30)
        assert not thread.is_alive(), "not everything that was to be asked was asked"


def _serve(door: socket.socket, answers: tuple[Answer, ...]) -> None:
    for answer in answers:
        connection, _ = door.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(msgspec.json.encode(answer) + b"\n")


def asked(state: Path) -> int:
    return flatten("", True, False, "last", None, state, as_json=True)


def test_a_full_house_is_said_in_a_line(tmp_path: Path) -> None:
    with (
        a_daemon(tmp_path, FULL),
        pytest.raises(CheckFailed, match="too many connections: try again"),
    ):
        asked(tmp_path)


def test_a_full_house_behind_the_request_is_waited_for(tmp_path: Path) -> None:
    with a_daemon(tmp_path, FLAT, FLAT, FULL, FLAT):
        assert asked(tmp_path) == 0
