"""docs/faults.md against the tests and kinds that there really are."""

import re
from pathlib import Path

from daemon.embedded.fault_kinds import MEANING, Face, FaultKind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
FIRST_OF_MONEY = 27
ROWS = [line.split("|") for line in PAGE.splitlines() if re.match(r"\| F\d\d ", line)]


def names_there_are() -> set[str]:
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_every_fault_has_its_row_in_order() -> None:
    assert [row[1].split()[0] for row in ROWS] == [f"F{number:02}" for number in range(1, 81)]


def test_every_test_of_the_table_is_there_and_every_test_of_a_fault_is_in_the_table() -> None:
    told = {name for row in ROWS for name in re.findall(r"`(test_\w+)`", row[4])}
    there = names_there_are()

    assert told - there == set()
    assert {name for name in there if re.match(r"test_f\d\d_", name)} - told == set()
    untested = [row[1].split()[0] for row in ROWS if not re.search(r"`test_\w+`", row[4])]
    assert untested == []


def test_every_fault_of_orders_and_money_that_can_be_injected_has_a_test_in_live_mode() -> None:
    live = {
        name
        for path in (ROOT / "tests" / "exchange").glob("test_*.py")
        if "tests.exchange.money_desk import" in path.read_text()
        for name in re.findall(r"^async def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    for row in ROWS:
        number = row[1].split()[0]
        named = {name for name in live if number.lower() in name.split("_")}
        told = set(re.findall(r"`(test_\w+)`", row[4]))
        assert named <= told, f"{number}: {named - told}"
        assert named or int(number[1:]) < FIRST_OF_MONEY or "`" not in row[2], number


def test_every_kind_is_explained_and_none_is_made_up() -> None:
    kinds = PAGE.split("## What it does")[1].split("## What the daemon")[0]
    explained = {
        name
        for line in kinds.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", line.split("|")[1]))
    }

    assert explained == set(FaultKind)
    injected = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[2])}
    assert injected <= set(FaultKind)


def test_every_fault_of_orders_and_money_is_met_by_a_test_through_the_real_client() -> None:
    section = PAGE.split("## What the client meets")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    market_data = {Face.PAGE, Face.BAR, Face.SUBSCRIPTION, Face.CONNECTION, Face.MESSAGE}
    private = {kind for kind in FaultKind if MEANING[kind][0] not in market_data}

    assert private - named <= {FaultKind.UNKNOWN_WORDS}
    assert named <= set(FaultKind)
    for row in rows:
        tests = set(re.findall(r"`(test_\w+)`", row[4]))
        assert tests
        assert tests <= names_there_are()
