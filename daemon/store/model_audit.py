"""Who changed which model is used, when and why: appends lines to a file beside the registry.

Belongs here: the record of changes that people asked for or a run decided. The changes themselves
belong to `models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.store.artifacts import append_durably, lines_of

if TYPE_CHECKING:
    from pathlib import Path

NAME = "audit.jsonl"


class Change(msgspec.Struct, frozen=True):
    """One change; `ts` is RFC 3339 UTC, `replaced` the model that was active before it.

    Of one that a daemon made, `run` is its run and `at` the time of the event in its journal.
    """

    ts: str
    what: str  # promote, rollback, challenge, propose, drop or settle
    model: str
    replaced: str | None
    who: str
    reason: str
    run: str = ""
    at: str = ""


def note(root: Path, change: Change) -> None:
    """Append a change and wait until the disk has it; OSError."""
    append_durably(root / NAME, msgspec.json.encode(change))


def changes(root: Path) -> list[Change]:
    """All changes, oldest first; a line that a crash cut off is left out."""
    return lines_of(root / NAME, Change)
