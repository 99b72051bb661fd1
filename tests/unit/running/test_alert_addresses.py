import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import pytest

from daemon.config import AlertsSection, ConfigRefused
from daemon.running.alerts.addresses import (
    INSTALL,
    Mailbox,
    Ping,
    checked,
    close_all,
    mailboxes,
    secrets_of,
    tried,
)
from daemon.running.alerts.rules import Alert, Severity

# The library that sends imports a module of the standard library that will be gone in 3.13.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

WITHIN_S = 30.0
CANARY = "c4n4ry0fatoken"


def an_alert(title: str = "critical bot-a: it stands still") -> Alert:
    return Alert(severity=Severity.CRITICAL, title=title, body="line one\nline two")


class Service(ThreadingHTTPServer):
    """A service on loopback that takes messages, or answers `code`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.code = 200
        self.heard: Queue[dict[str, Any]] = Queue()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                service.heard.put(json.loads(self.rfile.read(length)))
                self._answer()

            def do_GET(self) -> None:
                service.heard.put({"path": self.path})
                self._answer()

            def _answer(self) -> None:
                self.send_response(service.code)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def takes(self) -> dict[str, Any]:
        return self.heard.get(timeout=WITHIN_S)


@contextmanager
def a_service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


class Told:
    """Who hears of trouble; a test waits for it instead of sleeping."""

    def __init__(self) -> None:
        self.queue: Queue[tuple[str, str, int]] = Queue()

    def __call__(self, name: str, error: str, lost: int) -> None:
        self.queue.put((name, error, lost))

    def next(self) -> tuple[str, str, int]:
        return self.queue.get(timeout=WITHIN_S)


# --- a mailbox ----------------------------------------------------------------------------------


def test_a_dead_address_is_told_of_once_and_again_when_it_is_back() -> None:
    answers = iter(["refused", "refused", "refused", "", ""])
    sent: Queue[str] = Queue()

    def deliver(alert: Alert) -> str:
        error = next(answers)
        if not error:
            sent.put(alert.title)
        return error

    told = Told()
    box = Mailbox("1 JSON", deliver, told, again_first_s=0.001)
    box.start()
    box.post(an_alert("first"))
    box.post(an_alert("second"))
    arrived = [sent.get(timeout=WITHIN_S) for _ in range(2)]
    close_all([box], WITHIN_S)

    assert arrived == ["first", "second"]
    assert [told.next(), told.next()] == [("1 JSON", "refused", 0), ("1 JSON", "", 0)]
    assert told.queue.empty()


def test_what_nobody_takes_is_given_up_and_counted() -> None:
    tries: list[str] = []
    gone = threading.Event()

    def deliver(alert: Alert) -> str:
        tries.append(alert.title)
        if alert.title == "last":
            gone.set()
            return ""
        return "refused"

    box = Mailbox("1 JSON", deliver, Told(), tries_max=3, again_first_s=0.001)
    box.start()
    box.post(an_alert("never"))
    box.post(an_alert("last"))
    assert gone.wait(WITHIN_S)
    close_all([box], WITHIN_S)

    assert tries == ["never"] * 3 + ["last"]
    assert box.lost == 1


def test_posting_to_an_address_that_hangs_returns_at_once_and_keeps_the_newest() -> None:
    go_on, is_hanging = threading.Event(), threading.Event()
    arrived: list[str] = []

    def deliver(alert: Alert) -> str:
        is_hanging.set()
        go_on.wait(WITHIN_S)
        arrived.append(alert.title)
        return ""

    box = Mailbox("1 JSON", deliver, Told(), waiting_max=3)
    box.start()
    box.post(an_alert("0"))
    assert is_hanging.wait(WITHIN_S)
    for number in range(1, 1_001):
        box.post(an_alert(str(number)))
    go_on.set()
    close_all([box], WITHIN_S)

    assert arrived == ["0", "998", "999", "1000"]
    assert box.lost == 997


def test_the_end_is_not_delayed_by_an_address_that_hangs() -> None:
    hanging, is_hanging = threading.Event(), threading.Event()

    def deliver(_alert: Alert) -> str:
        is_hanging.set()
        hanging.wait(WITHIN_S)
        return ""

    box = Mailbox("1 JSON", deliver, Told())
    box.start()
    box.post(an_alert())
    assert is_hanging.wait(WITHIN_S)
    close_all([box], 0.01)
    is_still_hanging = not hanging.is_set()
    hanging.set()

    assert is_still_hanging


# --- through apprise ----------------------------------------------------------------------------


def test_an_alert_arrives_through_the_library_as_it_was_written() -> None:
    pytest.importorskip("apprise")
    with a_service() as service:
        (box,) = mailboxes([f"json://{service.at}/{CANARY}"], Told())
        box.start()
        box.post(an_alert())
        message = service.takes()
        close_all([box], WITHIN_S)

    assert box.name == "1 JSON"
    assert message["title"] == "critical bot-a: it stands still"
    assert message["message"] == "line one\nline two"
    assert message["type"] == "failure"


def test_an_address_that_answers_with_an_error_is_named_by_its_number_and_the_error() -> None:
    pytest.importorskip("apprise")
    told = Told()
    with a_service() as service:
        service.code = 500
        (box,) = mailboxes([f"json://{service.at}/{CANARY}"], told)
        box.start()
        box.post(an_alert())
        name, error, _ = told.next()
        close_all([box], WITHIN_S)

    assert name == "1 JSON"
    assert "500" in error
    assert CANARY not in error


def test_a_dead_address_does_not_keep_alerts_from_a_living_one() -> None:
    pytest.importorskip("apprise")
    with a_service() as service:
        addresses = [f"json://127.0.0.1:1/{CANARY}", f"json://{service.at}/"]
        boxes = mailboxes(addresses, Told())
        for each in boxes:
            each.start()
            each.post(an_alert())
        title = service.takes()["title"]
        close_all(boxes, WITHIN_S)

    assert title == "critical bot-a: it stands still"


def test_an_address_that_the_library_does_not_know_is_refused_without_being_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("apprise")
    section = AlertsSection(urls=f"json://127.0.0.1/ nonsense://{CANARY}")

    with pytest.raises(ConfigRefused) as caught:
        checked(section)

    (line,) = caught.value.lines
    assert line.startswith("alerts.urls: error: the second address is none that apprise can use")
    assert CANARY not in line + caplog.text


def test_a_test_message_says_which_address_took_it() -> None:
    pytest.importorskip("apprise")
    with a_service() as service:
        section = AlertsSection(
            urls=f"json://{service.at}/a json://127.0.0.1:1/b",
            heartbeat_url=f"http://{service.at}/{CANARY}",
        )
        answers = tried(section, "bot-a")
        heard = [service.takes(), service.takes()]

    assert [(name, not error) for name, error in answers] == [
        ("1 JSON", True),
        ("2 JSON", False),
        ("heartbeat", True),
    ]
    assert heard[0]["title"] == "info bot-a: a test"
    assert heard[1]["path"] == f"/{CANARY}"


# --- without it ---------------------------------------------------------------------------------


def test_without_the_library_one_line_says_what_to_install() -> None:
    section = AlertsSection(urls="json://127.0.0.1/")

    assert checked(section, find=lambda _name: None) == INSTALL
    assert "pip install 'tradingd[alerts]'" in INSTALL
    assert checked(AlertsSection(), find=lambda _name: None) == ""


def test_nowhere_to_send_to_is_refused_with_what_to_set() -> None:
    with pytest.raises(ConfigRefused, match="alerts__urls"):
        tried(AlertsSection(), "bot-a")


def test_a_ping_is_a_yes_below_400_and_says_the_code_otherwise() -> None:
    with a_service() as service:
        ping = Ping(f"http://{service.at}/{CANARY}")
        well = ping(an_alert())
        service.code = 404
        gone = ping(an_alert())

    assert (well, gone) == ("", "404")
    assert Ping("http://127.0.0.1:1/")(an_alert()) == "URLError"


def test_addresses_and_the_keys_in_them_are_secrets_and_hosts_are_not() -> None:
    section = AlertsSection(
        urls=f"tgram://123456789:{CANARY}/4242 json://hooks.example.com/services/T0/B0/{CANARY}2",
        heartbeat_url="https://hc.example.com/ping/0123-4567-89ab",
    )

    secrets = secrets_of(section)

    assert {*section.addresses, "https://hc.example.com/ping/0123-4567-89ab"} <= {*secrets}
    assert {CANARY, f"{CANARY}2", "123456789", "0123-4567-89ab"} <= {*secrets}
    assert {"hooks.example.com", "hc.example.com", "ping", "json"} & {*secrets} == set()
