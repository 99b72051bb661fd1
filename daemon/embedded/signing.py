"""Signatures: decides whether a request was signed with the account's secret, and in time.

Belongs here: HMAC-SHA256 over REST and ws-api parameters, and the receive window on the wire clock.
What a signed request asks for belongs in trading.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.embedded.refusals import (
    RequestError,
    illegal_parameter,
    key_refused,
    missing_parameter,
)

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MAX_MS = 1_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """The key and secret of the one account; the secret is never logged."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials(key={self.key!r}, secret=...)"


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_key(credentials: Credentials, key: str | None) -> None:
    """RequestError -2014 without a key, -2015 with a wrong one."""
    if not key:
        raise RequestError(-2014, "API-key format invalid.", status=401)
    if not hmac.compare_digest(key.encode(), credentials.key.encode()):
        raise key_refused()


def check_rest_signature(credentials: Credentials, query: str, body: str) -> None:
    """The signed text is the raw query followed by the raw body, without the signature itself."""
    signatures: list[str] = []
    parts: list[str] = []
    for raw in (query, body):
        pairs = raw.split("&") if raw else []
        signatures += [pair.partition("=")[2] for pair in pairs if _is_signature(pair)]
        parts.append("&".join(pair for pair in pairs if not _is_signature(pair)))
    _check_signature(credentials, "".join(parts), signatures[0] if signatures else "")


def check_ws_signature(credentials: Credentials, params: Mapping[str, object]) -> None:
    """The signed text is the parameters sorted by name and joined as a query."""
    pairs = [f"{name}={_text(params[name])}" for name in sorted(params) if name != "signature"]
    _check_signature(credentials, "&".join(pairs), str(params.get("signature", "")))


def check_time(params: Mapping[str, str], now_ms: int) -> None:
    """RequestError -1021 when the request is from the future or older than its receive window."""
    timestamp = _number(params, "timestamp")
    if timestamp is None:
        raise missing_parameter("timestamp")
    window_ms = _number(params, "recvWindow")
    window_ms = RECV_WINDOW_MS if window_ms is None else window_ms
    if window_ms > RECV_WINDOW_MAX_MS:
        raise RequestError(-1131, f"'recvWindow' must be less than {RECV_WINDOW_MAX_MS}.")
    if timestamp > now_ms + AHEAD_MAX_MS:
        text = f"Timestamp for this request was {AHEAD_MAX_MS}ms ahead of the server's time."
        raise RequestError(-1021, text)
    if now_ms - timestamp > window_ms:
        raise RequestError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _check_signature(credentials: Credentials, payload: str, signature: str) -> None:
    if not signature:
        raise missing_parameter("signature")
    good = sign(credentials.secret, payload)
    if not hmac.compare_digest(good.encode(), signature.lower().encode()):
        raise RequestError(-1022, "Signature for this request is not valid.")


def _is_signature(pair: str) -> bool:
    return pair.startswith("signature=")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name)
    if text is None:
        return None
    try:
        return int(float(text))
    except ValueError:
        raise illegal_parameter(name, "^[0-9]{1,20}$") from None
