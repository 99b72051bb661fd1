"""Bars as a file that `recordings` reads back bit for bit: CSV, gzipped CSV or Parquet.

Belongs here: arrays to bytes. Which bars, and where the file goes, belongs to the command.
"""

import gzip
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.core.timeframes import NS_PER_MS
from daemon.store.recordings import VALUE_COLUMNS

ENDINGS = (".csv", ".csv.gz", ".parquet")
HEADER = ("timestamp", *VALUE_COLUMNS)
GZIP_LEVEL = 6


def bar_file(
    name: str, opens: npt.NDArray[np.int64], ohlcv: npt.NDArray[np.float64]
) -> bytes | None:
    """The content of a file of this name; None where the name ends like no such file.

    The same bars give the same bytes. Stamps are open times, epoch ms; floats are written as the
    shortest text that gives the same bits.
    """
    stamps = opens // NS_PER_MS
    if name.endswith(".parquet"):
        return _parquet(stamps, ohlcv)
    if name.endswith(".csv"):
        return _csv(stamps, ohlcv)
    if name.endswith(".csv.gz"):
        return gzip.compress(_csv(stamps, ohlcv), GZIP_LEVEL, mtime=0)
    return None


def _csv(stamps: npt.NDArray[np.int64], ohlcv: npt.NDArray[np.float64]) -> bytes:
    text = io.StringIO()
    text.write(",".join(HEADER) + "\n")
    for stamp, row in zip(stamps.tolist(), ohlcv.tolist(), strict=True):
        text.write(f"{stamp},{','.join(map(repr, row))}\n")
    return text.getvalue().encode()


def _parquet(stamps: npt.NDArray[np.int64], ohlcv: npt.NDArray[np.float64]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"timestamp": pa.array(stamps).cast(pa.timestamp("ms", "UTC"))}
    columns |= {name: pa.array(ohlcv[:, n]) for n, name in enumerate(VALUE_COLUMNS)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
