"""Decides what is sent: turns log events into few messages, however many events there are.

Belongs here: waiting whether something ends by itself, counting what repeats, and the rate. It
knows no clock and no network: `now_s` comes with every call.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.running.alerts.rules import (
    BY_EVENT,
    ENDED_BY,
    Alert,
    Fields,
    Rule,
    Severity,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import AlertsSection

Key = tuple[str, ...]
KEYS_MAX = 1_000
BURST = 10.0
RESERVED = 3.0  # of the burst: for what is critical
HOUR_S = 3_600.0


class _Seen(Struct):
    """What was sent of one thing, and what came since."""

    since_s: float
    rule: Rule
    fields: Fields
    count: int = 0


class Desk:
    """`origin` are the lines that say which bot this is; `clean` takes secrets out of a text."""

    def __init__(
        self,
        config: AlertsSection,
        send: Callable[[Alert], None],
        *,
        bot: str,
        origin: str,
        clean: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._config = config
        self._least = Severity(config.severity_min).rank
        self._send = send
        self._bot = bot
        self._origin = origin
        self._clean = clean
        self._held: dict[Key, tuple[float, Rule, Fields]] = {}
        self._seen: OrderedDict[Key, _Seen] = OrderedDict()
        self._open: OrderedDict[Key, Rule] = OrderedDict()  # told, and its end is told too
        self._tokens = BURST
        self._filled_s: float | None = None
        self._unsent: Counter[tuple[Severity, str]] = Counter()

    def hear(self, event: str, fields: Fields, now_s: float) -> None:
        """One log event, whatever its level."""
        for ended in ENDED_BY.get(event, ()):
            self._end(ended, ended.key(fields), fields, now_s)
        rule = BY_EVENT.get(event)
        if rule is None or not rule.when(fields) or rule.severity.rank < self._least:
            return
        key = rule.key(fields)
        if not rule.after_s:
            self._tell(key, rule, fields, now_s)
        elif key not in self._open and len(self._held) < KEYS_MAX:
            self._held.setdefault(key, (now_s + rule.after_s, rule, fields))

    def tick(self, now_s: float) -> None:
        """Tell what lasts, what repeated, and what was too much."""
        for key, (due_s, rule, fields) in list(self._held.items()):
            if due_s <= now_s:
                del self._held[key]
                self._tell(key, rule, fields, now_s)
        for key, seen in list(self._seen.items()):
            if now_s - seen.since_s < self._config.repeat_after_s:
                continue
            if seen.count:
                self._repeat(seen, now_s)
                seen.since_s, seen.count = now_s, 0
            else:
                del self._seen[key]
        self._tell_unsent(now_s)

    def close(self, now_s: float) -> None:
        """The last chance: what was counted is told in one message."""
        for seen in self._seen.values():
            if seen.count:
                self._unsent[seen.rule.severity, seen.rule.says] += seen.count
        self._seen.clear()
        self._tokens = BURST
        self._tell_unsent(now_s)

    # --- one thing ------------------------------------------------------------------------------

    def _tell(self, key: Key, rule: Rule, fields: Fields, now_s: float) -> None:
        seen = self._seen.get(key)
        if seen is not None and now_s - seen.since_s < self._config.repeat_after_s:
            seen.count += 1
            seen.fields = fields
            return
        self._seen[key] = _Seen(now_s, rule, fields)
        if rule.ends:
            self._open[key] = rule
        for remembered in (self._seen, self._open):
            if len(remembered) > KEYS_MAX:
                remembered.popitem(last=False)
        self._post(self._written(rule, fields, rule.severity, rule.says, rule.do), rule.says, now_s)

    def _end(self, rule: Rule, key: Key, fields: Fields, now_s: float) -> None:
        self._held.pop(key, None)
        if self._open.pop(key, None) is None:
            return
        self._seen.pop(key, None)  # what comes after its end is news
        if self._least > Severity.INFO.rank:
            return
        says = f"over: {rule.says}"
        self._post(self._written(rule, fields, Severity.INFO, says, "nothing"), says, now_s)

    def _repeat(self, seen: _Seen, now_s: float) -> None:
        rule, minutes = seen.rule, self._config.repeat_after_s / 60.0
        says = f"{seen.count} times more within {minutes:.0f} min: {rule.says}"
        self._post(self._written(rule, seen.fields, rule.severity, says, rule.do), says, now_s)

    # --- messages -------------------------------------------------------------------------------

    def _written(self, rule: Rule, fields: Fields, severity: Severity, says: str, do: str) -> Alert:
        named = (str(fields.get(name) or "") for name in ("symbol", "exchange"))
        where = " ".join(each for each in named if each in rule.key(fields)[1:] and each)
        head = f"{severity.value} {self._bot}: {says}" + (f" ({where})" if where else "")
        body = [*numbers(rule, fields), self._origin, f"event: {rule.event}", f"What to do: {do}."]
        return Alert(severity=severity, title=self._clean(head), body=self._clean("\n".join(body)))

    def _post(self, alert: Alert, says: str, now_s: float) -> None:
        if self._takes_token(alert.severity, now_s):
            self._send(alert)
        else:
            self._unsent[alert.severity, says] += 1

    def _takes_token(self, severity: Severity, now_s: float) -> bool:
        if self._filled_s is not None:
            gained = (now_s - self._filled_s) * self._config.per_hour_max / HOUR_S
            self._tokens = min(BURST, self._tokens + gained)
        self._filled_s = now_s
        left = self._tokens - 1.0
        if left < (0.0 if severity is Severity.CRITICAL else RESERVED):
            return False
        self._tokens = left
        return True

    def _tell_unsent(self, now_s: float) -> None:
        if not self._unsent:
            return
        worst = max((severity for severity, _ in self._unsent), key=lambda each: each.rank)
        if not self._takes_token(worst, now_s):
            return
        total = self._unsent.total()
        lines = [f"{count} times {says}" for (_, says), count in self._unsent.most_common(10)]
        body = [*lines, self._origin, "What to do: tradingd status; the log has each of them."]
        self._unsent.clear()
        self._send(
            Alert(
                severity=worst,
                title=f"{worst.value} {self._bot}: {total} more, not told one by one",
                body=self._clean("\n".join(body)),
            )
        )
