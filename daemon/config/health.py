"""The section that says when a model is no longer believed: rule, limits and windows.

Belongs here: `[health]`. What the rules mean belongs to `daemon.layers.monitoring.health`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Real, refuse


class HealthSection(Section):
    policy: Literal["sequential", "auc_window", "last_n"] = "sequential"
    false_alarm_ratio: Annotated[Real, Field(gt=0, le=0.5)] = 0.05
    false_alarm_days: Annotated[Count, Field(le=36_500)] = 365
    false_health_ratio: Annotated[Real, Field(gt=0, le=0.5)] = 0.05
    skill_kept_ratio: Annotated[Real, Field(gt=0, le=1)] = 0.75
    last_n: Annotated[Count, Field(ge=10)] = 30
    window_outcomes: Annotated[Count, Field(le=100_000)] = 500
    window_days: tuple[Annotated[Real, Field(gt=0, le=3_650)], ...] = (7.0, 30.0)
    min_resolved: Annotated[Count, Field(ge=10)] = 100
    sample_every_bars: Count = 24
    psi_warn: Annotated[Real, Field(gt=0)] = 0.10
    check_features: bool = True
    drift_rows_min: Annotated[Count, Field(ge=40)] = 100

    @model_validator(mode="after")
    def _window_can_fill(self) -> Self:
        if self.min_resolved > self.window_outcomes:
            text = f"is above health.window_outcomes ({self.window_outcomes}): never reached"
            refuse("min_resolved", text)
        if self.last_n > self.window_outcomes:
            text = f"is above health.window_outcomes ({self.window_outcomes}): not remembered"
            refuse("last_n", text)
        if self.drift_rows_min > self.window_outcomes:
            text = f"is above health.window_outcomes ({self.window_outcomes}): not remembered"
            refuse("drift_rows_min", text)
        return self
