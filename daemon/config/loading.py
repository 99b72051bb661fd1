"""Loading: reads the places a setting can come from and makes one value, or all refusals.

Belongs here: the only access to config.toml, the environment and the credentials directory.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
)

from daemon.config.refusals import (
    ConfigRefused,
    explain,
    guess,
    is_secret,
    kept_at,
    line_of,
    section_keys,
)
from daemon.config.settings import DELIMITER, ENV_PREFIX, Settings

Tree = dict[str, Any]
CREDENTIALS = "CREDENTIALS_DIRECTORY"
ACL_ATTRIBUTE = "system.posix_acl_access"


def load(
    path: Path | None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from, highest first: overrides, environment, credentials, the file, defaults.

    `overrides` is keyed "section.key", as the command line gives them; None means not given.
    `path` None means no file. `environ` defaults to the process's own. Raises ConfigRefused with
    every reason at once.
    """
    return _Loading(path, overrides, os.environ if environ is None else environ).settings()


class _Loading:
    """One attempt: the sources as trees, and the lines of what is wrong with them."""

    def __init__(
        self, path: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]
    ) -> None:
        self._path = path
        self._text = ""
        self._lines: list[str] = []
        self._credentials = environ.get(CREDENTIALS)
        self._overrides = self._from_overrides(overrides)
        self._environment = self._from_environment(environ)
        self._file = self._from_file(path) if path else {}
        self._secrets = self._from_credentials(self._credentials) if self._credentials else {}

    def settings(self) -> Settings:
        loading = self

        class Sourced(Settings):
            @classmethod
            def settings_customise_sources(  # type: ignore[override]  # the usual four are not used
                cls, settings_cls: Any, **_: Any
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return tuple(loading._sources(settings_cls))

        Sourced.__name__ = Sourced.__qualname__ = Settings.__name__
        try:
            made = Sourced()
        except ValidationError as error:
            details = error.errors(include_url=False)
            self._lines += explain(details, origin=self._origin, value_at=self._shown)
        if self._lines:
            # Without a cause: pydantic's own text could show a secret's value.
            raise ConfigRefused(self._lines) from None
        return Settings.model_construct(**dict(made))

    def _sources(self, settings_cls: type[Settings]) -> Iterator[PydanticBaseSettingsSource]:
        for tree in (self._overrides, self._environment, self._secrets, self._file):
            yield InitSettingsSource(settings_cls, tree)

    # --- the places -----------------------------------------------------------------------------

    def _from_overrides(self, overrides: Mapping[str, object]) -> Tree:
        tree: Tree = {}
        for dotted, value in overrides.items():
            section, _, key = dotted.partition(".")
            assert key in section_keys().get(section, ()), f"no setting is called {dotted}"
            if value is not None:
                tree.setdefault(section, {})[key] = value
        return tree

    def _from_environment(self, environ: Mapping[str, str]) -> Tree:
        known = {_variable(s, k): (s, k) for s, keys in section_keys().items() for k in keys}
        tree: Tree = {}
        for name, value in sorted(environ.items()):
            if name in known:
                section, key = known[name]
                tree.setdefault(section, {})[key] = value
            elif name.upper().startswith(ENV_PREFIX):
                text = f"{name} is no setting ({ENV_PREFIX}* is ours){guess(name.upper(), known)}"
                self._lines.append(f"environment: error: {text}")
        return tree

    def _from_file(self, path: Path) -> Tree:
        try:
            self._text = path.read_bytes().decode("utf-8-sig")
            tree = tomllib.loads(self._text)
        except OSError as error:
            self._lines.append(f"{path}: error: {(error.strerror or 'cannot be read').lower()}")
            return {}
        except UnicodeDecodeError:
            self._lines.append(f"{path}: error: is not UTF-8 text")
            return {}
        except tomllib.TOMLDecodeError as error:
            at = re.search(r" \(at line (\d+), column \d+\)", str(error))
            where = f"{path}:{at[1]}" if at else str(path)
            text = str(error).replace(at[0], "") if at else str(error)
            self._lines.append(f"{where}: error: not TOML: {text}")
            return {}
        return self._without_secrets(path, tree)

    def _without_secrets(self, path: Path, tree: Tree) -> Tree:
        inner = [(s, key) for s, keys in tree.items() if isinstance(keys, dict) for key in keys]
        for name in [*((key,) for key in tree), *inner]:
            if not is_secret(name[-1]) or not _has(tree, name):
                continue
            (tree if len(name) == 1 else tree[name[0]]).pop(name[-1])
            self._lines.append(
                f"{path}:{line_of(self._text, name)}: error: `{'.'.join(name)}` is a secret and "
                f"does not belong in this file; {kept_at(name[0])} ({ENV_PREFIX}*)"
            )
        return tree

    def _from_credentials(self, directory: str) -> Tree:
        folder = Path(directory)
        if not folder.is_dir():
            self._lines.append(f"{CREDENTIALS}: error: {directory} is not a directory")
            return {}
        for file in sorted(folder.iterdir()):
            if file.is_file() and is_exposed(file):
                mode = stat.S_IMODE(file.stat().st_mode)
                text = f"is readable by others ({mode:04o}); chmod 600"
                self._lines.append(f"credential {file.name}: error: {text}")
        source = NestedSecretsSettingsSource(
            Settings,  # type: ignore[arg-type]
            secrets_dir=folder,
            secrets_prefix="",
            secrets_nested_delimiter=DELIMITER,
        )
        return dict(source())

    # --- saying where ---------------------------------------------------------------------------

    def _origin(self, path: tuple[str, ...]) -> str:
        setting = path[:2]  # a table inside a section may be said as one text
        if _has(self._overrides, setting):
            return "command line"
        if _has(self._environment, setting):
            return f"environment {_variable(*setting)}"
        if _has(self._secrets, setting):
            return f"credential {DELIMITER.join(setting)}"
        if path[:1] == ("exchange",):
            return "credentials"
        if self._path is None:
            return "settings"
        line = line_of(self._text, path) or line_of(self._text, setting)
        return f"{self._path}:{line}" if line else str(self._path)

    def _shown(self, path: tuple[str, ...]) -> str:
        for tree in (self._overrides, self._environment, self._secrets, self._file):
            if _has(tree, path):
                return repr(_at(tree, path))
            if _has(tree, path[:2]):
                return repr(_at(tree, path[:2]))  # said as text, or of a table of its own
        section = Settings.model_fields[path[0]].default
        return f"{getattr(section, path[1])} (default)"


def _has(tree: Tree, path: tuple[str, ...]) -> bool:
    here: Any = tree
    for part in path:
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return bool(path)


def _at(tree: Tree, path: tuple[str, ...]) -> Any:
    here: Any = tree
    for part in path:
        here = here[part]
    return here


def _variable(*path: str) -> str:
    return ENV_PREFIX + DELIMITER.join(path).upper()


def is_exposed(file: Path) -> bool:
    """Whether someone other than the owner may read a file that holds a secret."""
    mode = file.stat().st_mode
    if mode & stat.S_IROTH:
        return True
    # systemd may grant a credential to the unit's user by an access list; the group bits then show
    # the list's mask, not a right of the group.
    return bool(mode & stat.S_IRGRP) and ACL_ATTRIBUTE not in os.listxattr(file)
