"""What each rule of health was measured to do: from a rule and a model to false alarms and delays.

Made by `make soak SOAK="skill --write"`, which simulates models whose skill is known; a test
simulates some of them again. Belongs here: the figures. What they are told for belongs to
`explaining`.
"""

from __future__ import annotations

from msgspec import Struct


class Delay(Struct, frozen=True):
    """How often it happened within the time watched, and after how many bars; None is later."""

    found_ratio: float
    median_bars: int | None
    late_bars: int | None  # nine of ten were sooner


class Measured(Struct, frozen=True):
    """Of models that speak of `symbols` every hour and promise this AUC, judged by this rule.

    `alarms_ratio` of those that hold their promise were CRITICAL within a year, and
    `alarms_kept_ratio` of those that hold three quarters of it.
    """

    policy: str
    horizon_bars: int
    symbols: int
    auc: float
    seeds: int
    alarms_ratio: float
    alarms_kept_ratio: float
    dies: Delay
    turns: Delay
    shown: Delay | None  # only the sequential test has it
    shown_wrongly_ratio: float | None


def nearest(policy: str, horizon_bars: int, auc: float, symbols: int) -> Measured | None:
    """The row of the model most like this one, that promises rather less than more."""
    rows = [row for row in MEASURED if row.policy == policy]
    return min(
        rows,
        key=lambda row: (
            abs(row.horizon_bars - horizon_bars),
            row.auc > auc + 0.01,
            abs(row.auc - auc),
            abs(row.symbols - symbols),
        ),
        default=None,
    )


MEASURED: tuple[Measured, ...] = ()
