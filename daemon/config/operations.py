"""Sections of running the daemon as a process: how it is watched, and whom it tells.

Belongs here: keys, types and defaults of what no decision is made of. What trades is in `sections`.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Natural, Real, Seconds, refuse


class ProcessSection(Section):
    sample_every_s: Annotated[Seconds, Field(ge=1, le=300)] = 5.0
    stuck_after_s: Annotated[Seconds, Field(ge=1, le=600)] = 10.0
    lag_warn_ms: Annotated[Real, Field(gt=0, le=60_000)] = 250.0
    memory_warn_megabytes: Annotated[Count, Field(le=10_000_000)] = 700
    disk_warn_megabytes: Annotated[Natural, Field(le=100_000_000)] = 1_024
    disk_stop_megabytes: Annotated[Natural, Field(le=100_000_000)] = 256

    @model_validator(mode="after")
    def _warned_before_stopped(self) -> Self:
        if self.disk_stop_megabytes > self.disk_warn_megabytes:
            text = f"is above process.disk_warn_megabytes ({self.disk_warn_megabytes}): no warning"
            refuse("disk_stop_megabytes", text)
        return self
