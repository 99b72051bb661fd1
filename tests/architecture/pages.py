"""Draws the parts of the documentation that the code itself states, and writes them into the pages.

Belongs here: routes, order states, exit codes, settings, modules and the import table as Markdown.
`python -m tests.architecture.pages` writes them; `test_docs` fails while page and code differ.
"""

import ast
import inspect
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from daemon.app import build_core
from daemon.config import PolicySection, RiskSection, Section, load
from daemon.config.settings import Settings
from daemon.core import errors
from daemon.core.events import JOURNALED, Command, DenyReason, Event, Input, Trouble
from daemon.core.instruments import InstrumentId
from daemon.core.orders import TERMINAL, TRANSITIONS
from daemon.core.pipeline import Route
from daemon.feature_config import feature_set_of
from daemon.layers.features.kernels import MODULES, kernels_in
from daemon.layers.monitoring.measured import MEASURED, Delay
from daemon.layers.risk.gates import ENTRY_GATES, EXIT_GATES
from daemon.layers.risk.sizing import CAPS
from daemon.routes import routes
from daemon.running.alerts.rules import table
from tests.architecture.imports import AREAS, CONFINED, EVERYTHING, LAZY

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon"
COMMAND = "python -m tests.architecture.pages"
DRAWN = re.compile(r"(<!-- drawn: (\w+) -->\n)(?:(?!<!-- ).)*(<!-- end -->)", re.DOTALL)
APPLIED_COLUMN = 58
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def pages() -> list[Path]:
    """The pages that hold drawn parts, and those that hold none."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def drawn(text: str) -> str:
    """The page with all its drawn parts as the code would have them now."""

    def draw(found: re.Match[str]) -> str:
        return f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}"

    return DRAWN.sub(draw, text)


# --- routes ---------------------------------------------------------------------------------------


def route_trees() -> str:
    """One tree per input: what its step decides, and on the right who takes note of each event."""
    deciding: dict[type[Event], list[Route]] = defaultdict(list)
    applying: dict[type[Event], list[str]] = defaultdict(list)
    for route in _routes():
        if route.decides:
            deciding[route.event_type].append(route)
        else:
            applying[route.event_type].append(_owner(route))

    def tree(kind: type[Event], head: str, indent: str) -> Iterator[str]:
        note = ", ".join(applying[kind])
        if issubclass(kind, Command):
            note = "leaves after the commit"
        yield f"{head:<{APPLIED_COLUMN}}{note}".rstrip()
        branches = [(route, kind) for route in deciding[kind] for kind in route.emits]
        for number, (route, caused) in enumerate(branches, 1):
            is_last = number == len(branches)
            mark, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            yield from tree(
                caused, f"{indent}{mark}{_owner(route)}: {caused.__name__}", indent + rest
            )

    inputs = [kind for kind in JOURNALED if issubclass(kind, Input)]
    silent = [kind.__name__ for kind in inputs if not deciding[kind] and not applying[kind]]
    blocks = [
        "\n".join(tree(kind, kind.__name__, "")) for kind in inputs if kind.__name__ not in silent
    ]
    kept = f"{', '.join(silent)}: recorded only"
    return "```text\n" + "\n\n".join([*blocks, kept]) + "\n```"


def _routes() -> list[Route]:
    settings = load(None, {}, {})
    instruments = [InstrumentId("embedded", "BTC/USDT")]
    return routes(build_core(settings, feature_set_of(settings), None, instruments))


def _owner(route: Route) -> str:
    handler: Any = route.handler
    return type(handler.__self__).__name__


# --- risk ---------------------------------------------------------------------------------------


def risk_gates() -> str:
    """Every gate in its order: what it says of itself, its reasons and its keys."""
    rows = []
    exits_alone = (gate for gate in EXIT_GATES if gate not in ENTRY_GATES)
    for number, gate in enumerate((*ENTRY_GATES, *exits_alone), 1):
        reasons, keys = _reasons_and_keys(gate)
        about = " ".join((gate.__doc__ or gate.__name__.replace("_", " ")).split())
        who = "entries" if gate not in EXIT_GATES else "both" if gate in ENTRY_GATES else "exits"
        rows.append((str(number), about.rstrip("."), reasons, keys, who))
    return _table(("", "it is passed when / because", "reason", "keys", "by"), rows)


def risk_caps() -> str:
    """Every cap on the size: its name in `bound_by`, its keys, and the denial where it binds."""
    rows = []
    for bound_by, cap, reason in CAPS:
        keys = _reasons_and_keys(cap)[1]
        rows.append((f"`{bound_by}`", keys, f"`{reason}`"))
    return _table(("bound_by", "keys", "denied as"), rows)


def _reasons_and_keys(function: Callable[..., Any]) -> tuple[str, str]:
    tree = ast.parse(inspect.getsource(function))
    names = [each for each in ast.walk(tree) if isinstance(each, ast.Attribute)]
    reasons = [
        DenyReason[each.attr]
        for each in names
        if isinstance(each.value, ast.Name) and each.value.id == "DenyReason"
    ]
    keys = {
        each.attr
        for each in names
        if isinstance(each.value, ast.Name)
        and each.value.id == "config"
        and each.attr in RiskSection.model_fields
    }
    shown = [f"`{key}` = {_default(RiskSection.model_fields[key].default)}" for key in sorted(keys)]
    return ", ".join(f"`{each}`" for each in dict.fromkeys(reasons)), ", ".join(shown)


def alert_rules() -> str:
    """Every event that is told to people, and what they can do."""
    rows = [
        (f"`{event}`", severity, f"{says[:1].upper()}{says[1:]}", do)
        for event, severity, says, do in table()
    ]
    return _table(("event", "severity", "says", "what to do"), rows)


def policy_rows() -> str:
    """Every trouble with what it is and what is done by default."""
    lines = (ROOT / "config.toml").read_text().splitlines()
    comments = {each.split(" =")[0]: each.partition("# ")[2] for each in lines if " =" in each}
    rows = [
        (f"`{each}`", comments[each.value], f"`{PolicySection.model_fields[each.value].default}`")
        for each in Trouble
    ]
    return _table(("trouble, and its key in `[policy]`", "it is on when", "default"), rows)


# --- tables ---------------------------------------------------------------------------------------


def order_states() -> str:
    """The transition table of an order, with what each state means as its source says it."""
    source = (DAEMON / "core" / "orders.py").read_text()
    meanings = _meanings_of_states(source)
    rows = []
    for state, following in TRANSITIONS.items():
        nexts = ", ".join(f"`{each}`" for each in TRANSITIONS if each in following) or "none"
        ends = "yes" if state in TERMINAL else ""
        rows.append((f"`{state}`", meanings.get(state.name, ""), nexts, ends))
    return _table(("state", "meaning", "may become", "final"), rows)


def _meanings_of_states(source: str) -> dict[str, str]:
    """The comment behind each state."""
    lines = source.splitlines()
    meanings: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == "OrderState":
            for state in node.body:
                text = "\n".join(lines[state.lineno - 1 : state.end_lineno])
                name, comment = ast.unparse(state).partition(" ")[0], text.partition("#")[2]
                meanings[name] = comment.partition("\n")[0].strip()
    return meanings


def exit_codes() -> str:
    """What the process ends with, from the errors themselves."""
    meanings: dict[int, list[str]] = defaultdict(list)
    for path in sorted(DAEMON.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            code = _exit_code(node)
            if code is not None and code != errors.TradingdError.exit_code:
                said = _sentence(ast.get_docstring(node) or "").partition(";")[0]
                meanings[code].append(said.removesuffix(".") + ".")
    rows = [
        ("0", "It did what was asked; a graceful stop by SIGINT or SIGTERM is one too."),
        ("1", "A bug, or an error that has no code of its own; the journal stays whole."),
        *((str(code), " ".join(said)) for code, said in sorted(meanings.items())),
        ("130", "A second SIGINT: it left at once, without waiting for answers."),
    ]
    return _table(("exit code", "meaning"), rows)


def _exit_code(error: ast.ClassDef) -> int | None:
    for node in error.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "exit_code":
            return int(ast.literal_eval(node.value))
    return None


def import_table() -> str:
    """Who may import whom inside daemon/, and where each third-party library may appear."""
    areas = [
        (f"`{area}/`" if area else "files beside the folders", _allowed(allowed))
        for area, allowed in AREAS.items()
        if not area or (DAEMON / area).is_dir()
    ]
    sources = "\n".join(path.read_text() for path in DAEMON.rglob("*.py"))
    libraries = [
        (f"`{name}`", _places(places), "inside functions only" if name in LAZY else "")
        for name, places in sorted(CONFINED.items())
        if re.search(rf"^\s*(import|from) {name}\b", sources, re.MULTILINE)
    ]
    tables = _table(("area", "may import"), areas), _table(("library", "only in", ""), libraries)
    return "\n\n".join(tables)


def _places(prefixes: tuple[str, ...]) -> str:
    there = [each for each in prefixes if each and any(DAEMON.glob(f"{each}*"))]
    return (
        ", ".join(f"`{each}*`" if each.endswith("_") else f"`{each}`" for each in there)
        or "anywhere"
    )


def _allowed(areas: frozenset[str]) -> str:
    return (
        "everything" if areas == EVERYTHING else ", ".join(f"`{each}/`" for each in sorted(areas))
    )


def module_map() -> str:
    """One line per module: the first sentence of its docstring."""
    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in sorted(DAEMON.rglob("*.py")):
        path = file.relative_to(DAEMON)
        said = _sentence(ast.get_docstring(ast.parse(file.read_text())) or "")
        folder = path.parent.as_posix()
        name = "(package)" if file.stem == "__init__" else file.stem
        link = f"[{name}](../daemon/{path.as_posix()})"
        folders[folder].append((link, said))
    parts = []
    for folder, rows in folders.items():
        title = "`daemon/`" if folder == "." else f"`daemon/{folder}/`"
        parts.append(f"{title}\n\n" + _table(("module", "what it makes"), rows))
    return "\n\n".join(parts)


# --- settings -------------------------------------------------------------------------------------


def settings_tables() -> str:
    """Every section with its keys, defaults and limits, and the comments of the shipped file."""
    text = (ROOT / "config.toml").read_text()
    comments, shipped = _comments(text), tomllib.loads(text)
    parts = []
    for section, field in Settings.model_fields.items():
        kind: Any = field.annotation
        assert issubclass(kind, Section)
        rows = [
            (
                f"`{key}`",
                _default(info.default),
                _limits(info),
                comments.get((section, key), info.description or ""),
            )
            for key, info in kind.model_fields.items()
        ]
        said = "" if section in shipped else f"{_sentence(kind.__doc__ or '')}\n\n"
        header = ("key", "default", "allowed", "meaning")
        parts.append(f"### [{section}]\n\n{said}{_table(header, rows)}")
    return "\n\n".join(parts)


def _comments(text: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    section = ""
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif key := re.fullmatch(r"(\w+) = .*?\s#\s(.*)", line):
            found[section, key[1]] = key[2]
    return found


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{value}`"


def _limits(info: Any) -> str:
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(info.annotation))
    if info.annotation is bool:
        return "`true`, `false`"
    said = [_bound(info.metadata, "gt", "ge", max), _bound(info.metadata, "lt", "le", min)]
    patterns = [each.pattern for each in info.metadata if getattr(each, "pattern", None)]
    return ", ".join(each for each in [*said, *(f"`{each}`" for each in patterns)] if each)


def _bound(metadata: list[Any], strict: str, loose: str, pick: Callable[..., Any]) -> str:
    """The tightest of all bounds on one side; of equal ones the one that leaves the value out."""
    found = [
        (value, name)
        for each in metadata
        for name in (loose, strict)
        if (value := getattr(each, name, None)) is not None
    ]
    if not found:
        return ""
    value = pick(value for value, _ in found)
    name = strict if (value, strict) in found else loose
    return f"{SIGNS[name]} {value:g}" if isinstance(value, float) else f"{SIGNS[name]} {value}"


def kernel_tables() -> str:
    """Every built-in kernel with its parameters, its lookback and what its formula says."""
    parts = []
    for module in MODULES:
        rows = [
            (
                f"`{kernel.name}`",
                ", ".join(f"`{name}` {value:g}" for name, value in kernel.defaults.items()),
                str(kernel.lookback(kernel.defaults)),
                " ".join((kernel.function.__doc__ or "").split()),
            )
            for kernel in kernels_in(module)
        ]
        title = f"**{module.__name__.rpartition('.')[2].capitalize()}**"
        parts.append(f"{title}\n\n{_table(('kernel', 'parameters', 'bars', 'value'), rows)}")
    return "\n\n".join(parts)


# --- parts ----------------------------------------------------------------------------------------


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _sentence(text: str) -> str:
    first = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z`])", first)[0].rstrip(":")


def exchange_table() -> str:
    """How every exchange of the installed ccxt would be used."""
    import ccxt

    from tests.architecture.exchanges import HEADER, exchange_rows

    return f"ccxt {ccxt.__version__}\n\n" + _table(HEADER, exchange_rows())


def order_table() -> str:
    """How orders are sent to every exchange that takes them."""
    from tests.architecture.exchanges import ORDER_HEADER, order_rows

    return _table(ORDER_HEADER, order_rows())


def skill_table() -> str:
    """What `make soak SOAK=skill` has measured: per rule and kind of model, errors and delays."""

    def delay(each: Delay | None) -> str:
        if each is None:
            return "-"
        if each.median_bars is None:
            return f"never in {1 - each.found_ratio:.0%}"
        late = "never" if each.late_bars is None else f"{each.late_bars:,}"
        return f"{each.median_bars:,}, {late}"

    header = ("rule", "horizon", "symbols", "AUC", "seeds", "false alarms", "at three quarters")
    later = ("edge dies", "edge turns", "skill shown", "shown without any")
    rows = [
        (
            f"`{row.policy}`",
            str(row.horizon_bars),
            str(row.symbols),
            f"{row.auc:.2f}",
            str(row.seeds),
            f"{row.alarms_ratio:.1%}",
            f"{row.alarms_kept_ratio:.1%}",
            delay(row.dies),
            delay(row.turns),
            delay(row.shown),
            "-" if row.shown_wrongly_ratio is None else f"{row.shown_wrongly_ratio:.1%}",
        )
        for row in MEASURED
    ]
    return _table((*header, *later), rows)


PARTS: dict[str, Callable[[], str]] = {
    "exchanges": exchange_table,
    "sending": order_table,
    "gates": risk_gates,
    "caps": risk_caps,
    "policy": policy_rows,
    "routes": route_trees,
    "orders": order_states,
    "exits": exit_codes,
    "imports": import_table,
    "modules": module_map,
    "settings": settings_tables,
    "kernels": kernel_tables,
    "alerts": alert_rules,
    "skill": skill_table,
}


def main() -> None:
    for page in pages():
        before = page.read_text()
        after = drawn(before)
        if after != before:
            page.write_text(after)
            sys.stderr.write(f"{page.relative_to(ROOT)} is drawn anew\n")


if __name__ == "__main__":
    main()
