"""Who gets in: keys, signatures, times, bans and maintenance, alike over REST and ws-api.

Belongs here: what is refused before anyone reads what was asked. What a signed request means
belongs in trading.
"""

import math
from collections.abc import Mapping

from daemon.embedded.conditions import Conditions
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.refusals import RequestError, key_refused
from daemon.embedded.signing import (
    Credentials,
    check_key,
    check_rest_signature,
    check_time,
    check_ws_signature,
)

TEAPOT = 418
MAINTENANCE = 503
MAINTENANCE_TEXT = "System upgrade, please try again later."


class Access:
    """The door of one account."""

    def __init__(self, credentials: Credentials, conditions: Conditions) -> None:
        self.key = credentials.key
        self._credentials = credentials
        self._conditions = conditions
        self._warned: dict[int, int] = {}
        self._banned_until_ms: dict[int, int] = {}

    def check_open(self) -> None:
        """RequestError while the exchange is down for maintenance, or has banned the address."""
        if self._conditions.is_in_maintenance():
            raise RequestError(-1016, MAINTENANCE_TEXT, status=MAINTENANCE)
        ban = self._conditions.ban()
        if ban is not None:
            self._check_ban(ban)

    def is_down(self) -> bool:
        return self._conditions.is_in_maintenance()

    def check_rest(self, key: str | None, query: str, body: str, params: Mapping[str, str]) -> None:
        self.check_key(key)
        check_rest_signature(self._credentials, query, body)
        check_time(params, self._conditions.now_ms())

    def check_ws(self, params: Mapping[str, object], texts: Mapping[str, str]) -> None:
        self.check_key(texts.get("apiKey"))
        check_ws_signature(self._credentials, params)
        check_time(texts, self._conditions.now_ms())

    def check_session(self, texts: Mapping[str, str]) -> None:
        """A session that logged on need not sign again, but its requests still have a time."""
        self.check_key(self._credentials.key)
        if "timestamp" in texts:
            check_time(texts, self._conditions.now_ms())

    def check_key(self, key: str | None) -> None:
        """RequestError without a key, with a wrong one, and when it was revoked."""
        check_key(self._credentials, key)
        if self._conditions.is_revoked():
            raise key_refused()

    def _check_ban(self, rule: FaultRule) -> None:
        """So many requests are warned off with 429, then the address is banned for a while."""
        now_ms = self._conditions.now_ms()
        until_ms = self._banned_until_ms.get(id(rule))
        if until_ms is not None and now_ms >= until_ms:
            return
        wait_ms = round(rule.sec * 1_000)
        warned = self._warned.get(id(rule), 0)
        if warned < rule.count:
            self._warned[id(rule)] = warned + 1
            text = (
                "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
            )
            raise _refusal(429, text, wait_ms)
        if until_ms is None:
            until_ms = self._banned_until_ms[id(rule)] = now_ms + wait_ms
        text = f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket"
        raise _refusal(TEAPOT, f"{text} Streams for live updates to avoid bans.", until_ms - now_ms)


def _refusal(status: int, text: str, wait_ms: int) -> RequestError:
    headers = {"Retry-After": str(math.ceil(wait_ms / 1_000))}
    return RequestError(-1003, text, status=status, headers=headers)
