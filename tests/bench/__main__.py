"""Measures and prints one JSON line per figure: `make bench`, or `python -m tests.bench NAME…`.

Belongs here: which measurements there are. Nothing here is a test: figures depend on the machine.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the named measurements, or all; 2 when there is none of a name."""
    here = Path(__file__).parent
    names = sorted(each.stem for each in here.glob("*.py") if not each.stem.startswith("_"))
    unknown = [each for each in arguments if each not in names]
    if unknown:
        sys.stderr.write(f"bench: no {', '.join(unknown)}; there are {', '.join(names)}\n")
        return 2
    for name in arguments or names:
        for figure in importlib.import_module(f"tests.bench.{name}").measure():
            sys.stdout.write(json.dumps({"bench": name, **figure}) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
