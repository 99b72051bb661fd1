import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.imports import AREAS, findings

DAEMON = Path(__file__).parents[2] / "daemon"
FILES = sorted(DAEMON.rglob("*.py"))


def test_every_import_is_in_the_table() -> None:
    found = [
        f"daemon/{path}:{text}"
        for path, source in ((file.relative_to(DAEMON), file.read_text()) for file in FILES)
        for text in findings(path.as_posix(), source)
    ]

    assert found == [], "\n".join(["", *found])


def test_every_folder_has_a_row_in_the_table() -> None:
    folders = {file.relative_to(DAEMON).parts[0] for file in FILES if file.parent != DAEMON}

    assert folders <= set(AREAS)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/events/run.py", "import numpy as np"),
        ("core/events/run.py", "from pathlib import Path"),
        ("core/events/run.py", "from daemon.layers import risk"),
        ("layers/risk.py", "from daemon.layers.signals import Signals"),
        ("layers/risk.py", "from daemon.layers import signals"),
        ("layers/risk.py", "from daemon.config import SignalSection"),
        ("layers/risk.py", "from daemon.config import Settings"),
        ("layers/risk.py", "def f():\n    import random"),
        ("layers/risk.py", "import time"),
        ("layers/risk.py", "async def f():\n    await g()"),
        ("layers/signals.py", "import asyncio"),
        ("layers/signals.py", "import logging"),
        ("layers/signals.py", "from datetime import datetime\nnow = datetime.now()"),
        ("layers/signals.py", "import datetime\nnow = datetime.datetime.now()"),
        ("layers/features.py", "import numpy as np\nx = np.random.normal()"),
        ("layers/execution.py", "async def send(): ..."),
        ("venues/paper_venue.py", "from daemon.layers.risk import Risk"),
        ("venues/paper_venue.py", "from daemon.store import journal"),
        ("venues/paper_venue.py", "def f():\n    import ccxt.pro"),
        ("venues/ccxt_venue.py", "import ccxt.pro"),
        ("venues/ccxt_venue.py", "try:\n    import ccxt\nexcept ImportError:\n    raise"),
        ("research/training.py", "import sklearn.ensemble"),
        ("research/training.py", "from daemon.venues import router"),
        ("store/journal.py", "def f():\n    from joblib import load"),
        ("embedded/market.py", "import sqlite3"),
        ("embedded/market.py", "from sqlalchemy import create_engine"),
        ("web/page.py", "from daemon.embedded import market"),
        ("app.py", "import structlog"),
        ("app.py", "def f():\n    import pandas"),
        ("app.py", "import requests"),
        ("app.py", "from .core import events"),
        ("app.py", "import os\nos.environ['HOME']"),
        ("app.py", "from os import environ"),
        ("cli/run.py", "import os\nhome = os.getenv('HOME')"),
        ("newcomer/thing.py", "from daemon.core import events"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str) -> None:
    assert findings(path, source) != []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/events/run.py", "from msgspec import Struct\nfrom daemon.core.bars import Bar"),
        ("layers/risk.py", "from daemon.config import RiskSection"),
        (
            "layers/features/sets.py",
            "import numpy as np\nfrom daemon.layers.features import kernels",
        ),
        ("layers/ingestion/feed.py", "import asyncio\nasync def run(): ..."),
        ("layers/ingestion/feed.py", "if TYPE_CHECKING:\n    from random import Random"),
        ("venues/ccxt_venue.py", "def connect():\n    import ccxt.pro"),
        ("venues/ccxt_venue.py", "if TYPE_CHECKING:\n    import ccxt"),
        ("research/training.py", "def fit():\n    import sklearn.ensemble"),
        ("embedded/ledger.py", "import sqlite3"),
        ("config/loading.py", "import os\nos.environ"),
        ("app.py", "from daemon.layers.risk import Risk\nfrom daemon.store import journal"),
    ],
)
def test_what_the_table_allows_is_not_found(path: str, source: str) -> None:
    assert findings(path, source) == []


def constructions(path: str, source: str, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
            yield f"{path}:{node.lineno}"


def test_only_risk_says_that_an_order_is_approved_and_only_in_one_place() -> None:
    found = [
        each
        for path in sorted(DAEMON.rglob("*.py"))
        for each in constructions(
            path.relative_to(DAEMON).as_posix(), path.read_text(), "OrderApproved"
        )
    ]

    assert [each.partition(":")[0] for each in found] == ["layers/risk/verdicts.py"]


def test_an_approval_that_is_planted_elsewhere_is_found() -> None:
    source = "def on_bar(e):\n    yield events.OrderApproved(ts_ns=1)\n"

    assert list(constructions("layers/signals.py", source, "OrderApproved")) == [
        "layers/signals.py:2"
    ]
