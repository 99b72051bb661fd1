"""config.toml is the documentation of every setting; these tests keep it whole and true."""

import re
import tomllib
from pathlib import Path

from daemon.config import Settings, load
from daemon.config.refusals import is_secret, line_of, section_keys

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config.toml"
NOT_IN_FILE = {"exchange"}  # secrets only


def test_the_shipped_file_holds_every_setting_in_the_order_of_the_code() -> None:
    written = {name: list(keys) for name, keys in tomllib.loads(SHIPPED.read_text()).items()}

    declared = {
        name: [key for key in keys if not is_secret(key)]
        for name, keys in section_keys().items()
        if name not in NOT_IN_FILE
    }
    assert written == declared
    assert list(written) == list(declared)


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    assert load(SHIPPED, {}, {}) == Settings.model_construct()


def test_every_key_of_the_shipped_file_is_explained_on_its_line() -> None:
    text = SHIPPED.read_text()
    lines = text.splitlines()

    for section, keys in tomllib.loads(text).items():
        for key in keys:
            number = line_of(text, (section, key))
            assert number is not None
            assert re.search(r"  # \S.{8,}", lines[number - 1]), f"{section}.{key} is not explained"


def test_every_setting_is_read_somewhere_outside_the_configuration() -> None:
    code = "\n".join(
        path.read_text() for path in (ROOT / "daemon").rglob("*.py") if path.parent.name != "config"
    )

    unread = {
        f"{section}.{key}"
        for section, keys in section_keys().items()
        for key in keys
        if not re.search(rf"\.{key}\b", code)
    }

    assert unread == set()
