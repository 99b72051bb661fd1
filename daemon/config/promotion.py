"""The section of promotion: who decides that a challenger takes over, and what it must have shown.

Belongs here: its keys. All other sections are in `sections`.
"""

from typing import Annotated, Literal

from pydantic import Field

from daemon.config.sections import Section
from daemon.config.values import Count, Natural, Real

Rate = Annotated[Real, Field(gt=0, lt=1)]


class PromotionSection(Section):
    by: Literal["rule", "operator"] = "rule"
    error_rate: Rate = 0.05
    error_rate_when_dead: Rate = 0.05
    min_outcomes: Count = 100
    shadow_max_bars: Count = 1_000
    rollback_bars: Natural = 500
    rollback_error_rate: Rate = 0.05
