"""Finds, for every journaled event, the methods of given objects that fold it.

Belongs here: reading one object's rows of the route table off its own names, for who rebuilds
that object from a journal. The table itself is `daemon.routes`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from daemon.core.events import JOURNALED

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.core.events import Event

WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def appliers(*owners: object) -> dict[type[Event], tuple[Callable[[Any], None], ...]]:
    """By kind of event the `apply_*` methods named after it, in the order of their owners."""
    found = {}
    for kind in JOURNALED:
        name = f"apply_{WORDS.sub('_', kind.__name__).lower()}"
        if methods := tuple(getattr(each, name) for each in owners if hasattr(each, name)):
            found[kind] = methods
    return found
