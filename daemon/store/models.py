"""The model registry: a directory per model, verified before it is opened, and which is active.

States and the order of checks belong here; bytes belong in `artifacts`.
"""

import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import ModelRefused
from daemon.core.manifests import Manifest, ModelKey, decode_manifest, encode_manifest
from daemon.store import artifacts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

REGISTRY_SCHEMA = "tradingd.registry/1"
MANIFEST_BYTES_MAX = 64 << 20
REFUSED_MAX = 20
_INDEX = "registry.json"
_MANIFEST = "manifest.json"
_ARRAYS = "model.npz"
_ARCHIVE = "archive.joblib"
_INCOMING = ".incoming-"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class ModelState(StrEnum):
    """Where a model stands; at most one per key is active.

    A candidate was never used, or was taken back by a rollback; a shadow predicts beside the active
    one and trades nothing; a retired one has been active before; a refused one was made beside a
    running daemon and did not pass its verdict; a dropped one passed it, and did not hold in shadow
    or was taken back by the rule: the journals it predicted in need it still.
    """

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"
    REFUSED = "refused"
    DROPPED = "dropped"


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered model. `activation` counts up over the registry; 0 was never active."""

    model_id: str
    key: ModelKey
    state: ModelState
    activation: int
    manifest_sha256: str


class _Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str = REGISTRY_SCHEMA
    models: tuple[ModelEntry, ...] = ()


class ModelRegistry:
    """Models under one directory. A crash at any point leaves the state before or after a call."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self) -> tuple[ModelEntry, ...]:
        """All registered models, oldest registration first."""
        return self._read_index().models

    def active_for(self, key: ModelKey) -> str | None:
        """Id of the active model for `key`."""
        for entry in self.list():
            if entry.key == key and entry.state is ModelState.ACTIVE:
                return entry.model_id
        return None

    def register(
        self, manifest: Manifest, arrays: "artifacts.Arrays", archive: bytes | None
    ) -> Manifest:
        """Store a model as a candidate and return its manifest as stored, with its files.

        Registering the same content again keeps what is stored, or restores it where it has been
        damaged. `archive` is kept for research; nothing here ever opens it.
        """
        _require_id(manifest.model_id)
        contents = {_ARRAYS: artifacts.npz(arrays)}
        if archive is not None:
            contents[_ARCHIVE] = archive
        files = {name: artifacts.described(data) for name, data in contents.items()}
        manifest = msgspec.structs.replace(manifest, files=files)
        with self._locked():
            self._sweep()
            stored = self._stored_intact(manifest)
            if stored is None:
                self._place(manifest.model_id, {**contents, _MANIFEST: encode_manifest(manifest)})
            self._enter(stored or manifest)
        return stored or manifest

    def activate(self, model_id: str) -> None:
        """Make a model the active one of its key and retire the one before it.

        It is verified first; raises `ModelRefused`, with nothing changed, if it must not be used.
        """
        with self._locked():
            self.load(model_id)
            index = self._read_index()
            chosen = _entry(index, model_id)
            if chosen.state is ModelState.ACTIVE:
                return
            activation = 1 + max(entry.activation for entry in index.models)
            self._write_index(
                _Index(models=tuple(_activated(e, chosen, activation) for e in index.models))
            )

    def mark(self, model_id: str, state: ModelState) -> None:
        """Note where a model stands; the active one stays active until another is activated."""
        assert state is not ModelState.ACTIVE, "that is for `activate`, which verifies"
        with self._locked():
            index = self._read_index()
            if _entry(index, model_id).state not in {ModelState.ACTIVE, state}:
                self._write_index(_Index(models=_with_state(index, {model_id: state})))

    def refuse(self, model_id: str) -> None:
        """Note that a candidate did not pass; any other state says more, and stays.

        The newest REFUSED_MAX of its key are kept: nothing else ever needs one.
        """
        with self._locked():
            index = self._read_index()
            chosen = _entry(index, model_id)
            if chosen.state is not ModelState.CANDIDATE:
                return
            models = _with_state(index, {model_id: ModelState.REFUSED})
            refused = [
                entry.model_id
                for entry in models
                if entry.key == chosen.key and entry.state is ModelState.REFUSED
            ]
            gone = set(refused[:-REFUSED_MAX])
            kept = tuple(entry for entry in models if entry.model_id not in gone)
            self._write_index(_Index(models=kept))
            for each in gone:
                shutil.rmtree(self._root / each, ignore_errors=True)

    def rollback(self, key: ModelKey) -> tuple[str, str]:
        """Take back the active model of `key`: the one that was active before it is so again.

        Returns the ids (taken back, active again). The one taken back becomes a candidate, so that
        another rollback goes one further back. Raises `ModelRefused`, with nothing changed, where
        there is none before it or that one must not be used.
        """
        with self._locked():
            index = self._read_index()
            of_key = [entry for entry in index.models if entry.key == key]
            active = [entry for entry in of_key if entry.state is ModelState.ACTIVE]
            before = [entry for entry in of_key if entry.state is ModelState.RETIRED]
            if not active or not before:
                what = "no model is active" if not active else "no model was active before it"
                raise ModelRefused(f"{what} for {', '.join(key.symbols)} {key.timeframe}")
            last = max(before, key=lambda entry: entry.activation)
            self.load(last.model_id)
            states = {active[0].model_id: ModelState.CANDIDATE, last.model_id: ModelState.ACTIVE}
            self._write_index(_Index(models=_with_state(index, states)))
            return active[0].model_id, last.model_id

    def manifest(self, model_id: str) -> Manifest:
        """The verified manifest of a model, without touching its arrays."""
        _require_id(model_id)
        entry = _entry(self._read_index(), model_id)
        with _about(model_id):
            data = artifacts.read_whole(self._root / model_id / _MANIFEST, MANIFEST_BYTES_MAX)
            manifest = decode_manifest(data)
            if hashlib.sha256(data).hexdigest() != entry.manifest_sha256:
                raise ModelRefused(f"{_MANIFEST} is not the one that was registered (sha256)")
            if manifest.model_id != model_id:
                raise ModelRefused(f"the manifest is that of {manifest.model_id}")
        return manifest

    def load(
        self, model_id: str, *, feature_fingerprint: str | None = None
    ) -> "tuple[Manifest, dict[str, npt.NDArray[np.generic]]]":
        """Manifest and arrays, verified in this order: manifest, features, size, sha256, contents.

        `feature_fingerprint` is that of the running feature set, where there is one to compare
        with. Raises `ModelRefused` with one line that names the first thing that is wrong.
        """
        manifest = self.manifest(model_id)
        with _about(model_id):
            trained_on = manifest.feature_set.fingerprint
            if feature_fingerprint is not None and feature_fingerprint != trained_on:
                raise ModelRefused(
                    f"trained on features {manifest.feature_set.name} {trained_on[:12]}, "
                    f"running {feature_fingerprint[:12]}"
                )
            if _ARRAYS not in manifest.files:
                raise ModelRefused(f"the manifest names no {_ARRAYS}")
            path = self._root / model_id / _ARRAYS
            return manifest, artifacts.arrays_of(
                artifacts.read_verified(path, manifest.files[_ARRAYS])
            )

    def archive(self, model_id: str) -> bytes:
        """The verified bytes of the archived model, for a process that may run what is in them."""
        manifest = self.manifest(model_id)
        with _about(model_id):
            if _ARCHIVE not in manifest.files:
                raise ModelRefused(f"the manifest names no {_ARCHIVE}")
            path = self._root / model_id / _ARCHIVE
            return artifacts.read_verified(path, manifest.files[_ARCHIVE])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        for leftover in self._root.glob(f"{_INCOMING}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()

    def _stored_intact(self, manifest: Manifest) -> Manifest | None:
        home = self._root / manifest.model_id
        try:
            stored = decode_manifest(artifacts.read_whole(home / _MANIFEST, MANIFEST_BYTES_MAX))
            for name, expected in stored.files.items():
                artifacts.read_verified(home / name, expected)
        except ModelRefused:
            return None
        same_made_at = msgspec.structs.replace(
            manifest, created_ns=stored.created_ns, code_version=stored.code_version
        )
        return stored if stored == same_made_at else None

    def _place(self, model_id: str, contents: Mapping[str, bytes]) -> None:
        home = self._root / model_id
        if home.exists():  # Damaged, or from a crash: it goes the way of every leftover.
            home.rename(Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self._root)) / model_id)
        incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self._root))
        for name, data in contents.items():
            artifacts.write_durably(incoming / name, data)
        artifacts.sync_directory(incoming)
        incoming.rename(home)
        artifacts.sync_directory(self._root)

    def _enter(self, manifest: Manifest) -> None:
        index = self._read_index()
        known = {entry.model_id: entry for entry in index.models}
        digest = hashlib.sha256(encode_manifest(manifest)).hexdigest()
        entry = known.get(manifest.model_id) or ModelEntry(
            manifest.model_id, manifest.key, ModelState.CANDIDATE, 0, digest
        )
        known[manifest.model_id] = msgspec.structs.replace(entry, manifest_sha256=digest)
        self._write_index(_Index(models=tuple(known.values())))

    def _read_index(self) -> _Index:
        try:
            index = msgspec.json.decode((self._root / _INDEX).read_bytes(), type=_Index)
        except FileNotFoundError:
            return _Index()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelRefused(f"{self._root / _INDEX} is not readable: {error}") from error
        if index.schema != REGISTRY_SCHEMA:
            raise ModelRefused(f"{self._root / _INDEX} has the foreign schema {index.schema!r}")
        return index

    def _write_index(self, index: _Index) -> None:
        incoming = self._root / f"{_INCOMING}{_INDEX}"
        artifacts.write_durably(incoming, msgspec.json.format(msgspec.json.encode(index), indent=1))
        incoming.replace(self._root / _INDEX)
        artifacts.sync_directory(self._root)


def _entry(index: _Index, model_id: str) -> ModelEntry:
    for entry in index.models:
        if entry.model_id == model_id:
            return entry
    raise ModelRefused(f"model {model_id}: not in the registry")


def _activated(entry: ModelEntry, chosen: ModelEntry, activation: int) -> ModelEntry:
    if entry.model_id == chosen.model_id:
        return msgspec.structs.replace(entry, state=ModelState.ACTIVE, activation=activation)
    if entry.key == chosen.key and entry.state is ModelState.ACTIVE:
        return msgspec.structs.replace(entry, state=ModelState.RETIRED)
    return entry


def _with_state(index: _Index, states: Mapping[str, ModelState]) -> tuple[ModelEntry, ...]:
    return tuple(
        msgspec.structs.replace(entry, state=states.get(entry.model_id, entry.state))
        for entry in index.models
    )


def _require_id(model_id: str) -> None:
    if not _ID.fullmatch(model_id):
        raise ModelRefused(f"model {model_id!r}: not a model id")


@contextmanager
def _about(model_id: str) -> Iterator[None]:
    try:
        yield
    except ModelRefused as refused:
        raise type(refused)(f"model {model_id}: {refused}") from refused
