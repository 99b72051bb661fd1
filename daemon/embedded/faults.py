"""Faults on request: decides which requests lose their reply, wait, or get another answer.

Belongs here: rules and when they strike. Carrying a fault out belongs in rest.
"""

import random
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct, ValidationError, convert


class FaultKind(StrEnum):
    """What goes wrong; "before" means that the exchange never sees the request."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    STATUS = "status"
    STATUS_AFTER = "status_after"
    BODY_AFTER = "body_after"


class FaultRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a fault script; of `nth`, `every` and `probability` at most one is set.

    `nth` counts matching requests from 1; with none of the three the rule always strikes. `method`
    None is any method; `status` and `body` are the false answer, `sec` the delay in wire seconds.
    """

    path: str
    kind: FaultKind
    method: str | None = None
    nth: tuple[int, ...] = ()
    every: int | None = None
    probability: float | None = None
    status: int = 503
    body: str = ""
    sec: float = 0.0


@dataclass(slots=True)
class _Counted:
    rule: FaultRule
    seen: int = 0


@dataclass(slots=True)
class Faults:
    """The rules in force; the same seed and the same requests meet the same faults."""

    seed: int
    _rules: list[_Counted] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - it repeats a script, guards nothing

    def add(self, raw: object) -> int:
        """Add one rule or a list of them, as read from JSON; ValueError names what is wrong."""
        rows = raw if isinstance(raw, list) else [raw]
        try:
            rules = [convert(row, FaultRule) for row in rows]
        except ValidationError as error:
            raise ValueError(f"fault rule: {error}") from None
        for rule in rules:
            if bool(rule.nth) + (rule.every is not None) + (rule.probability is not None) > 1:
                raise ValueError("fault rule: set at most one of nth, every and probability")
        self._rules += [_Counted(rule) for rule in rules]
        return len(rules)

    def clear(self) -> None:
        self._rules.clear()

    def strike(self, method: str, path: str) -> FaultRule | None:
        """The first rule that strikes this request; every matching rule counts it."""
        struck: FaultRule | None = None
        for counted in self._rules:
            rule = counted.rule
            if rule.path == path and rule.method in (None, method):
                counted.seen += 1
                if self._strikes(counted) and struck is None:
                    struck = rule
        return struck

    def _strikes(self, counted: _Counted) -> bool:
        rule = counted.rule
        if rule.nth:
            return counted.seen in rule.nth
        if rule.every is not None:
            return counted.seen % rule.every == 0
        return rule.probability is None or self._random.random() < rule.probability
