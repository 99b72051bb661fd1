"""Reads import statements and banned names out of source text, and compares them with the table.

The table is the one of docs/architecture.md: who may import whom, and where a library may live.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

EVERYTHING = frozenset({"*"})

# An area is the first folder below daemon/; files beside the folders wire everything together.
AREAS: dict[str, frozenset[str]] = {
    "core": frozenset({"core"}),
    "config": frozenset({"config", "core"}),
    "layers": frozenset({"core"}),
    "venues": frozenset({"core", "venues"}),
    "store": frozenset({"core", "store"}),
    "web": frozenset({"core", "web"}),
    "embedded": frozenset({"core", "embedded"}),
    "research": frozenset({"core", "config", "store", "layers", "research"}),
    "reports": frozenset({"core", "layers", "reports", "research", "store"}),
    "running": EVERYTHING,
    "logs": frozenset({"core", "layers", "logs"}),
    "bars": EVERYTHING,
    "backtests": EVERYTHING,
    "simulation": EVERYTHING,
    "cli": EVERYTHING,
    "": EVERYTHING,
}

# A layer knows its own section of the configuration, and no other.
SECTIONS = {
    "ingestion": {"DataSection"},
    "features": {"FeaturesSection"},
    "inference": {"ModelSection"},
    "signals": {"SignalSection"},
    "risk": {"PolicySection", "RiskSection"},
    "execution": {"ExecutionSection"},
    "monitoring": {"HealthSection", "PromotionSection", "RetrainingSection"},
}

# Where a library may be imported: path prefixes below daemon/.
CONFINED: dict[str, tuple[str, ...]] = {
    "apprise": ("running/alerts/addresses.py",),
    "aiohttp": ("embedded/", "venues/", "web/", "running/lockstep.py"),
    "bokeh": ("reports/",),
    "ccxt": ("venues/ccxt_", "simulation/client.py", "simulation/patterns.py"),
    "joblib": ("research/",),
    "msgspec": ("",),
    "numpy": (
        "layers/",
        "research/",
        "embedded/",
        "reports/",
        "store/",
        "app.py",
        "running/models/loading.py",
        "running/models/process.py",
    ),
    "optuna": ("research/",),
    "orjson": ("logs/", "store/", "embedded/", "venues/", "web/", "cli/"),
    "pandas": ("research/",),
    "pyarrow": ("embedded/", "reports/", "research/", "store/"),
    "pydantic": ("config/",),
    "pydantic_core": ("config/",),
    "pydantic_settings": ("config/",),
    "sklearn": ("research/",),
    "sqlalchemy": ("store/",),
    "sqlite3": ("store/", "embedded/ledger.py", "embedded/futures/ledger.py"),
    "structlog": ("logs/",),
    "typer": ("cli/",),
}
# These cost seconds and a hundred megabytes: only a function that needs them may pay.
LAZY = {"apprise", "bokeh", "ccxt", "joblib", "optuna", "pandas", "sklearn"}

CORE_LIBRARIES = {"msgspec"}
CORE_BANNED = {
    *("http", "io", "logging", "os", "pathlib", "random", "shutil", "socket", "ssl"),
    *("subprocess", "tempfile", "threading", "urllib"),
}
LAYERS_BANNED = {
    *("asyncio", "concurrent", "http", "io", "logging", "os", "pathlib", "random", "secrets"),
    *("shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
    "uuid",
}
LAYERS_BANNED_CALLS = {"datetime.now", "datetime.utcnow", "date.today", "np.random", "numpy.random"}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
# reporting asks only how lines are shown: NO_COLOR, and JOURNAL_STREAM of systemd.
ENVIRONMENT_READERS = ("config/loading.py", "running/process/sd_notify.py", "running/reporting.py")


@dataclass(frozen=True)
class Import:
    """One imported name, spelled out: `from a import b` is a.b."""

    name: str
    line: int
    is_lazy: bool
    is_for_types: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def imports(source: str) -> Iterator[Import]:
    yield from _imports(ast.parse(source).body, is_lazy=False, is_for_types=False)


def _imports(body: list[ast.stmt], *, is_lazy: bool, is_for_types: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, is_lazy, is_for_types)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield Import(f"{module}.{alias.name}", node.lineno, is_lazy, is_for_types)
        else:
            inner = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            typed = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            for field in ("body", "orelse", "finalbody"):
                inside = getattr(node, field, [])
                is_typed = is_for_types or (typed and field == "body")
                yield from _imports(inside, is_lazy=inner, is_for_types=is_typed)
            for handler in getattr(node, "handlers", []) + getattr(node, "cases", []):
                yield from _imports(handler.body, is_lazy=inner, is_for_types=is_for_types)


def findings(path: str, source: str) -> list[str]:
    """What breaks the table in one file; `path` is relative to daemon/, like "layers/risk.py"."""
    found = [
        f"{each.line}: {text}" for each in imports(source) for text in _judge_import(path, each)
    ]
    return found + [f"{line}: {text}" for line, text in _judge_names(path, ast.parse(source))]


def _judge_import(path: str, each: Import) -> Iterator[str]:
    area = path.partition("/")[0] if "/" in path else ""
    if each.top == "":
        yield "relative import; write it from daemon on"
    elif each.top == "daemon":
        yield from _judge_own(path, area, each)
    elif each.top in CONFINED:
        if not path.startswith(CONFINED[each.top]):
            yield f"{each.top} is confined to {', '.join(CONFINED[each.top])}"
        if each.top in LAZY and not each.is_lazy and not each.is_for_types:
            yield f"{each.top} is heavy: import it inside the function that needs it"
    elif each.top not in sys.stdlib_module_names:
        yield f"{each.top} is in no row of the table"
    if area == "core" and each.top in CORE_BANNED | (CONFINED.keys() - CORE_LIBRARIES):
        yield f"core/ has no I/O and no libraries, yet it imports {each.top}"
    is_edge = path.startswith("layers/ingestion") and each.top == "asyncio"
    is_banned = each.top in LAYERS_BANNED and not is_edge and not each.is_for_types
    if area == "layers" and is_banned:
        yield f"a layer is deterministic and silent, yet it imports {each.top}"


def _judge_own(path: str, area: str, each: Import) -> Iterator[str]:
    allowed = AREAS.get(area, frozenset())
    target = each.name.split(".")[1] if "." in each.name else ""
    if allowed == EVERYTHING or target in allowed or target == "__version__":
        return
    if area == "layers":
        layer = path.split("/")[1].removesuffix(".py")
        known = {f"daemon.config.{section}" for section in SECTIONS.get(layer, ())}
        if each.name.startswith(f"daemon.layers.{layer}.") or each.name in known:
            return
        if each.name == f"daemon.layers.{layer}":
            return
    yield f"{area}/ may not import {each.name}"


def _judge_names(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    is_layer = path.startswith("layers/")
    is_edge = path.startswith("layers/ingestion")
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await) and is_layer and not is_edge:
            yield node.lineno, "layers are synchronous; only the edge awaits"
        if not isinstance(node, ast.Attribute | ast.ImportFrom):
            continue
        for name in _names(node):
            if name in ENVIRONMENT and path not in ENVIRONMENT_READERS:
                yield node.lineno, f"{name}: the environment is read by config alone"
            if is_layer and name.endswith(tuple(LAYERS_BANNED_CALLS)):
                yield node.lineno, f"{name}: time and randomness arrive as arguments"


def _names(node: ast.Attribute | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [ast.unparse(node)]
    return [f"{node.module}.{alias.name}" for alias in node.names]
