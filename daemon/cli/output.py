"""What every command prints the same way: one JSON object, or lines for people.

Belongs here: the two forms of a result. What is in it belongs to the command.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


BAR_WIDTH = 24


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
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"  # JSON has every digit
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value) or "none"
    return str(value)


def progress(what: str, done: int, total: int, detail: str = "") -> None:
    """How far it is, on stderr: a bar at a terminal, else a line per tenth."""
    if sys.stderr.isatty():
        filled = BAR_WIDTH * done // total if total else BAR_WIDTH
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        ending = "\n" if done >= total else ""
        sys.stderr.write(f"\r{what} [{bar}] {done}/{total} {detail}{ending}")
    elif _tenth(what, detail, done, total):
        sys.stderr.write(f"{what} {done}/{total} {detail}".rstrip() + "\n")
    sys.stderr.flush()


_told: dict[tuple[str, str], int] = {}


def _tenth(what: str, detail: str, done: int, total: int) -> bool:
    share = 10 * done // total if total else 10
    is_news = _told.get((what, detail)) != share
    _told[what, detail] = share
    return is_news
