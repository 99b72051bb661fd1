"""A gate's no, with its numbers.

Belongs here: the form of a no. Saying it belongs to the gates and to sizing.
"""

from msgspec import Struct

from daemon.core.events import DenyReason


class Denial(Struct, frozen=True):
    """A gate's no, with the number that was looked at and the limit it met."""

    reason: DenyReason
    value: str = ""
    limit: str = ""
