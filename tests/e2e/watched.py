"""Reads the lines of a running daemon as they come, up to the one a test waits for.

Belongs here: waiting and ending. Starting the command belongs to `command`.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    import subprocess
    from collections.abc import Callable

    Line = dict[str, Any]

LINES_MAX = 20_000
LINE_WITHIN_S = 60


class Watched:
    """A running daemon whose lines are read as they come: a full pipe would hold it up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.pid = self.until(is_line("run.started"))[-1]["pid"]

    def until(self, is_wanted: Callable[[Line], bool]) -> list[Line]:
        """All lines from here to the first one that is wanted, with it."""
        seen: list[Line] = []
        for _ in range(LINES_MAX):
            text = self._lines.get(timeout=LINE_WITHIN_S)
            assert text is not None, f"the daemon ended: {seen[-3:]}"
            seen.append(json.loads(text))
            if is_wanted(seen[-1]):
                return seen
        msg = f"not among {LINES_MAX} lines"
        raise AssertionError(msg)

    def end(self, number: signal.Signals) -> tuple[int, list[Line]]:
        """Signal it; its exit code and its last lines."""
        os.kill(self.pid, number)
        code = self.process.wait(LINE_WITHIN_S)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        rest = [json.loads(text) for text in iter(self._lines.get, None)]
        return code, rest

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(text)
        self._lines.put(None)


def is_line(event: str, **fields: object) -> Callable[[Line], bool]:
    return lambda line: line["event"] == event and fields.items() <= line.items()
