"""What trading hangs on, as plain values: recorded with a run, compared at its next start.

Belongs here: which keys may change under a run, and what is said of the others. Where the record
lies belongs to `store.runs`.
"""

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from daemon.config.loading import load
from daemon.config.refusals import ConfigRefused, section_keys
from daemon.config.settings import Settings

Recorded: TypeAlias = dict[str, dict[str, object]]

# Whole sections and single keys that no decision is made of: a run goes on under other ones.
FREE = frozenset(
    {"backtest", "log", "exchange", "golive", "process", "store", "alerts"}
    | {"run.state_dir", "data.transport", "data.stale_after_s"}
)


class Change(Struct, frozen=True):
    """A key that trading hangs on, with what it was and what it is."""

    key: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.key} was {_text(self.before)} and is {_text(self.now)}"


def recorded(settings: Settings) -> Recorded:
    """Every key that trading hangs on, in plain JSON values; equal when it means the same."""
    content = settings.model_dump(exclude={each for each in FREE if "." not in each})
    kept = {
        section: {key: value for key, value in keys.items() if f"{section}.{key}" not in FREE}
        for section, keys in content.items()
    }
    plain: Recorded = json.loads(json.dumps(kept, sort_keys=True, default=_canonical))
    return plain


def config_hash(settings: Settings) -> str:
    """12 hex digits that are equal when two configurations trade the same.

    Secrets, log and the place of the state are no part of it.
    """
    text = json.dumps(recorded(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changes(before: Recorded, settings: Settings) -> list[Change]:
    """Keys that differ. One the record does not know yet was at its default."""
    now, default = recorded(settings), recorded(Settings.model_construct())
    found = []
    for section, keys in now.items():
        for key, value in keys.items():
            was = before.get(section, {}).get(key, default[section][key])
            if was != value:
                found.append(Change(f"{section}.{key}", was, value))
    return found


def restored(before: Recorded) -> Settings:
    """The settings a run was made with, whatever file and environment say now; ConfigRefused."""
    known = section_keys()
    unknown = [
        f"{section}.{key}"
        for section, keys in before.items()
        for key in keys
        if key not in known.get(section, ())
    ]
    if unknown:
        text = f"the run was made with {', '.join(unknown)}, which this version does not have"
        raise ConfigRefused([f"run.json: error: {text}"])
    overrides = {
        f"{section}.{key}": v for section, keys in before.items() for key, v in keys.items()
    }
    return load(None, overrides, {})


def still_known(before: Recorded) -> Recorded:
    """What this version has a key for: enough for whoever only closes what is held."""
    known = section_keys()
    return {
        section: {key: value for key, value in keys.items() if key in known.get(section, ())}
        for section, keys in before.items()
    }


def _canonical(value: object) -> str:
    assert isinstance(value, Decimal | Path), "sections hold only plain values, Decimal and Path"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "empty"
    return value if isinstance(value, str) else json.dumps(value)
