"""The soak of skill says no when the rule of health errs more often than docs/health.md says."""

import pytest
from msgspec.structs import replace

from daemon.config import HealthSection
from daemon.layers.monitoring.measured import MEASURED, Delay
from tests.soak._skill_bounds import beyond, stored_otherwise

CONFIG = HealthSection()
WARNED = [0.2] * 8


def found_beyond(warned: list[float] | None = None, **changes: object) -> list[str]:
    rows = [replace(MEASURED[0], **changes), *MEASURED[1:]]
    return list(beyond(rows, warned or WARNED, CONFIG, is_whole=True))


def test_what_is_stored_is_within_every_bound() -> None:
    assert found_beyond() == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"alarms_ratio": 0.11}, "false alarms of models that hold: 11.0% of one kind"),
        ({"alarms_kept_ratio": 0.10}, "false alarms at three quarters: 10.0% of one kind"),
        ({"shown_wrongly_ratio": 0.10}, "skill shown without any: 10.0% of one kind"),
        ({"warned": [0.35, *WARNED[1:]]}, "warnings at three quarters: 35.0% of one kind"),
    ],
)
def test_a_bound_that_one_kind_of_model_passes_by_more_than_chance_is_told(
    changes: dict[str, object], what: str
) -> None:
    found = found_beyond(**changes)  # type: ignore[arg-type]

    assert [each.split(",")[0] for each in found] == [what]


def test_what_may_be_chance_in_one_kind_is_not_in_all_of_them() -> None:
    rows = [replace(row, alarms_kept_ratio=0.06) for row in MEASURED]

    assert list(beyond(rows, WARNED, CONFIG, is_whole=False)) == []
    assert list(beyond(rows, WARNED, CONFIG, is_whole=True)) == [
        "false alarms at three quarters: 6.0% of all kinds, at most 5%"
    ]


def test_figures_that_are_no_longer_found_are_told_and_rounding_is_not() -> None:
    first = MEASURED[0]
    assert first.dies.median_bars is not None
    rounded = replace(first.dies, median_bars=first.dies.median_bars + 24)
    later = replace(first.dies, median_bars=2 * first.dies.median_bars)

    same = stored_otherwise([replace(first, dies=rounded), *MEASURED[1:]], MEASURED)
    others = stored_otherwise([replace(first, dies=later), *MEASURED[1:]], MEASURED)
    never = stored_otherwise([replace(first, dies=Delay(0.4, None, None))], [first])
    fewer = stored_otherwise(MEASURED[1:], MEASURED[1:3])

    assert list(same) == []
    assert len(list(others)) == len(list(never)) == 1
    assert len(list(fewer)) == len(MEASURED) - 3
