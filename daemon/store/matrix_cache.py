"""Bars as arrays on disk: reads a long series from plain files while they say what the store says.

Belongs here: pieces, their names and their bound. What the arrays are used for belongs to research.
"""

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.store.artifacts import replace_durably
from daemon.store.bars import ALWAYS_NS, BarArrays, BarStore

FOLDER = "cache"
FOLDER_MODE = 0o700
VERSION = 1  # of what a file holds
PIECE_BARS = 32_768
# Reading so few from the store is as fast as looking a file up.
PIECE_BARS_MIN = 2_000
_ROW = np.dtype([("open_ns", "<i8"), ("ohlcv", "<f8", (5,))])


class MatrixCache:
    """Pieces of series as .npy files, each named by a hash of what the store says of that piece.

    A revision, a late bar or a prune changes that hash, so an old file is never read again. The
    least recently used go when all together are larger than `bytes_max`; 0 keeps none.
    """

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    @classmethod
    def beside(cls, bars_db: Path, megabytes: int) -> "MatrixCache":
        """The cache of a bar store."""
        return cls(bars_db.parent / FOLDER, megabytes * 1_000_000)

    def read_arrays(  # noqa: PLR0917  # as the store's
        self,
        store: BarStore,
        market: str,
        symbol: str,
        timeframe_ns: int,
        since_ns: int = 0,
        until_ns: int = ALWAYS_NS,
    ) -> BarArrays:
        """What `BarStore.read_arrays` would say, to the bit."""
        edges = store.edges(market, symbol, timeframe_ns) if self._bytes_max else None
        if edges is None:
            return store.read_arrays(market, symbol, timeframe_ns, since_ns, until_ns)
        first_ns, last_ns = max(since_ns, edges[0]), min(until_ns - 1, edges[1])
        width_ns = PIECE_BARS * timeframe_ns
        starts = range(first_ns - first_ns % width_ns, last_ns + 1, width_ns)
        pieces = [self._piece(store, (market, symbol, timeframe_ns), start) for start in starts]
        if not pieces:
            return store.read_arrays(market, symbol, timeframe_ns, since_ns, until_ns)
        opens = np.concatenate([opens for opens, _ in pieces])
        ohlcv = np.concatenate([ohlcv for _, ohlcv in pieces])
        is_asked = slice(*np.searchsorted(opens, [since_ns, until_ns]).tolist())
        return opens[is_asked], ohlcv[is_asked]

    def _piece(self, store: BarStore, key: tuple[str, str, int], start_ns: int) -> BarArrays:
        span = (start_ns, start_ns + PIECE_BARS * key[2])
        stamp = store.stamp(*key, *span)
        rows = stamp[0]
        assert isinstance(rows, int)
        if rows < PIECE_BARS_MIN:
            return store.read_arrays(*key, *span)
        text = "\0".join(map(repr, (VERSION, *key, *span, *stamp)))
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
        found = _loaded(path)
        if found is None:
            found = store.read_arrays(*key, *span)
            self._keep(path, *found)
        return found

    def _keep(
        self, path: Path, opens: npt.NDArray[np.int64], ohlcv: npt.NDArray[np.float64]
    ) -> None:
        table = np.empty(len(opens), _ROW)
        table["open_ns"], table["ohlcv"] = opens, ohlcv
        buffer = io.BytesIO()
        np.save(buffer, table, allow_pickle=False)
        # A cache that cannot be written, as on a full disk, costs time and nothing else.
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            replace_durably(path, buffer.getvalue())
            self._shrink()

    def _shrink(self) -> None:
        files = [(each.stat(), each) for each in self._folder.iterdir() if each.is_file()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, each in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if total <= self._bytes_max:
                return
            each.unlink(missing_ok=True)
            total -= stat.st_size


def _loaded(path: Path) -> BarArrays | None:
    """A file's arrays; None when it is not there or not what was written."""
    try:
        table = np.load(path, allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    if table.dtype != _ROW or not len(table):
        return None
    return np.ascontiguousarray(table["open_ns"]), np.ascontiguousarray(table["ohlcv"])
