"""A model that has no compiled form, in a process of its own: rows go in, probabilities come out.

Belongs here: our end of the pipe. The other end, which unpickles and so runs what is in the file,
is `research.serving`; it has no keys, no network client and no part in anything else.
"""

from __future__ import annotations

import hashlib
import os
import select
import struct
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

import numpy as np

from daemon.core.clock import WireClock

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float64]

COUNT = struct.Struct("<q")
DIGEST_BYTES = 32
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 10.0
STARTS_MAX = 3


class ModelProcess:
    """Answers as a `Predictor`; one that is dead, late or wrong gives NaN, which decides nothing.

    It is started again for the next rows, STARTS_MAX times at most. The archive must be the
    verified one. The process ends when this object does, or when our process does.
    """

    def __init__(
        self, archive: bytes, n_features: int, *, answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        self.n_features = n_features
        self._answer_within_s = answer_within_s
        self._archive = archive
        self._starts = 0
        self._child: subprocess.Popen[bytes] | None = None

    def probability_up(self, rows: Rows) -> Rows:
        """(m,) for rows (m, n_features); ValueError on another shape or type."""
        if rows.ndim != 2 or rows.shape[1] != self.n_features or rows.dtype != np.float64:
            raise ValueError(
                f"rows must be float64 (m, {self.n_features}), not {rows.dtype} {rows.shape}"
            )
        out = np.full(len(rows), np.nan)
        sound = np.isfinite(rows).all(axis=1)
        asked = np.ascontiguousarray(rows[sound])
        if len(asked):
            out[sound] = self._asked(asked)
        return out

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child is not None:
            _end(self._child)
            self._child = None

    def _asked(self, rows: Rows) -> Rows:
        try:
            child = self._living()
            until_s = _now_s() + self._answer_within_s
            _write(child, COUNT.pack(len(rows)) + rows.astype("<f8").tobytes(), until_s)
            said = np.frombuffer(_read(child, 8 * len(rows), until_s), "<f8")
        except (OSError, TimeoutError, EOFError):
            self.close()
            return np.full(len(rows), np.nan)
        # Written so that NaN fails it too: such an answer is none.
        is_share = (said >= 0.0) & (said <= 1.0)
        return np.where(is_share, said, np.nan)

    def _living(self) -> subprocess.Popen[bytes]:
        if self._child is not None:
            return self._child
        if self._starts >= STARTS_MAX:
            raise EOFError("the model's process has ended too often")
        self._starts += 1
        child = subprocess.Popen(
            [sys.executable, "-m", "daemon.research.serving"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # a Ctrl-C is for us
        )
        weakref.finalize(self, _end, child)
        self._child = child
        digest = hashlib.sha256(self._archive).digest()
        until_s = _now_s() + START_WITHIN_S
        _write(child, COUNT.pack(len(self._archive)) + digest + self._archive, until_s)
        (width,) = COUNT.unpack(_read(child, COUNT.size, until_s))
        if width != self.n_features:
            raise EOFError(f"the archived model reads {width} features, not {self.n_features}")
        return child


def _write(child: subprocess.Popen[bytes], data: bytes, until_s: float) -> None:
    """All of `data`, to a process that may have stopped reading; TimeoutError, OSError."""
    assert child.stdin is not None
    pipe, left = child.stdin.fileno(), memoryview(data)
    os.set_blocking(pipe, False)  # a full pipe must not hold us past the moment
    while left:
        _wait_for(pipe, select.POLLOUT, until_s)
        left = left[os.write(pipe, left) :]


def _wait_for(pipe: int, what: int, until_s: float) -> None:
    poll = select.poll()  # select would refuse a descriptor above 1023
    poll.register(pipe, what)
    if not poll.poll(max(0.0, until_s - _now_s()) * 1_000):
        raise TimeoutError


def _now_s() -> float:
    return WireClock().monotonic_s()


def _read(child: subprocess.Popen[bytes], count: int, until_s: float) -> bytes:
    """Exactly `count` bytes of what the process says; TimeoutError, EOFError."""
    assert child.stdout is not None
    said = b""
    while len(said) < count:
        _wait_for(child.stdout.fileno(), select.POLLIN, until_s)
        part = os.read(child.stdout.fileno(), count - len(said))
        if not part:
            raise EOFError
        said += part
    return said


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # what was still to be written has nobody to read it
