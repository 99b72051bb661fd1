"""The whole state of a core as text: equal when every number, order and limit in it is equal.

Belongs here: walking over objects. What the text is compared for belongs to whoever asks.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from daemon.app import Core

PARTS = (
    *("book", "blotter", "flows", "features", "inference", "signals", "risk", "execution"),
    *("monitoring", "roles", "retraining", "challenger"),
)


def state_text(core: Core) -> str:
    """A digest of all parts, by the name of each; what is no plain value is walked into."""
    return " ".join(
        f"{part}:{hashlib.sha256(_text(getattr(core, part), {}).encode()).hexdigest()}"
        for part in PARTS
    )


def _text(value: Any, seen: dict[int, int]) -> str:
    if value is None or isinstance(value, bool | int | float | str | bytes | Decimal):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, Enum | FunctionType | MethodType | type):
        return f"{type(value).__name__} {getattr(value, '__qualname__', value)}"
    if id(value) in seen:
        return f"again {seen[id(value)]}"
    seen[id(value)] = len(seen)
    return f"{type(value).__name__}({_inside(value, seen)})"


def _inside(value: Any, seen: dict[int, int]) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{_text(k, seen)}={_text(v, seen)}" for k, v in value.items())
    if isinstance(value, list | tuple | deque):
        return ",".join(_text(each, seen) for each in value) + f";{getattr(value, 'maxlen', '')}"
    if isinstance(value, AbstractSet):
        return ",".join(sorted(_text(each, {}) for each in value))
    if hasattr(value, "tobytes"):
        return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    names = _fields(value)
    assert names or isinstance(value, Struct), f"{type(value).__name__} hides its state"
    return ",".join(f"{name}={_text(getattr(value, name), seen)}" for name in names)


def _fields(value: Any) -> list[str]:
    if isinstance(value, Struct):
        return list(value.__struct_fields__)
    slots = [
        name
        for kind in type(value).__mro__
        for name in _slots(kind)
        if name not in {"__dict__", "__weakref__"} and hasattr(value, name)
    ]
    return sorted({*slots, *vars(value)} if hasattr(value, "__dict__") else set(slots))


def _slots(kind: type) -> tuple[str, ...]:
    slots = getattr(kind, "__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
