import re

import daemon
from daemon.store.code_version import code_version


def test_code_is_named_by_its_version_and_a_hash_of_its_sources() -> None:
    assert re.fullmatch(rf"{re.escape(daemon.__version__)}\+[0-9a-f]{{12}}", code_version())
