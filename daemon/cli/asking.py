"""Who asks: the person behind a command, as audits and journals name him.

Belongs here: that name. Where it is noted belongs to the commands.
"""

from __future__ import annotations

import os
import pwd


def who() -> str:
    """The user, and the process that the command was typed into."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name} pid {os.getppid()}"
