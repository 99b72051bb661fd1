"""What each rule of health was measured to do: from a rule and a model to false alarms and delays.

`make soak SOAK="skill --write"` makes the table, by simulating models whose skill is known; a test
simulates some of them again. Belongs here: the figures. What they are told for belongs to
`explaining`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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


def lines_of(rows: Iterable[Measured]) -> Iterator[str]:
    """The rows as the table below has them."""
    for row in rows:
        delays = [
            part
            for each in (row.dies, row.turns, row.shown or Delay(0.0, None, None))
            for part in (each.found_ratio, each.median_bars, each.late_bars)
        ]
        cells = (row.policy, row.horizon_bars, row.symbols, row.auc, row.seeds)
        rates = (row.alarms_ratio, row.alarms_kept_ratio)
        values = (*cells, *rates, *delays, row.shown_wrongly_ratio)
        yield " ".join("-" if each is None else f"{each}" for each in values)


def _read(line: str) -> Measured:
    policy, horizon, symbols, *rest = line.split()
    auc, seeds, alarms, kept, *delays, wrongly = (
        None if cell == "-" else float(cell) for cell in rest
    )
    assert auc is not None
    assert seeds is not None
    assert alarms is not None
    assert kept is not None
    dies, turns, shown = (_delay(delays[first : first + 3]) for first in (0, 3, 6))
    return Measured(
        policy=policy,
        horizon_bars=int(horizon),
        symbols=int(symbols),
        auc=auc,
        seeds=int(seeds),
        alarms_ratio=alarms,
        alarms_kept_ratio=kept,
        dies=dies,
        turns=turns,
        shown=None if wrongly is None else shown,
        shown_wrongly_ratio=wrongly,
    )


def _delay(cells: list[float | None]) -> Delay:
    ratio, median, late = cells
    return Delay(
        ratio or 0.0, None if median is None else int(median), None if late is None else int(late)
    )


# Rule, horizon in bars, symbols, promised AUC, seeds; false alarms of models that hold, and that
# hold three quarters; then found, median and 90 % in bars of skill that dies, of skill that turns,
# and of skill that is shown; and how many models without any were ever shown to have some.
TABLE = """
sequential 1 2 0.55 200 0.0 0.04 1.0 1312 2320 1.0 472 688 1.0 527 945 0.015
sequential 1 2 0.6 200 0.0 0.05 1.0 448 736 1.0 160 208 1.0 167 285 0.03
sequential 1 2 0.7 200 0.0 0.025 1.0 136 232 1.0 64 88 1.0 50 84 0.045
sequential 4 2 0.55 200 0.0 0.04 0.97 3256 5224 1.0 1432 1864 1.0 2441 3629 0.025
sequential 4 2 0.6 200 0.0 0.055 1.0 1168 1696 1.0 520 664 1.0 977 1277 0.035
sequential 4 2 0.7 200 0.0 0.0 1.0 472 616 1.0 232 280 1.0 389 473 0.04
sequential 1 1 0.6 200 0.0 0.035 1.0 664 1192 1.0 232 328 1.0 210 427 0.045
sequential 1 5 0.6 200 0.0 0.015 1.0 304 520 1.0 112 160 1.0 116 201 0.025
auc_window 1 2 0.55 40 0.075 0.25 0.85 2584 - 1.0 256 688 0.0 - - -
auc_window 1 2 0.6 40 0.0 0.05 0.85 2680 - 1.0 208 256 0.0 - - -
auc_window 1 2 0.7 40 0.0 0.0 0.85 2680 - 1.0 184 184 0.0 - - -
auc_window 4 2 0.55 40 0.275 0.525 0.95 1720 3832 1.0 376 1024 0.0 - - -
auc_window 4 2 0.6 40 0.0 0.025 0.95 1720 3832 1.0 256 424 0.0 - - -
auc_window 4 2 0.7 40 0.0 0.0 0.95 1720 3832 1.0 208 232 0.0 - - -
auc_window 1 1 0.6 40 0.0 0.0 0.7 4312 - 1.0 376 448 0.0 - - -
auc_window 1 5 0.6 40 0.0 0.025 0.975 1072 3784 1.0 88 136 0.0 - - -
last_n 1 2 0.55 40 1.0 1.0 1.0 16 112 1.0 16 64 0.0 - - -
last_n 1 2 0.6 40 1.0 1.0 1.0 16 112 1.0 16 40 0.0 - - -
last_n 1 2 0.7 40 1.0 1.0 1.0 16 112 1.0 16 16 0.0 - - -
last_n 4 2 0.55 40 1.0 1.0 1.0 40 64 1.0 16 64 0.0 - - -
last_n 4 2 0.6 40 1.0 1.0 1.0 40 64 1.0 16 40 0.0 - - -
last_n 4 2 0.7 40 1.0 1.0 1.0 40 64 1.0 16 40 0.0 - - -
last_n 1 1 0.6 40 1.0 1.0 1.0 40 112 1.0 40 64 0.0 - - -
last_n 1 5 0.6 40 1.0 1.0 1.0 40 88 1.0 16 40 0.0 - - -
"""
MEASURED = tuple(_read(line) for line in TABLE.split("\n") if line)
