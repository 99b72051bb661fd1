"""The process of a model without a compiled form: verified bytes in, then rows in and answers out.

Standard input: length, SHA-256 and bytes of the archive, then again and again a count and that many
rows. Standard output: the number of features, then a probability per row. Belongs here: unpickling
and predicting. Our end of the pipe is `models.process`.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

COUNT = struct.Struct("<q")
DIGEST_BYTES = 32
ARCHIVE_BYTES_MAX = 1 << 30


def main() -> int:
    """Until standard input ends; 1 when the archive is not the one that was announced."""
    import joblib

    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not stand between the answers.
    os.dup2(2, 1)
    (size,) = COUNT.unpack(_exactly(source, COUNT.size))
    digest = _exactly(source, DIGEST_BYTES)
    archive = _exactly(source, min(size, ARCHIVE_BYTES_MAX))
    if hashlib.sha256(archive).digest() != digest:
        return 1
    model: Any = joblib.load(io.BytesIO(archive))
    up = model.classes_.tolist().index(1)
    width = int(model.n_features_in_)
    answers.write(COUNT.pack(width))
    answers.flush()
    while head := source.read(COUNT.size):
        (count,) = COUNT.unpack(head)
        rows = np.frombuffer(_exactly(source, 8 * width * count), "<f8").reshape(count, width)
        answers.write(one_by_one(model, up, rows).astype("<f8").tobytes())
        answers.flush()
    return 0


def one_by_one(model: Any, up: int, rows: Any) -> Any:
    """Each row asked alone, so that what it gets cannot depend on its company."""
    said = [float(model.predict_proba(row[np.newaxis, :])[0, up]) for row in rows]
    return np.array(said, dtype=np.float64)


def _exactly(source: BinaryIO, count: int) -> bytes:
    data = source.read(count)
    if len(data) != count:
        raise EOFError("standard input ended in the middle of a message")
    return data


if __name__ == "__main__":
    sys.exit(main())
