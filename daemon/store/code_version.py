"""Which code this is: a version and a hash of every source file of the package.

A commit would say less: an installed daemon has no repository, and a changed checkout has the
commit of what it was changed from. Belongs here: that name. Where it is noted belongs to others.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from daemon import __version__

HASH_DIGITS = 12


@lru_cache(maxsize=1)
def code_version() -> str:
    """Such as 0.1.0+3fa2b1c09d8e; equal exactly when every source file of the package is."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{__version__}+{digest.hexdigest()[:HASH_DIGITS]}"
