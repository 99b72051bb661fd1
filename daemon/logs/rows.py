"""One row of the registry of log lines: a name, a level, when it is said, and its fields.

Belongs here: what a row is. The rows are in `registry` and `model_rows`.
"""

from typing import Final

from msgspec import Struct

from daemon.logs.fields import FIELDS

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

BAR: Final = "trace exchange symbol bar"
AUC: Final = "auc auc_low auc_high"


class LogEvent(Struct, frozen=True):
    """One row of the registry."""

    name: str
    level: str
    when: str
    required: frozenset[str]
    optional: frozenset[str]
    fields: tuple[str, ...]

    @property
    def level_number(self) -> int:
        return LEVELS[self.level]


def row(name: str, level: str, when: str, fields: str) -> LogEvent:
    """A row; `fields` are names in the order of the line, a ? marks one that may be absent."""
    named = fields.split()
    names = tuple(each.rstrip("?") for each in named)
    unknown = [each for each in names if each not in FIELDS]
    assert level in LEVELS, f"{name}: there is no level {level}"
    assert not unknown, f"{name}: {', '.join(unknown)} has no meaning yet"
    optional = frozenset(each[:-1] for each in named if each.endswith("?"))
    return LogEvent(name, level, when, frozenset(names) - optional, optional, names)
