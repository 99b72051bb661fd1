"""The daemon under a service manager: a fake one that listens on a notify socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.command import Tradingd

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 60


def test_the_manager_hears_ready_status_watchdog_and_stopping(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(address))
    manager.settimeout(WITHIN_S)
    tradingd = Tradingd(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "run", "--market", "synthetic", "--speed", "20"],
        cwd=tmp_path,
        env=tradingd.environment | {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    heard: list[str] = []
    try:
        while not all(any(word in each for each in heard) for word in ("READY=1", "WATCHDOG=1")):
            heard.append(manager.recv(4096).decode())
        process.terminate()
        while not any("STOPPING=1" in each for each in heard):
            heard.append(manager.recv(4096).decode())
    finally:
        process.terminate()
    lines = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    manager.close()

    assert process.wait(WITHIN_S) == 0
    ready = next(place for place, each in enumerate(heard) if "READY=1" in each)
    assert any("EXTEND_TIMEOUT_USEC=" in each for each in heard[:ready])
    assert any(each.startswith("STATUS=") for each in heard)
    assert lines[-1]["event"] == "run.finished"
