"""Exchange ids: lists what ccxt can speak to, from its files, without paying for its import.

Belongs here: names only. Speaking to an exchange belongs to `daemon.venues`.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

EMBEDDED = "embedded"


@lru_cache(maxsize=1)
def exchange_ids() -> tuple[str, ...]:
    """The exchange in the box first, then every id of the installed ccxt, sorted."""
    spec = find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        return (EMBEDDED,)
    folder = Path(spec.submodule_search_locations[0]) / "abstract"
    return (EMBEDDED, *sorted(file.stem for file in folder.glob("[a-z]*.py")))
