"""The section [golive]: what real money asks for, and how it begins small.

Belongs here: those thresholds. How they are measured belongs to `running.golive.items`.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Real, Share, refuse


class GoliveSection(Section):
    """What real money asks for; docs/golive.md says how each item is measured."""

    window_days: Annotated[Real, Field(gt=0, le=3_650)] = 90.0
    min_paper_days: Annotated[Count, Field(le=3_650)] = 30
    max_paper_age_days: Annotated[Real, Field(gt=0, le=3_650)] = 7.0
    min_paper_outcomes: Annotated[Count, Field(ge=10)] = 500
    min_bars_seen_ratio: Share = 0.95
    min_paper_trades: Annotated[Count, Field(ge=5)] = 50
    max_paper_drawdown_ratio: Annotated[Real, Field(gt=0, lt=1)] = 0.10
    max_drill_age_days: Annotated[Real, Field(gt=0, le=3_650)] = 14.0
    clock_offset_max_ms: Annotated[Count, Field(le=60_000)] = 500
    canary_days: Annotated[Real, Field(ge=0, le=3_650)] = 14.0
    canary_ratio: Share = 0.25
    canary_steps: Annotated[Count, Field(le=100)] = 3
    canary_min_orders: Annotated[Count, Field(ge=5)] = 10

    @model_validator(mode="after")
    def _days_fit(self) -> Self:
        if self.min_paper_days > self.window_days:
            text = f"is above golive.window_days ({self.window_days:g}): never reached"
            refuse("min_paper_days", text)
        return self
