"""The section of retraining: when a new model is asked for, how it is made, and what it must show.

Belongs here: its keys and the relations among them. All other sections are in `sections`.
"""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Natural, Real, listed, not_bool, refuse

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
    max_gap_hours: Hours = 96.0
    shadow_hours: Hours = 168.0
    windows_bars: Annotated[
        tuple[Annotated[Count, Field(ge=100, le=1_000_000)], ...],
        BeforeValidator(listed),
        Field(min_length=1, max_length=10),
    ] = (1_440, 480, 240)
    held_out_bars: Annotated[Count, Field(ge=100, le=1_000_000)] = 360
    held_out_folds: Annotated[int, BeforeValidator(not_bool), Field(ge=2, le=100)] = 8
    max_minutes: Annotated[Real, Field(gt=0, le=10_080)] = 60.0
    memory_megabytes: Annotated[Natural, Field(le=1_000_000)] = 0

    @model_validator(mode="after")
    def _gaps_agree(self) -> Self:
        if self.max_gap_hours < self.min_gap_hours:
            text = f"is below retraining.min_gap_hours ({self.min_gap_hours:g})"
            refuse("max_gap_hours", text)
        return self

    @model_validator(mode="after")
    def _windows_differ(self) -> Self:
        if len(set(self.windows_bars)) < len(self.windows_bars):
            refuse("windows_bars", "names a window twice")
        return self
