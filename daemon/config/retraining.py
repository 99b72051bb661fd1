"""The section of retraining: when a new model is asked for, how it is made, and what it must show.

Belongs here: its keys and the relations among them. All other sections are in `sections`.
"""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Natural, Real, not_bool, refuse

Hours = Annotated[Real, Field(gt=0, le=87_600)]


class RetrainingSection(Section):
    enabled: bool = True
    on_skill: bool = True
    on_drift: bool = True
    psi_min: Annotated[Real, Field(gt=0)] = 0.25
    drift_samples: Count = 3
    after_days: Annotated[Real, Field(ge=0, le=36_500)] = 30.0
    every_days: Natural = 0
    at_hour: Annotated[int, BeforeValidator(not_bool), Field(ge=0, le=23)] = 3
    new_bars_min: Count = 48
    min_gap_hours: Hours = 24.0
    backoff_factor: Annotated[Real, Field(ge=1, le=10)] = 2.0
    max_gap_hours: Hours = 168.0

    @model_validator(mode="after")
    def _gaps_agree(self) -> Self:
        if self.max_gap_hours < self.min_gap_hours:
            text = f"is below retraining.min_gap_hours ({self.min_gap_hours:g})"
            refuse("max_gap_hours", text)
        return self
