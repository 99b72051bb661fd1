import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from daemon.cli.exchange import exchange
from daemon.cli.main import app
from daemon.config.refusals import section_keys
from daemon.core.events import JOURNALED
from daemon.logs.registry import REGISTRY
from tests.architecture.pages import COMMAND, DAEMON, PARTS, ROOT, drawn, pages

PAGES = [*pages(), ROOT / "deploy" / "README.md", ROOT / "CHANGELOG.md"]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
DRAWN = re.compile(r"<!-- drawn: (\w+) -->")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
MAKE = (ROOT / "Makefile").read_text()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """The page without its blocks of code."""
    return FENCED.sub("", text)


def anchors(text: str) -> set[str]:
    """Names of the headings, as they stand in links."""
    found = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found}


def broken_links(page: Path, text: str) -> Iterator[str]:
    for label, target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else page.parent / path
        if not file.exists():
            yield f"{name_of(page)}: [{label}] leads to {target}, which is not there"
        elif anchor and anchor not in anchors(text if file == page else file.read_text()):
            yield f"{name_of(page)}: [{label}] leads to {target}, which has no such heading"


def strange_names(page: Path, text: str) -> Iterator[str]:
    """Labels like `Runner.take` of links to a source that defines no such thing."""
    for label, target in LINK.findall(prose(text)):
        names = re.fullmatch(r"`([\w.]+)`", label)
        if names is None or not target.endswith(".py") or not (page.parent / target).exists():
            continue
        source = (page.parent / target).read_text()
        for name in names[1].split("."):
            if not re.search(rf"\b(class|def) {name}\b|^{name}\b.*=", source, re.MULTILINE):
                yield f"{name_of(page)}: {target} defines no {name}"


def commands(text: str) -> Iterator[list[str]]:
    """Everything a reader is told to type that begins with tradingd or make."""
    blocks = [block for language, block in FENCED.findall(text) if language == "sh"]
    typed = [line for block in blocks for line in block.splitlines()]
    typed += SPAN.findall(prose(text))
    for line in typed:
        told = line.strip().removeprefix("venv/bin/")
        if re.match(r"(tradingd|make)\b", told):
            yield shlex.split(re.split(r"[|&>;]", told)[0], comments=True)


def known_commands() -> dict[str, set[str]]:
    """Every command of tradingd with its options; of a group also every command in it."""
    group: Any = typer.main.get_command(app)
    found = dict(group.commands)
    alone = typer.Typer()
    alone.command("exchange")(exchange)
    found["exchange"] = typer.main.get_command(alone)
    for name, command in list(found.items()):
        inner = getattr(command, "commands", {})
        found |= {f"{name} {each}": below for each, below in inner.items()}
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in found.items()
    }


def strange_words(words: list[str]) -> Iterator[str]:
    """What is wrong with a command line that a page tells its readers to type."""
    if words[0] == "make":
        for word in words[1:]:
            name, is_variable, _ = word.partition("=")
            if is_variable and f"$({name})" not in MAKE:
                yield f"the Makefile uses no {name}"
            elif not is_variable and not word.startswith("-") and f"\n{word}:" not in MAKE:
                is_target = re.search(rf"^\.PHONY:.*\b{re.escape(word)}\b", MAKE, re.MULTILINE)
                if not is_target:
                    yield f"the Makefile has no target {word}"
    elif len(words) > 1:
        yield from strange_command(words, known_commands())


def strange_command(words: list[str], known: dict[str, set[str]]) -> Iterator[str]:
    is_group = any(each.startswith(f"{words[1]} ") for each in known)
    name = " ".join(words[1 : 3 if is_group else 2])
    if name not in known:
        yield f"tradingd has no command {name}"
        return
    for word in words[2:]:
        if word.startswith("--") and word.partition("=")[0] not in known[name]:
            yield f"tradingd {name} has no option {word}"


