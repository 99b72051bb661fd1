"""The kinds of events: what enters, what is decided inside a step, and what leaves after it.

Belongs here: the kinds. What is said by each of them belongs to the modules beside this one.
"""

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Something that happened at `ts_ns`, market time."""

    ts_ns: int


class Input(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """An event that enters from outside, through the queue."""


class Fact(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """An event that a handler decided inside a step."""


class Command(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """Something the edge shall do once the step is committed; commands are not journaled."""
