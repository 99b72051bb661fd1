"""Faults on purpose: decides which request, page, bar, message or connection a rule strikes.

Belongs here: counting, chance and market time. How rules are written belongs in fault_rules, what a
fault does in rest, candle_faults, stream_faults and server.
"""

import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from daemon.embedded.fault_kinds import USER_STREAM, Face, FaultKind
from daemon.embedded.fault_rules import FaultRule, Script, Told, moment_ms, script_of
from daemon.embedded.market import Market

SPOILING = frozenset({FaultKind.BAR_MISSING, FaultKind.BAR_VALUE})
BARS_REMEMBERED = 100_000

__all__ = ["FaultKind", "FaultRule", "Faults"]


@dataclass(slots=True)
class _Counted:
    """A rule in force; `number` is its place among all rules ever added, `name` the same whenever
    the same script is read."""

    number: int
    rule: FaultRule
    name: str
    since_ms: int | None
    until_ms: int | None
    seen: int = 0
    struck: int = 0
    asked_ms: int = -1

    def is_on(self, ts_ms: int) -> bool:
        is_begun = self.since_ms is None or ts_ms >= self.since_ms
        return is_begun and (self.until_ms is None or ts_ms < self.until_ms)


class Faults:
    """The rules in force; the same seed and the same requests meet the same faults.

    Bars are drawn by their own symbol and time: whoever asks for one, and however often, it is
    struck or not.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - it repeats a script, guards nothing
        self._rules: dict[Face, list[_Counted]] = {face: [] for face in Face}
        self._added = 0
        self._from_ms, self._timeframe_ms = 0, 1
        self._tellings: dict[tuple[str, int, Told], int] = {}
        self.strikes: dict[FaultKind, int] = {}

    def follow(self, market: Market) -> None:
        """Measure times given in bars on this market; before any rule is added."""
        self._from_ms, self._timeframe_ms = market.from_ms, market.timeframe_ms

    def add(self, raw: object) -> int:
        """Add one rule or a list of them, as read from JSON; ValueError names what is wrong."""
        return self.add_script(script_of(raw), origin=secrets.token_hex(8))

    def add_script(self, script: Script, origin: str = "script") -> int:
        if script.seed is not None:
            self._seed = script.seed
            self._random.seed(script.seed)
        for rule in script.rules:
            self._added += 1
            since_ms = moment_ms(rule.since, self._from_ms, self._timeframe_ms)
            until_ms = moment_ms(rule.until, self._from_ms, self._timeframe_ms)
            name = f"{origin}/{self._added}/{_digest(repr(rule).encode()):016x}"
            counted = _Counted(self._added, rule, name, since_ms, until_ms)
            self._rules[rule.face].append(counted)
        return len(script.rules)

    def clear(self) -> None:
        for rules in self._rules.values():
            rules.clear()

    def has(self, face: Face) -> bool:
        return bool(self._rules[face])

    def on_request(self, method: str, path: str, now_ms: int) -> FaultRule | None:
        """The first rule that strikes this request; every matching rule counts it."""
        matching = (
            each
            for each in self._rules[Face.REQUEST]
            if each.rule.path in (None, path) and each.rule.method in (None, method)
        )
        return self._first(matching, now_ms)

    def on_page(self, symbol: str, now_ms: int) -> tuple[FaultRule, int | None] | None:
        """The rule that strikes this page of candles, and since when in market time it is on."""
        matching = [each for each in self._rules[Face.PAGE] if each.rule.symbol in (None, symbol)]
        rule = self._first(matching, now_ms)
        if rule is None:
            return None
        return rule, next(each.since_ms for each in matching if each.rule is rule)

    def on_bar(self, symbol: str, open_ms: int, told: Told) -> FaultRule | None:
        """The first rule that strikes this bar when it is told this way."""
        number = self._telling(symbol, open_ms, told)
        for counted in self._rules[Face.BAR]:
            rule = counted.rule
            is_over = rule.times is not None and number > rule.times
            if is_over or rule.told not in (None, told):
                continue
            if self._strikes_bar(counted, symbol, open_ms):
                self._note(rule)
                return rule
        return None

    def is_gone(self, symbol: str, open_ms: int) -> bool:
        """True when a rule hides this bar, or spoils it for ever, on every way it is told."""
        return any(
            each.rule.told is None and each.rule.times is None
            and each.rule.kind in SPOILING
            and self._strikes_bar(each, symbol, open_ms)
            for each in self._rules[Face.BAR]
        )  # fmt: skip

    def on_message(
        self, symbol: str, stream: str, candle: str | None, now_ms: int
    ) -> FaultRule | None:
        """The first rule that strikes a stream's message on its way to one connection."""
        matching = (
            each
            for each in self._rules[Face.MESSAGE]
            if each.rule.symbol in (None, symbol)
            and each.rule.stream in (None, stream)
            and each.rule.candle in (None, candle)
        )
        return self._first(matching, now_ms)

    def on_event(self, symbol: str | None, event: str, now_ms: int) -> FaultRule | None:
        """The first rule that strikes an event of the user stream on its way to one connection."""
        matching = (
            each
            for each in self._rules[Face.MESSAGE]
            if each.rule.stream == USER_STREAM
            and each.rule.symbol in (None, symbol)
            and each.rule.event in (None, event)
        )
        return self._first(matching, now_ms)

    def in_force(self, kind: FaultKind, now_ms: int, symbol: str | None = None) -> FaultRule | None:
        """The newest rule of a state that holds now, for this symbol or for all."""
        for counted in reversed(self._rules[Face.STATE]):
            rule = counted.rule
            if rule.kind is kind and rule.symbol in (None, symbol) and counted.is_on(now_ms):
                if counted.struck == 0:
                    counted.struck = 1
                    self._note(rule)
                return rule
        return None

    def on_order(self, symbol: str, now_ms: int) -> dict[FaultKind, FaultRule]:
        """All rules that strike an order that is placed, one of each kind."""
        return self._each_kind(self._rules[Face.ORDER], symbol, now_ms)

    def on_cancel(self, symbol: str, now_ms: int) -> FaultRule | None:
        rules = self._rules[Face.CANCEL]
        return self._each_kind(rules, symbol, now_ms).get(FaultKind.FILLED_FIRST)

    def on_reading(self, kind: FaultKind, symbol: str, now_ms: int) -> FaultRule | None:
        """The rule of this kind that strikes an order as it is read."""
        matching = (
            each
            for each in self._rules[Face.READING]
            if each.rule.kind is kind and each.rule.symbol in (None, symbol)
        )
        return self._first(matching, now_ms)

    def on_close(
        self, close_ms: int, happened: Callable[[str], int]
    ) -> list[tuple[str, FaultRule]]:
        """The rules that are due at the close of a bar, each with a name for this one occasion.

        `happened` says how often a rule has had its way by now, from what was written down, so that
        a script that is read again does nothing twice. What is asked again about the same close
        gives nothing.
        """
        due: list[tuple[str, FaultRule]] = []
        for counted in self._rules[Face.MOMENT]:
            rule, name = counted.rule, counted.name
            if not counted.is_on(close_ms) or counted.asked_ms >= close_ms:
                continue
            counted.asked_ms = close_ms
            counted.seen += 1
            limit = rule.times or (None if rule.every or rule.nth or rule.probability else 1)
            if limit is not None and happened(name) >= limit:
                continue
            # The close of the first streamed bar is number one.
            if self._is_drawn(counted, rule.symbol or "", close_ms, close_ms - self._from_ms):
                self._note(rule)
                due.append((f"{name}/{close_ms}", rule))
        return due

    def _each_kind(
        self, rules: Iterable[_Counted], symbol: str, now_ms: int
    ) -> dict[FaultKind, FaultRule]:
        struck: dict[FaultKind, FaultRule] = {}
        for counted in rules:
            if counted.rule.symbol in (None, symbol):
                rule = self._first((counted,), now_ms)
                if rule is not None:
                    struck.setdefault(rule.kind, rule)
        return struck

    def on_subscription(self, symbol: str, stream: str, now_ms: int) -> FaultRule | None:
        matching = (
            each
            for each in self._rules[Face.SUBSCRIPTION]
            if each.rule.symbol in (None, symbol) and each.rule.stream in (None, stream)
        )
        return self._first(matching, now_ms)

    def on_connection(self, now_ms: int, *, is_private: bool = False) -> dict[FaultKind, FaultRule]:
        """All rules that strike a connection that opens now, one of each kind."""
        stream = USER_STREAM if is_private else None
        rules = [each for each in self._rules[Face.CONNECTION] if each.rule.stream == stream]
        return self._each_kind(rules, "", now_ms)

    def _first(self, matching: Iterable[_Counted], now_ms: int) -> FaultRule | None:
        struck: FaultRule | None = None
        for counted in matching:
            if not counted.is_on(now_ms):
                continue
            counted.seen += 1
            if self._strikes(counted) and struck is None:
                counted.struck += 1
                struck = counted.rule
                self._note(struck)
        return struck

    def _strikes(self, counted: _Counted) -> bool:
        rule = counted.rule
        if rule.times is not None and counted.struck >= rule.times:
            return False
        if rule.nth:
            return counted.seen in rule.nth
        if rule.every is not None:
            return counted.seen % rule.every == 0
        return rule.probability is None or self._random.random() < rule.probability

    def _strikes_bar(self, counted: _Counted, symbol: str, open_ms: int) -> bool:
        rule = counted.rule
        if rule.symbol not in (None, symbol) or not counted.is_on(open_ms):
            return False
        since_ms = open_ms - self._from_ms + self._timeframe_ms
        return self._is_drawn(counted, symbol, open_ms, since_ms)

    def _is_drawn(self, counted: _Counted, symbol: str, at_ms: int, since_ms: int) -> bool:
        """Whether nth, every and probability pick this bar, which closes so long after the start;
        drawn from its own name, so that asking again gives the same."""
        rule, number = counted.rule, since_ms // self._timeframe_ms
        if rule.nth and number not in rule.nth:
            return False
        if rule.every is not None and (number == 0 or number % rule.every):
            return False
        if rule.probability is not None:
            drawn = _digest(f"{self._seed}/{counted.number}/{symbol}/{at_ms}".encode()) / 2**64
            return drawn < rule.probability
        return True

    def _telling(self, symbol: str, open_ms: int, told: Told) -> int:
        """How often this bar was told this way by now, counted for all rules alike."""
        key = (symbol, open_ms, told)
        number = self._tellings.pop(key, 0) + 1
        self._tellings[key] = number
        if len(self._tellings) > BARS_REMEMBERED:
            del self._tellings[next(iter(self._tellings))]
        return number

    def _note(self, rule: FaultRule) -> None:
        self.strikes[rule.kind] = self.strikes.get(rule.kind, 0) + 1


def _digest(name: bytes) -> int:
    return int.from_bytes(blake2b(name, digest_size=8).digest())
