import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from daemon.config import load
from daemon.running.alerts.alerting import Alerts
from daemon.store.runs import RunSpec
from tests.builders import a_halt
from tests.unit.running.test_alert_addresses import CANARY, WITHIN_S, Service, a_service

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


class Bench:
    """Alerts of a run whose log lines are kept."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.lines: Queue[tuple[str, dict[str, Any]]] = Queue()
        settings = load(None, {}, {f"TRADINGD__ALERTS__{k}": v for k, v in environ.items()})
        spec = RunSpec(
            run="r1", created_ns=0, mode="paper", market="synthetic", symbols=("BTC/USDT",),
            timeframe="1h", seed=1, config_hash="0", edge=0.4, bars=None, start=None, speed="max",
        )  # fmt: skip
        self.folder = folder
        self.alerts = Alerts(settings, spec, emit=self._emit, clean=lambda text: text)

    def _emit(self, event: str, **fields: object) -> None:
        self.lines.put((event, fields))

    def said(self) -> list[str]:
        return [self.lines.get_nowait()[0] for _ in range(self.lines.qsize())]


def of_services(folder: Path, *services: Service) -> Bench:
    pytest.importorskip("apprise")
    return Bench(folder, URLS=" ".join(f"json://{each.at}/{CANARY}" for each in services))


def test_a_committed_halt_becomes_a_message_with_its_numbers(tmp_path: Path) -> None:
    with a_service() as service:
        bench = of_services(tmp_path, service)
        bench.alerts.start()
        bench.alerts.tap((a_halt(detail="drawdown 0.16"),))
        message = service.takes()
        bench.alerts.close()

    assert message["title"].startswith("critical tradingd: trading is halted")
    assert "detail: drawdown 0.16" in message["message"]
    assert "run: r1, paper" in message["message"]
    assert bench.said() == ["alerts.on"]


def test_what_is_said_at_the_very_end_still_arrives(tmp_path: Path) -> None:
    with a_service() as service:
        bench = of_services(tmp_path, service)
        bench.alerts.start()
        bench.alerts.write("daemon.failed", {"error": "AssertionError: too many events"})
        bench.alerts.close()
        message = service.takes()

    assert message["title"] == "critical tradingd: a bug has ended the daemon; the journal is whole"


def test_a_loop_that_stands_still_is_told_of_while_it_does(tmp_path: Path) -> None:
    """Nothing here runs on the loop: this thread is the loop, and it only waits for the message."""
    with a_service() as service:
        bench = of_services(tmp_path, service)
        bench.alerts.start()
        watchdog = threading.Thread(
            target=bench.alerts.write,
            args=("process.stuck", {"stage": "Risk.on_signal", "silent_s": 12.0, "stack": ["x"]}),
        )
        watchdog.start()
        message = service.takes()
        watchdog.join()
        bench.alerts.close()

    assert "stage: Risk.on_signal" in message["message"]
    assert "stack" not in message["message"]


def test_without_an_address_nothing_is_started_and_nothing_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    before = threading.active_count()

    bench.alerts.start()
    bench.alerts.tap((a_halt(),))
    bench.alerts.beat()
    bench.alerts.close()

    assert threading.active_count() == before
    assert not bench.alerts.is_enabled("daemon.halted")
    assert bench.said() == []


def test_a_heartbeat_is_one_request_and_needs_no_library(tmp_path: Path) -> None:
    with a_service() as service:
        bench = Bench(tmp_path, HEARTBEAT_URL=f"http://{service.at}/{CANARY}")
        bench.alerts.start()
        bench.alerts.beat()
        first = service.takes()
        bench.alerts.close()

    assert bench.alerts.has_heart
    assert first == {"path": f"/{CANARY}"}


def test_a_dead_heartbeat_address_is_said_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HEARTBEAT_URL=f"http://127.0.0.1:1/{CANARY}")
    bench.alerts.start()
    bench.alerts.beat()
    on = bench.lines.get(timeout=WITHIN_S)
    failed = bench.lines.get(timeout=WITHIN_S)
    for _ in range(20):
        bench.alerts.beat()
    bench.alerts.close()

    assert on == ("alerts.on", {"addresses": ["heartbeat"]})
    assert failed == ("alerts.failed", {"address": "heartbeat", "error": "URLError"})
    assert bench.said() == []
