"""What a person types about data quality: the answer, its form and its exit code."""

import json
from pathlib import Path

import msgspec
import pytest

from daemon.bars.files import NAMES
from daemon.cli.data_import import accept_quarantined, import_file, list_quarantine
from daemon.cli.data_quality import verify
from daemon.core.errors import UsageRefused
from tests.unit.bars.test_bar_import import a_line
from tests.unit.layers.test_suspicion import a_market

SYMBOL = "BTC/USDT"


def a_file(tmp_path: Path, *, is_dirty: bool = False) -> Path:
    bars = a_market(60)
    if is_dirty:
        bars[50] = msgspec.structs.replace(bars[50], low=0.0001)
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *map(a_line, bars)]))
    return path


def verified(
    file: Path | None, tmp_path: Path, *accept: str, as_json: bool = True, symbol: str | None = None
) -> int:
    return verify(file, symbol, None, None, accept, None, tmp_path / "state", as_json=as_json)


def imported(file: Path, tmp_path: Path) -> int:
    state = tmp_path / "state"
    return import_file(file, SYMBOL, None, "binance", (), None, state, revises=False, as_json=True)


def test_a_clean_file_is_exit_0_and_a_dirty_one_4_until_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = verified(a_file(tmp_path), tmp_path)
    capsys.readouterr()
    dirty = verified(a_file(tmp_path, is_dirty=True), tmp_path)
    told = json.loads(capsys.readouterr().out)
    accepted = verified(tmp_path / "bars.csv", tmp_path, "spike")

    assert (clean, dirty, accepted) == (0, 4, 0)
    assert set(NAMES) <= told.keys()
    assert (told["spikes"], told["quarantined"], told["first"]["spikes"]["place"]) == (
        *(1, 1),
        "line 52",
    )


def test_people_are_shown_what_is_wrong_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verified(a_file(tmp_path, is_dirty=True), tmp_path, as_json=False)

    (line,) = (each for each in capsys.readouterr().out.splitlines() if "spikes" in each)
    assert line.startswith("! spikes")
    assert "line 52" in line
    assert "0.0001" in line


def test_what_is_imported_waits_is_accepted_and_then_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    codes = [imported(a_file(tmp_path, is_dirty=True), tmp_path)]
    codes.append(verified(None, tmp_path, symbol=SYMBOL))
    capsys.readouterr()
    list_quarantine(SYMBOL, None, state, as_json=True)
    waiting = json.loads(capsys.readouterr().out)
    ids = [row["id"] for row in waiting["rows"]]

    codes.append(accept_quarantined(SYMBOL, ids, None, None, state, as_json=True))
    codes.append(verified(None, tmp_path, symbol=SYMBOL))

    assert codes == [0, 4, 0, 0]
    assert waiting["reasons"] == {"spike": 1}
    assert waiting["rows"][0]["origin"] == "bars.csv line 52"


def test_accepting_a_kind_leaves_slots_alone_that_have_a_bar_by_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bad tick was told otherwise later; only naming it puts it in the good bar's place."""
    state = tmp_path / "state"
    imported(a_file(tmp_path, is_dirty=True), tmp_path)
    imported(a_file(tmp_path), tmp_path)

    with pytest.raises(UsageRefused, match="no row of reason spike that lacks a bar"):
        accept_quarantined(SYMBOL, [], "spike", None, state, as_json=True)

    capsys.readouterr()
    verified(None, tmp_path, symbol=SYMBOL)
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["spikes"], told["quarantine"]) == (60, 0, {"spike": 1})


def test_accepting_a_kind_does_not_reach_into_another_series(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for exchange in ("binance", "okx"):
        file = a_file(tmp_path, is_dirty=True)
        import_file(file, SYMBOL, None, exchange, (), None, state, revises=False, as_json=True)

    with pytest.raises(UsageRefused, match=r"several series .binance 1h, okx 1h.: name them by"):
        accept_quarantined(SYMBOL, [], "spike", None, state, as_json=True)


def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path) -> None:
    imported(a_file(tmp_path), tmp_path)

    with pytest.raises(UsageRefused, match="name a FILE"):
        verified(None, tmp_path)
    with pytest.raises(UsageRefused, match="expected spike, imputed, volume_unit"):
        verified(a_file(tmp_path), tmp_path, "malformed")
    with pytest.raises(UsageRefused, match="no row 7"):
        accept_quarantined(SYMBOL, [7], None, None, tmp_path / "state", as_json=True)
    with pytest.raises(UsageRefused, match="say what to believe"):
        accept_quarantined(SYMBOL, [], None, None, tmp_path / "state", as_json=True)
