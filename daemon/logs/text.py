"""Makes log lines safe and readable: hides secrets, caps length, lays out lines for a terminal.

Belongs here: pure functions on the text and fields of one line. Where lines go is `writing`.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

HIDDEN = "***"
LINE_BYTES_MAX = 16 * 1024
KEPT_LENGTH = 400  # characters of a field that was cut
SECRET_LENGTH_MIN = 4

_SECRET_KEYS = (
    *("apikey", "apisecret", "secret", "secretkey", "privatekey", "password", "passphrase"),
    *("token", "listenkey", "webhook", "authorization", "cookie", "signature"),
)
# Cheap words of which one stands in every text that holds something to hide besides known secrets.
_HINTS = (
    *("apikey", "api_key", "api-key", "secret", "private", "password", "passphrase", "token"),
    *("listenkey", "listen_key", "listen-key", "webhook", "authorization", "cookie", "signature"),
    "://",
)
_NAMED = re.compile(
    r"""((?:api|private|secret|listen)[-_ ]?key|api[-_]?secret|secret|password|passphrase|token
        |webhook|authorization|cookie|signature)
        (['"\\]*\s*(?:=>|=|:|%3[dD])\s*['"\\]*(?:(?:bearer|basic)\s+)?)
        [^\s'"\\&,;)}\]]+""",
    re.IGNORECASE | re.VERBOSE,
)
_IN_URL = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+@")
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"%[0-9A-F]{2}")

_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;97;41"}
_FIRST = ("ts", "level", "event", "run", "symbol", "bar", "at", "trace", "exception")


class Redactor:
    """Replaces secrets by ***: by the name of the field, by pattern, and by their very text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these texts too, in every form in which they may be written."""
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longer forms first: a secret may contain another one.
        self._forms = tuple(sorted({*self._forms, *forms}, key=lambda form: (-len(form), form)))

    def suspects(self, line: str) -> bool:
        """True when a line may hold something to hide; cheap, because nearly no line does."""
        if any(form in line for form in self._forms):
            return True
        lowered = line.lower()
        return any(hint in lowered for hint in _HINTS)

    def clean(self, value: object) -> object:
        """A copy of the value in which nothing secret is left."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, Mapping):
            return {
                self.clean_text(str(name)): HIDDEN if _is_secret(str(name)) else self.clean(part)
                for name, part in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(part) for part in value]
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        return HIDDEN if any(form in text for form in self._forms) else value

    def clean_text(self, text: str) -> str:
        text = self.clean_known(text)
        text = _PEM.sub(rf"\1{HIDDEN}\2", text)
        text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
        return _NAMED.sub(rf"\1\2{HIDDEN}", text)

    def clean_known(self, text: str) -> str:
        """Only the known secrets are replaced."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "").endswith(_SECRET_KEYS)


def _forms(secret: str) -> set[str]:
    forms = set()
    for part in {secret, secret.strip(), *secret.splitlines()}:
        if len(part) >= SECRET_LENGTH_MIN:
            forms |= _plain_forms(part) | _encoded_forms(part.encode("utf-8", "surrogatepass"))
    return {form for form in forms if len(form) >= SECRET_LENGTH_MIN}


def _plain_forms(secret: str) -> set[str]:
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lowered = {_ESCAPE.sub(lambda found: found[0].lower(), each) for each in quoted}
    escaped = {json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False)}
    return {secret, repr(secret)[1:-1], *quoted, *lowered, *escaped}


def _encoded_forms(secret: bytes) -> set[str]:
    """Hexadecimal, and base64 wherever in a longer text the secret may begin."""
    forms = {secret.hex(), secret.hex().upper()}
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(b"\0" * before + secret).decode().rstrip("=")
            first = (0, 2, 3)[before]  # characters that also depend on what stands before
            last = 1 if (before + len(secret)) % 3 else 0  # or after
            forms.add(text[first : len(text) - last])
    return forms


def capped(fields: dict[str, object]) -> dict[str, object]:
    """The same line with its largest field cut to a beginning that says how much is missing."""
    texts = {name: _unquoted(value) for name, value in fields.items()}
    largest = max(texts, key=lambda name: len(texts[name].encode()))
    text = texts[largest]
    kept = text[: min(KEPT_LENGTH, len(text) // 2)]
    missing = len(text.encode()) - len(kept.encode())
    return {**fields, largest: f"{kept}...cut {missing} bytes"}


def ascii_only(line: str) -> str:
    """The line with every other character as JSON escapes it."""
    return "".join(each if each.isascii() else json.dumps(each)[1:-1] for each in line)


def console_line(
    fields: Mapping[str, object], *, has_color: bool, shows_exchange: bool = False
) -> str:
    """Market time, symbol, event and the rest as key=value, in columns."""
    moment = str(fields.get("bar") or fields.get("at") or "")[:19].replace("T", " ")
    level = str(fields["level"])
    event = f"{fields['event']!s:<18}"
    rest = [
        f"{name}={_shown(value)}"
        for name, value in fields.items()
        if name not in _FIRST and not (name == "exchange" and "symbol" in fields)
    ]
    if "trace" in fields:
        rest.append(f"trace={str(fields['trace'])[:8]}")
    symbol, width = _shown(fields.get("symbol", "")), 10
    if shows_exchange:
        width = 19
        if symbol and "exchange" in fields:
            symbol = f"{_shown(fields['exchange'])}:{symbol}"
    head = f"{moment:<19} {symbol:<{width}} {level:<8} "
    if has_color:
        event = f"\x1b[{_COLORS[level]}m{event}\x1b[0m"
    line = f"{head}{event} {' '.join(rest)}".rstrip()
    if "exception" in fields:
        line += "\n" + str(fields["exception"])
    return line


def _unquoted(value: object) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, separators=(",", ":"), default=str)
    return str(value)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (Mapping, list, tuple)):
        return _unquoted(value)
    text = str(value)
    # What an exchange sent may hold escape codes that would command the terminal.
    return text if text.isprintable() and " " not in text else json.dumps(text)
