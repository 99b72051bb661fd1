"""A user's own kernels: reads the Python file that the configuration names.

Belongs here: finding, running and hashing the file, and saying in one line what is wrong with it.
What a kernel is belongs to layer 2.
"""

import hashlib
import importlib.abc
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from daemon.core.errors import TradingdError
from daemon.layers.features.kernels import BUILT_IN, kernels_in
from daemon.layers.features.registry import Kernel, from_source


class FeaturesFileRefused(TradingdError):
    """The file with a user's own features must not be used."""

    exit_code = 78


def kernels_with(path: str) -> Mapping[str, Kernel]:
    """The built-in kernels and those of the file; an empty path names no file.

    Raises `FeaturesFileRefused`, one line with file, line and reason.
    """
    return {**BUILT_IN, **own_kernels(Path(path))} if path else BUILT_IN


def own_kernels(path: Path) -> Mapping[str, Kernel]:
    """The kernels of the file by name, marked with the hash of its content."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FeaturesFileRefused(
            f"{path}: {(error.strerror or 'cannot be read').lower()}"
        ) from error
    return _read(path.absolute(), content)


@lru_cache(maxsize=16)
def _read(path: Path, content: bytes) -> Mapping[str, Kernel]:
    sha256 = hashlib.sha256(content).hexdigest()
    module = _run(path, content, f"tradingd_features_{sha256[:16]}")
    found: dict[str, Kernel] = {}
    for kernel in kernels_in(module):
        if kernel in BUILT_IN.values():
            continue  # imported, not made here
        if kernel.name in BUILT_IN:
            raise FeaturesFileRefused(
                f"{path}: {kernel.name!r} is the name of a built-in kernel; choose another one"
            )
        if kernel.name in found and found[kernel.name].function is not kernel.function:
            raise FeaturesFileRefused(f"{path}: two kernels are called {kernel.name!r}")
        found[kernel.name] = from_source(kernel, sha256)
    if not found:
        raise FeaturesFileRefused(
            f"{path}: no function in it is marked with @feature(lookback=...)"
        )
    return found


class _Given(importlib.abc.SourceLoader):
    """Runs the very bytes that were hashed, and keeps no compiled copy that could be older."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = str(path)
        self._content = content

    def get_filename(self, fullname: str) -> str:
        del fullname
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        del path
        return self._content


def _run(path: Path, content: bytes, name: str) -> ModuleType:
    spec = importlib.util.spec_from_loader(name, _Given(path, content))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and annotations look themselves up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's file may raise anything
        del sys.modules[name]
        raise FeaturesFileRefused(_one_line(path, error)) from error
    return module


def _one_line(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}: {error.msg}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    told = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{where}: {told if kind == 'FeatureRefused' else f'{kind}: {told}'}"
