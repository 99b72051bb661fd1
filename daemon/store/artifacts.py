"""Files as bytes: written so that a crash leaves none or all, model files verified before opening.

Bytes, hashes, npz and the replacing of small files belong here; which model is which belongs in
`models`.
"""

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from daemon.core.errors import ModelRefused
from daemon.core.manifests import ModelFile

if TYPE_CHECKING:  # importing numpy costs what `status` and `check` must not pay
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[Any]]

L = TypeVar("L")
FILE_MODE = 0o600


def npz(arrays: "Arrays") -> bytes:
    """Arrays as one npz; the same arrays give the same bytes (entries carry no time)."""
    import numpy as np

    if any(array.dtype.hasobject for array in arrays.values()):
        raise ValueError("object arrays would need pickle to be read back")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_of(data: bytes) -> "dict[str, npt.NDArray[np.generic]]":
    """The arrays of an npz. Raises `ModelRefused` on anything but plain arrays; never unpickles."""
    import numpy as np

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelRefused(f"not an npz of plain arrays: {error}") from error


def described(data: bytes) -> ModelFile:
    """Size and hash of a file's content."""
    return ModelFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def read_verified(path: Path, expected: ModelFile) -> bytes:
    """A file's content if it is the expected one; the bytes returned are the bytes verified.

    Raises `ModelRefused` naming what is found and what was expected.
    """
    size_bytes = _size(path)
    if size_bytes != expected.size_bytes:
        raise ModelRefused(
            f"{path.name} has {size_bytes} bytes, the manifest says {expected.size_bytes}"
        )
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != expected.sha256:
        raise ModelRefused(
            f"{path.name} has sha256 {found[:12]}…, the manifest says {expected.sha256[:12]}…"
        )
    return data


def read_whole(path: Path, bytes_max: int) -> bytes:
    """A file's content. Raises `ModelRefused` where it is missing, empty or implausibly large."""
    size_bytes = _size(path)
    if size_bytes == 0:
        raise ModelRefused(f"{path.name} is empty")
    if size_bytes > bytes_max:
        raise ModelRefused(f"{path.name} has {size_bytes} bytes, more than {bytes_max}")
    return path.read_bytes()


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it; its name is durable with its directory."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, data: bytes) -> None:
    """Whoever reads, whenever this is killed, finds the old content or the new; owner-only."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=FILE_MODE)
    write_durably(fresh, data)
    fresh.replace(path)
    sync_directory(path.parent)


def append_durably(path: Path, line: bytes) -> None:
    """One more line of a file that only grows; on return the disk has it. OSError.

    One that a crash or a full disk cut off before is ended first: this one must not continue it.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        size_bytes = os.fstat(file).st_size
        is_cut_off = size_bytes > 0 and os.pread(file, 1, size_bytes - 1) != b"\n"
        left = (b"\n" if is_cut_off else b"") + line + b"\n"
        while left:  # a disk that is nearly full takes a part of it
            left = left[os.write(file, left) :]
        os.fsync(file)
    finally:
        os.close(file)


def lines_of(path: Path, kind: type[L]) -> list[L]:
    """The lines of such a file, oldest first; one that a crash cut off is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError):  # the cut may be within a letter
            continue
    return found


def sync_directory(path: Path) -> None:
    """Wait until the disk has the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ModelRefused(f"{path.name} is missing ({error.strerror})") from error
