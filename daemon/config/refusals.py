"""Refusals: turns a validation error into a line: where, what was found, what is allowed, a guess.

Belongs here: wording and line numbers. What is allowed belongs to `sections`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from daemon.config.settings import Settings
from daemon.core.errors import TradingdError

KeyPath = tuple[str, ...]
SECRET_WORDS = re.compile(
    r"(api|private|access|secret)_?(key|kye)|secret|token|passw|passphrase|webhook|credential|(^|_)urls?$"
)


class ConfigRefused(TradingdError):
    """The configuration must not be used; `lines` holds every reason, one line each."""

    exit_code = 78

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


def is_secret(key: str) -> bool:
    return SECRET_WORDS.search(key.lower()) is not None


def kept_at(section: str) -> str:
    """Where the secrets of a section belong instead of the file."""
    own = [key for key in section_keys().get(section, ()) if is_secret(key)]
    if not own:
        section, own = "exchange", section_keys()["exchange"]
    names = [f"{section}__{key}" for key in own]
    return f"use a credential named {', '.join(names[:-1])} or {names[-1]}, or the environment"


def line_of(text: str, key: Sequence[str]) -> int | None:
    """Line of a key or section in the text of a two-level TOML file; None when unseen."""
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[{1,2}\s*([\w.\-]+)\s*\]", line):
            section = header[1].split(".")
            if section == list(key):
                return number
        elif name := re.match(r"\s*([\w.\-]+)\s*=", line):
            here = [*section, *name[1].split(".")]
            if here == list(key) or (len(here) == 1 and here == list(key[:1])):
                return number
    return None


def guess(name: str, known: Iterable[str]) -> str:
    """A "; did you mean" ending, or nothing."""
    near = get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def section_keys() -> dict[str, list[str]]:
    """Every section with its keys, in the order of declaration."""
    return {
        section: list(field.annotation.model_fields)
        for section, field in Settings.model_fields.items()
        if field.annotation is not None and hasattr(field.annotation, "model_fields")
    }


def unknown_key(path: KeyPath) -> str:
    """What to say of a key that no section has."""
    known = section_keys()
    if len(path) == 1:
        what = f"unknown section or key `{path[0]}`"
        homes = [section for section, keys in known.items() if path[0] in keys]
        if homes:
            return f"{what}; it belongs under [{homes[0]}]"
        return what + guess(path[0], known)
    dotted = [f"{section}.{key}" for section, keys in known.items() for key in keys]
    mine = [key for key in dotted if key.startswith(f"{path[0]}.")]
    homes = [key for key in dotted if key.partition(".")[2] == path[1]]
    name = ".".join(path)
    hint = guess(name, mine) or (f"; did you mean `{homes[0]}`?" if homes else guess(name, dotted))
    return f"unknown key `{name}`{hint}"


def _hint(kind: str, key: str, value: Any, wanted: str) -> str:
    text = str(value)
    if kind == "literal_error":
        return guess(text.lower(), re.findall(r"'([^']+)'", wanted))
    if kind.endswith("_parsing") and re.fullmatch(r"-?\d+,\d+", text):
        return f"; write a dot: {text.replace(',', '.')}"
    if kind.startswith("less_than") and key.endswith("_ratio") and 1 < float(value) <= 100:
        return f"; is this a per cent? {value} % is {float(value) / 100:g}"
    return ""


def key_path(error: ErrorDetails) -> KeyPath:
    """The section and key an error is about; positions in lists and words in [] are left out."""
    named = str(error.get("ctx", {}).get("key", "")).split(".")
    parts = (part for part in (*error["loc"], *named) if isinstance(part, str))
    return tuple(part for part in parts if part and not part.startswith("["))


def explain(
    errors: Iterable[ErrorDetails],
    *,
    origin: Callable[[KeyPath], str],
    value_at: Callable[[KeyPath], str],
) -> list[str]:
    """One line per error; `origin` says where a key was set, `value_at` shows a value of a key."""
    lines = []
    for error in errors:
        path, kind = key_path(error), error["type"]
        key = ".".join(path)
        wanted = re.sub(r"^(Input|String|Value|Tuple) ", "", error["msg"])
        if kind == "extra_forbidden":
            text = unknown_key(path)
        elif kind in {"model_type", "model_attributes_type"}:
            text = f"`{key}` should be a section: write [{key}]"
        elif kind == "dict_type":
            text = f"`{key}` = {error['input']!r}: should be a table, such as {{name = 1}}"
        elif is_secret(key):
            text = f"`{key}` {wanted}"
        elif kind == "contradiction":
            text = f"`{key}` = {value_at(path)}: {wanted}"
        else:
            text = f"`{key}` = {error['input']!r}: {wanted}"
            text += _hint(kind, key, error["input"], wanted)
        lines.append(f"{origin(path)}: error: {text}")
    return lines
