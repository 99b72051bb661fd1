"""Where alerts go: one thread for each address, so that one that is dead holds up nobody.

Belongs here: sending, trying again, giving up. What is sent belongs to `alerts.desk`. Addresses are
secrets: they are named by their number and kind alone.
"""

from __future__ import annotations

import logging
import re
import threading
import urllib.request
from collections import deque
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from daemon.config import ConfigRefused
from daemon.core.clock import WireClock
from daemon.logs.text import Redactor
from daemon.running.alerts.rules import Alert, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from apprise import NotifyBase

    from daemon.config import AlertsSection

WAITING_MAX = 100
TRIES_MAX = 8
AGAIN_FIRST_S, AGAIN_MAX_S = 2.0, 300.0
PING_WITHIN_S = 10.0
KEY_LENGTH_MIN = 8  # of a part of an address
INSTALL = (
    "alerts.urls are set, and apprise, which sends to them, is not installed: "
    "pip install 'tradingd[alerts]'"
)


class Deliver(Protocol):
    """Sends one alert; "" when it was taken, else why not."""

    def __call__(self, alert: Alert, /) -> str: ...


class Mailbox:
    """What waits for one address, and the thread that takes it there.

    `tell` hears (name, error, lost) once when it begins to fail, and with error "" when it takes
    again.
    """

    def __init__(
        self,
        name: str,
        deliver: Deliver,
        tell: Callable[[str, str, int], None],
        *,
        waiting_max: int = WAITING_MAX,
        tries_max: int = TRIES_MAX,
        again_first_s: float = AGAIN_FIRST_S,
    ) -> None:
        self.name = name
        self.lost = 0  # given up, or pushed out by newer ones
        self._deliver = deliver
        self._tell = tell
        self._tries_max = tries_max
        self._again_first_s = again_first_s
        self._waiting: deque[Alert] = deque()
        self._waiting_max = waiting_max
        self._changed = threading.Condition()
        self._is_closing = self._is_idle = self._is_failing = False
        self._thread = threading.Thread(target=self._run, name=f"alerts {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def post(self, alert: Alert) -> None:
        """Never waits: the oldest makes room for the newest."""
        with self._changed:
            self._waiting.append(alert)
            if len(self._waiting) > self._waiting_max:
                self._waiting.popleft()
                self.lost += 1
            self._changed.notify()

    def close(self) -> None:
        """Try everything that waits once more, without pauses, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)

    def _run(self) -> None:
        while (alert := self._next()) is not None:
            self._take_there(alert)

    def _next(self) -> Alert | None:
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _take_there(self, alert: Alert) -> None:
        pause_s = self._again_first_s
        for tried in range(1, self._tries_max + 1):
            error = self._deliver(alert)
            self._note(error)
            if not error:
                return
            if tried < self._tries_max and not self._wait(pause_s):
                break  # the end: others wait, too
            pause_s = min(2 * pause_s, AGAIN_MAX_S)
        self.lost += 1

    def _wait(self, seconds: float) -> bool:
        """False when the end comes first."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._is_closing, seconds)

    def _note(self, error: str) -> None:
        if bool(error) is not self._is_failing:
            self._is_failing = bool(error)
            self._tell(self.name, error, self.lost)


def mailboxes(
    addresses: Sequence[str], tell: Callable[[str, str, int], None]
) -> tuple[Mailbox, ...]:
    """One for each address; ConfigRefused for what apprise does not know."""
    return tuple(Mailbox(name, deliver, tell) for name, deliver in _services(addresses))


def checked(config: AlertsSection, find: Callable[[str], object] = find_spec) -> str:
    """What a person should know before a start, "" when all is well; ConfigRefused as above."""
    if not config.addresses:
        return ""
    if find("apprise") is None:
        return INSTALL
    for _ in _services(config.addresses):
        pass
    return ""


def tried(config: AlertsSection, bot: str) -> list[tuple[str, str]]:
    """One message to each address now: (name, error), "" for one that took it; ConfigRefused where
    there is none.
    """
    if lacking := checked(config):
        raise ConfigRefused([f"alerts: error: {lacking}"])
    services = list(_services(config.addresses))
    if config.heartbeat_url is not None:
        services.append(("heartbeat", Ping(config.heartbeat_url.get_secret_value())))
    if not services:
        line = "alerts: error: there is no address: set alerts__urls as a credential"
        raise ConfigRefused([f"{line}, or TRADINGD__ALERTS__URLS"])
    alert = Alert(
        severity=Severity.INFO,
        title=f"info {bot}: a test",
        body="This is what `tradingd alerts test` sends.\nWhat to do: nothing.",
    )
    redact = Redactor(secrets_of(config)).clean_text
    return [(name, redact(deliver(alert))) for name, deliver in services]


def secrets_of(config: AlertsSection) -> tuple[str, ...]:
    """The addresses, and those parts of them that may be a key by themselves."""
    told = [*config.addresses]
    if config.heartbeat_url is not None:
        told.append(config.heartbeat_url.get_secret_value())
    parts = {part for each in told for part in re.split(r"[/:@?&=#,]+", each)}
    return (*told, *sorted(part for part in parts if _may_be_key(part)))


def _may_be_key(part: str) -> bool:
    is_host = "." in part or part == "localhost"
    return len(part) >= KEY_LENGTH_MIN and not is_host


def _services(addresses: Sequence[str]) -> Iterator[tuple[str, Deliver]]:
    import apprise

    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.handlers = [_Heard(logging.WARNING)]
    asset = apprise.AppriseAsset(async_mode=False)
    for number, address in enumerate(addresses, 1):
        service = apprise.Apprise.instantiate(address, asset=asset)
        if service is None:
            line = (
                f"alerts.urls: error: the {_ordinal(number)} address is none that apprise can use "
                "(it is not shown here); its documentation has the form of each service"
            )
            raise ConfigRefused([line])
        yield f"{number} {service.service_name}", _Apprised(service)


class _Apprised:
    """Sends through one service of apprise, whose time-outs bound it."""

    def __init__(self, service: NotifyBase) -> None:
        import apprise

        self._sender = apprise.Apprise(asset=service.asset)
        self._sender.add(service)
        self._kinds = {
            Severity.INFO: apprise.NotifyType.INFO,
            Severity.WARNING: apprise.NotifyType.WARNING,
            Severity.CRITICAL: apprise.NotifyType.FAILURE,
        }

    def __call__(self, alert: Alert) -> str:
        said: list[str] = []
        _said.set(said)
        try:
            is_taken = bool(
                self._sender.notify(
                    body=alert.body,
                    title=alert.title,
                    notify_type=self._kinds[alert.severity],
                    body_format="text",
                )
            )
        except Exception as error:  # noqa: BLE001  # a plugin's bug is no reason to stop sending
            return type(error).__name__
        return "" if is_taken else " ".join(said[-2:]) or "it was not taken"


# What apprise says of a failure; its own threads inherit the list of whoever sends.
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)


class _Heard(logging.Handler):
    """Takes the failures of apprise to who sends; they go nowhere else, as they may name urls."""

    def emit(self, record: logging.LogRecord) -> None:
        said = _said.get()
        if said is not None:
            said.append(record.getMessage())


class Ping:
    """The sign of life: one GET; any answer below 400 is a yes."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, _alert: Alert) -> str:
        try:
            with urllib.request.urlopen(self._url, timeout=PING_WITHIN_S):  # noqa: S310  # checked
                return ""
        except Exception as error:  # noqa: BLE001  # urllib raises what sockets and servers give it
            return str(getattr(error, "code", "")) or type(error).__name__


def close_all(boxes: Sequence[Mailbox], within_s: float) -> None:
    """Give all of them together so much time for what they still have."""
    wire = WireClock()
    end_s = wire.monotonic_s() + within_s
    for each in boxes:
        each.close()
    for each in boxes:
        each.join(max(0.0, end_s - wire.monotonic_s()))


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
