"""Runs one long simulation by name: `make soak SOAK=name` runs `tests/soak/name.py`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Exit code of the simulation; 2 when there is none of that name."""
    here = Path(__file__).parent
    names = sorted(each.stem for each in here.glob("*.py") if not each.stem.startswith("_"))
    if not arguments or arguments[0] not in names:
        given = arguments[0] if arguments else "nothing"
        sys.stderr.write(f"make soak: SOAK is {given}, expected one of {', '.join(names)}\n")
        return 2
    simulation = importlib.import_module(f"tests.soak.{arguments[0]}")
    if len(arguments) > 1 and not hasattr(simulation, "HAS_OPTIONS"):
        sys.stderr.write(f"make soak: {arguments[0]} has no options\n")
        return 2
    code = simulation.main(arguments[1:]) if len(arguments) > 1 else simulation.main()
    assert isinstance(code, int)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
