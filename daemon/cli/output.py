"""What every command prints the same way: one JSON object, or lines for people.

Belongs here: the two forms of a result. What is in it belongs to the command.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def show(result: Mapping[str, object], lines: Iterable[str], *, as_json: bool) -> None:
    """The result on stdout: exactly one JSON object, or the lines."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def pairs(result: Mapping[str, object], *, indent: str = "") -> list[str]:
    """Aligned `name  value` lines."""
    width = max((len(name) for name in result), default=0)
    return [f"{indent}{name:<{width}}  {_text(value)}" for name, value in result.items()]


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value) or "none"
    return str(value)
