"""The one way out for log lines: JSON for machines, columns for people, secrets for nobody.

Belongs here: levels, forms and streams of lines; nothing else imports structlog. What lines say
belongs to `registry` (the registry) and `tap` (from events to lines).
"""

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from decimal import Decimal
from typing import Any, TextIO

import msgspec
import structlog

from daemon.core.clock import Clock, WireClock
from daemon.core.instruments import plain
from daemon.core.timeframes import NS_PER_S, rfc3339
from daemon.logs import tap as log_tap
from daemon.logs.registry import REGISTRY
from daemon.logs.rows import LEVELS
from daemon.logs.text import LINE_BYTES_MAX, Redactor, ascii_only, capped, console_line

SYSLOG = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# The first and the last line of a run are its result: they are written at every level.
ALWAYS = frozenset({"run.started", "run.finished"})
REPEAT_AFTER_NS = 60 * NS_PER_S
REPEATS_REMEMBERED_MAX = 256
CUTS_MAX = 100
ENDS_BYTES = len("<6>") + len("\n")

_encode = msgspec.json.Encoder(enc_hook=str, decimal_format="string").encode


class Log:
    """Writes registered events; made by `configure`."""

    def __init__(self, sink: "_Sink", form: "_Form", *, level: str, run: str, clock: Clock) -> None:
        self._sink = sink
        self._form = form
        self._clock = clock
        self._level_number = LEVELS[level]
        self._bound = structlog.wrap_logger(
            sink,
            processors=[structlog.processors.format_exc_info, self._stamp, form],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        ).bind(run=run)

    def emit(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Log one event of the registry with exactly its fields; AssertionError for any other."""
        self.write(event, fields, exc_info)

    def write(
        self,
        event: str,
        fields: Mapping[str, object],
        exc_info: BaseException | None = None,
    ) -> None:
        """Like `emit`, for fields that exist as a mapping already."""
        row = REGISTRY.get(event)
        assert row is not None, f"{event} is not in daemon/logs/registry.py"
        names = fields.keys()
        surplus = names - row.required - row.optional - {"run"}
        assert not surplus, f"{event} has no field {', '.join(sorted(surplus))}"
        assert names >= row.required, f"{event} lacks {', '.join(sorted(row.required - names))}"
        if row.level_number < self._level_number and event not in ALWAYS:
            return
        said = {
            name: plain(value) if type(value) is Decimal else value
            for name, value in fields.items()
            if value is not None or name in row.required
        }
        if exc_info is not None:
            said["exc_info"] = exc_info
        self._bound.log(row.level_number, event, **said)

    def is_enabled(self, event: str) -> bool:
        """Whether this event's level is written at all."""
        return event in ALWAYS or REGISTRY[event].level_number >= self._level_number

    def hide(self, *secrets: str) -> None:
        """Never write these texts, in whatever form, from now on."""
        self._form.redactor.add(secrets)

    def clean(self, text: str) -> str:
        """The text without anything secret, for whoever writes elsewhere."""
        return self._form.redactor.clean_text(text)

    def _stamp(
        self, _: object, level: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """The common fields, in front."""
        name, run = event.pop("event"), event.pop("run")
        stamp = {"ts": rfc3339(self._clock.now_ns()), "level": level, "event": name}
        return {**stamp, "run": run, **event} if run else {**stamp, **event}


class Tap(log_tap.Tap):
    """A tap on the configured logs."""

    def __init__(self, log: Log | None = None) -> None:
        super().__init__(log or current())


_current: list[Log] = []
_handlers: list[logging.Handler] = []


def configure(
    *,
    level: str = "info",
    format: str = "auto",  # noqa: A002  # the name of the key in config.toml
    stream: TextIO | None = None,
    run: str = "",
    secrets: Iterable[str] = (),
    is_journal: bool = False,
    has_color: bool | None = None,
    shows_exchange: bool = False,
    clock: Clock | None = None,
) -> Log:
    """Set up the logs of this process, the standard library's included, and return them.

    `format` is json, console, or auto: console when `stream` (default: stdout) is a terminal.
    `is_journal` puts the <N> in front that systemd's journal takes for a priority; see
    `is_journal_stream`. `has_color` defaults to whether the stream is a terminal; see
    `wants_color`. JSON always names the exchange of an instrument, columns do where
    `shows_exchange`. Libraries are heard from warnings up.
    """
    stream = stream or sys.stdout
    is_console = format == "console" or (format == "auto" and stream.isatty())
    form = _Form(
        Redactor(secrets),
        is_console=is_console,
        has_color=is_console and (stream.isatty() if has_color is None else has_color),
        is_journal=is_journal,
        shows_exchange=shows_exchange,
    )
    log = Log(_Sink(stream), form, level=level, run=run, clock=clock or WireClock())
    release()
    _current.append(log)
    handler = _LibraryHandler(log, clock or WireClock())
    _handlers.append(handler)
    logging.getLogger().addHandler(handler)
    return log


def current() -> Log:
    """The logs of this process."""
    assert _current, "the logs are used before they are configured"
    return _current[0]


def emit(event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
    """Log one event of the registry; see `Log.emit`."""
    current().write(event, fields, exc_info)


def hide(*secrets: str) -> None:
    """Never write these texts; see `Log.hide`."""
    current().hide(*secrets)


def release() -> None:
    """Let go of the standard library's logs; `emit` needs a new `configure` after this."""
    _current.clear()
    while _handlers:
        logging.getLogger().removeHandler(_handlers.pop())


def is_journal_stream(stream: TextIO, journal_stream: str | None) -> bool:
    """Whether systemd's journal reads `stream`, given the environment's JOURNAL_STREAM."""
    if not journal_stream:
        return False
    try:
        state = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{state.st_dev}:{state.st_ino}"


def wants_color(stream: TextIO, no_color: str | None) -> bool:
    """Whether to colour lines on `stream`, given the environment's NO_COLOR (any text: no)."""
    return stream.isatty() and not no_color


class _Form:
    """Last processor: fields become a line, and nothing secret or endless leaves it."""

    def __init__(
        self,
        redactor: Redactor,
        *,
        is_console: bool,
        has_color: bool,
        is_journal: bool,
        shows_exchange: bool,
    ) -> None:
        self.redactor = redactor
        self._is_console = is_console
        self._has_color = has_color
        self._is_journal = is_journal
        self._shows_exchange = shows_exchange

    def __call__(self, _: object, level: str, event: MutableMapping[str, Any]) -> str:
        fields = dict(event)
        line = self._line(fields)
        if self.redactor.suspects(line):
            fields = self._cleaned(fields)
            line = self.redactor.clean_known(self._line(fields))
        cuts = 0
        while len(line.encode("utf-8", "replace")) + ENDS_BYTES > LINE_BYTES_MAX:
            fields = capped(self._cleaned(fields))  # cleaned first: half a secret is one, too
            line = self.redactor.clean_known(self._line(fields))
            cuts += 1
            assert cuts < CUTS_MAX, f"{fields['event']} has more fields than a line can hold"
        return f"<{SYSLOG[level]}>{line}" if self._is_journal else line

    def _line(self, fields: dict[str, Any]) -> str:
        if self._is_console:
            return console_line(
                fields, has_color=self._has_color, shows_exchange=self._shows_exchange
            )
        try:
            return _encode(fields).decode()
        except UnicodeEncodeError:  # half a surrogate pair, as in a file name that is no text
            return _encode({name: _text_of(value) for name, value in fields.items()}).decode()

    def _cleaned(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: self.redactor.clean(value) for name, value in fields.items()}


def _text_of(value: object) -> object:
    is_plain = value is None or isinstance(value, (bool, int, float))
    return value if is_plain else str(value).encode("utf-8", "replace").decode()


class _Sink:
    """The stream. Logs that nobody can read any more are no reason to stop trading."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.lost = 0

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                try:
                    self._stream.write(line + "\n")
                except UnicodeEncodeError:  # the terminal knows fewer characters
                    self._stream.write(ascii_only(line) + "\n")
                self._stream.flush()
            except BrokenPipeError:  # the reader has gone: | head
                self.lost += 1
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            except (OSError, ValueError):  # a full disk, a closed stream
                self.lost += 1

    debug = info = warning = error = critical = _write


class _LibraryHandler(logging.Handler):
    """Lines of the standard library's logging, from warnings up; the same one once a minute."""

    def __init__(self, log: Log, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[int, int]] = {}  # when, and how often since

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message
            message = str(record.msg)
        repeated = self._repeated(record.name, message)
        if repeated is None:
            return
        fields: dict[str, object] = {"logger": record.name, "message": message}
        if repeated:
            self._log.write("log.repeated", fields | {"repeated": repeated})
            return
        name = "library.failed" if record.levelno >= logging.ERROR else "library.warned"
        error = record.exc_info[1] if record.exc_info else None
        self._log.write(name, fields, error)

    def _repeated(self, logger: str, message: str) -> int | None:
        """How often it was held back since it was last said; None when it is to be held back."""
        now_ns = self._clock.now_ns()
        since_ns, held_back = self._said.pop((logger, message), (None, 0))
        if since_ns is not None and now_ns - since_ns < REPEAT_AFTER_NS:
            self._said[logger, message] = (since_ns, held_back + 1)
            return None
        self._said[logger, message] = (now_ns, 0)
        if len(self._said) > REPEATS_REMEMBERED_MAX:
            del self._said[next(iter(self._said))]
        return held_back
