"""Keeps the sequential tests: of every remembered model one over all symbols, and one per symbol.

Belongs here: whose outcomes go into which test. What a test does with them belongs to `sequential`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core.instruments import InstrumentId
from daemon.core.scores import SymbolSkill
from daemon.layers.monitoring.sequential import Rules, SkillTest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from daemon.core.events import PredictionResolved

SYMBOLS_TOLD_MAX = 32


class Tests(Struct):
    """The tests of one model, whose outcomes come in blocks of `block_ns`."""

    block_ns: int = 1
    all: SkillTest = field(default_factory=SkillTest)
    by_symbol: dict[InstrumentId, SkillTest] = field(default_factory=dict)

    def limit(self, rules: Rules) -> float:
        """Of one symbol alone: higher, so that a false alarm of any of them is as seldom as one."""
        return rules.limit * max(len(self.by_symbol), 1)

    def of_symbol(self, instrument: InstrumentId) -> SkillTest:
        return self.by_symbol.get(instrument) or SkillTest()

    def symbols(self, rules: Rules, counts: Mapping[InstrumentId, int]) -> tuple[SymbolSkill, ...]:
        """Those with the most evidence against them first; `counts` are of the window."""
        limit = self.limit(rules)
        told = [
            SymbolSkill(
                instrument=instrument,
                n=counts.get(instrument, 0),
                evidence=test.against,
                shown=test.in_favour,
                is_lost=test.against >= limit,
            )
            for instrument, test in self.by_symbol.items()
        ]
        told.sort(key=lambda each: (-each.evidence, each.instrument))
        return tuple(told[:SYMBOLS_TOLD_MAX])


class Evidence:
    """Tests by model."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tests: dict[str, Tests] = {}

    def of(self, model: str | None) -> Tests:
        """Empty ones for a model that is not remembered."""
        return self._tests.get(model or "") or Tests()

    def knows(self, model: str) -> bool:
        return model in self._tests

    def remember(self, models: Iterable[tuple[str, int]]) -> None:
        """Keep the tests of these models and no others; new ones begin, by length of a block."""
        self._tests = {
            model: self._tests.get(model) or Tests(block_ns, SkillTest(block_ns))
            for model, block_ns in models
        }

    def apply_prediction_resolved(self, event: PredictionResolved) -> None:
        tests = self._tests.get(event.model)
        if tests is None or event.outcome is None:
            return
        alone = tests.by_symbol.setdefault(event.instrument, SkillTest(tests.block_ns))
        for test in (tests.all, alone):
            test.add(
                self._rules,
                event.ts_ns,
                event.predicted_close_ns,
                event.probability_up,
                event.outcome,
            )