def test_what_the_code_states_is_drawn_as_it_is() -> None:
    stale = [name_of(page) for page in pages() if drawn(page.read_text()) != page.read_text()]

    assert stale == [], f"draw them anew: {COMMAND}"


def test_every_part_that_can_be_drawn_is_in_one_page() -> None:
    found = [part for page in pages() for part in DRAWN.findall(page.read_text())]

    assert sorted(found) == sorted(PARTS)


def test_the_trees_show_every_event_there_is() -> None:
    shown = set(re.findall(r"\w+", PARTS["routes"]()))

    assert {kind.__name__ for kind in JOURNALED} - shown == set()


def test_a_page_that_differs_from_the_code_is_found() -> None:
    page = "# Codes\n\n<!-- drawn: exits -->\n\nnothing true\n\n<!-- end -->\n\nprose stays\n"

    new = drawn(page)

    assert "nothing true" not in new
    assert "| 69 | The exchange gave no answer. |" in new
    assert new.endswith("<!-- end -->\n\nprose stays\n")
    assert drawn(new) == new


def test_every_link_leads_somewhere() -> None:
    assert [each for page in PAGES for each in broken_links(page, page.read_text())] == []


@pytest.mark.parametrize("target", ["nowhere.md", "README.md#no-such-heading", "#nor-here"])
def test_a_broken_link_is_found(target: str) -> None:
    assert list(broken_links(ROOT / "README.md", f"# Here\n\n[there]({target})")) != []


def test_a_link_names_what_its_source_defines() -> None:
    assert [each for page in PAGES for each in strange_names(page, page.read_text())] == []


def test_a_name_that_its_source_does_not_define_is_found() -> None:
    link = "[`Runner.leap`](daemon/running/runner.py)"

    assert list(strange_names(ROOT / "README.md", link)) == [
        "README.md: daemon/running/runner.py defines no leap"
    ]


def test_every_command_named_exists() -> None:
    found = [
        f"{name_of(page)}: {shlex.join(words)}: {what}"
        for page in PAGES
        for words in commands(page.read_text())
        for what in strange_words(words)
    ]

    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        *("tradingd fly", "tradingd run --fast", "tradingd data fly", "tradingd data list --fast"),
        *("make coffee", "make run-paper SUGAR=2"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    (words,) = commands(f"```sh\n{line}   # a remark\n```\n")

    assert list(strange_words(words)) != []


def test_every_option_of_run_paper_is_in_the_readme() -> None:
    recipe = MAKE.partition("\nrun-paper: ")[2].partition("\n\n")[0].partition("\n")[2]
    variables = set(re.findall(r"\b[A-Z]{3,}\b", recipe)) - {"VENV"}
    table = (ROOT / "README.md").read_text().partition("## Options of run-paper")[2]

    assert variables
    assert [each for each in sorted(variables) if f"`{each}=" not in table] == []


def test_every_dotted_name_is_a_setting_or_a_log_event() -> None:
    settings = {f"{section}.{key}" for section, keys in section_keys().items() for key in keys}
    found = [
        f"{name_of(page)}: {span}"
        for page in pages()
        if page.name != "log-events.md"
        for span in SPAN.findall(prose(page.read_text()))
        if re.fullmatch(r"[a-z]+\.[a-z_]+", span)
        and not re.search(r"\.(py|toml|db|json|md)$", span)
        if span not in settings and span not in REGISTRY
    ]

    assert found == []


def test_every_class_named_exists() -> None:
    sources = "\n".join(path.read_text() for path in DAEMON.rglob("*.py"))
    defined = set(re.findall(r"^class (\w+)", sources, re.MULTILINE))
    found = [
        f"{name_of(page)}: {span}"
        for page in pages()
        for span in SPAN.findall(prose(page.read_text()))
        if re.fullmatch(r"([A-Z][a-z]+){2,}", span) and span not in defined
    ]

    assert found == []
