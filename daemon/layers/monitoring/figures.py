"""Turns the newest outcomes of a model into the figures a sample tells: windows by count and time.

Belongs here: which outcomes a window holds. What is computed of them belongs to `skill`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.scores import SkillWindow
from daemon.core.timeframes import DAY_NS
from daemon.layers.monitoring.skill import Skill, auc_with_interval, brier, log_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.layers.monitoring.outcomes import Scored


class Window(Struct, frozen=True):
    """Outcomes as columns; outcomes of one block depend on each other."""

    probabilities: list[float]
    outcomes: list[int]
    blocks: list[int]

    def skill(self) -> Skill:
        return auc_with_interval(self.probabilities, self.outcomes, self.blocks)

    def told(self, days: float | None) -> SkillWindow:
        skill = self.skill()
        return SkillWindow(
            days=days,
            n=skill.n,
            auc=skill.auc,
            auc_low=skill.low,
            auc_high=skill.high,
            brier=brier(self.probabilities, self.outcomes),
            log_loss=log_loss(self.probabilities, self.outcomes),
        )


def window_of(scored: Iterable[Scored], block_ns: int) -> Window:
    """The window that holds all of these."""
    rows = list(scored)
    return Window(
        [each.probability_up for each in rows],
        [each.outcome for each in rows],
        [each.close_ns // block_ns for each in rows],
    )


def since(scored: Iterable[Scored], now_ns: int, days: float) -> list[Scored]:
    """Those that were predicted within the last `days`."""
    return [each for each in scored if each.close_ns > now_ns - days * DAY_NS]
