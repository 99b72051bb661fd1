"""Sections of running the daemon as a process: how it is watched, and whom it tells.

Belongs here: keys, types and defaults of what no decision is made of. What trades is in `sections`.
"""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from daemon.config.sections import Section
from daemon.config.values import Count, Natural, Real, Seconds, Secret, refuse


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


class AlertsSection(Section):
    """Addresses are secrets: they come from credentials or the environment."""

    severity_min: Literal["info", "warning", "critical"] = "info"
    repeat_after_s: Annotated[Seconds, Field(ge=1)] = 600.0
    per_hour_max: Annotated[Count, Field(le=3_600)] = 30
    heartbeat_every_s: Annotated[Seconds, Field(ge=1, le=3_600)] = 60.0
    urls: Annotated[Secret | None, Field(description="where to send: one or more, by spaces")] = (
        None
    )
    heartbeat_url: Annotated[
        Secret | None, Field(description="asked for as long as the daemon works")
    ] = None

    @model_validator(mode="after")
    def _heartbeat_is_http(self) -> Self:
        if self.heartbeat_url is not None:
            told = urlsplit(self.heartbeat_url.get_secret_value())
            if told.scheme not in {"http", "https"} or not told.hostname:
                refuse("heartbeat_url", "is no http:// or https:// address")
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        return () if self.urls is None else tuple(self.urls.get_secret_value().split())
