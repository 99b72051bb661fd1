import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from daemon.core.errors import UsageRefused
from daemon.reports.exports import csv_bytes, json_bytes, parquet_bytes, write_tables
from daemon.reports.facts import gather
from daemon.reports.tables import tables
from tests.unit.reports.stories import a_story

ROWS: list[dict[str, object]] = [
    {"symbol": "BTC/USDT", "price": "0.1", "ratio": 0.1 + 0.2, "closed": None},
    {"symbol": "=cmd()", "price": "-5", "ratio": -1.5e-9, "closed": "x"},
]


def test_every_table_of_a_run_has_the_same_columns_in_all_its_rows() -> None:
    made = tables(gather(a_story()), None, 500)

    assert {"trades", "fills", "equity", "auc", "costs", "reliability", "psi"} <= set(made)
    for name, rows in made.items():
        assert {tuple(row) for row in rows} <= {tuple(rows[0])} if rows else True, name
    assert len(made["fills"]) == 2


def test_csv_keeps_every_bit_and_disarms_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_bytes(ROWS).decode())))

    assert float(rows[0]["ratio"]) == 0.1 + 0.2
    assert rows[1]["symbol"] == "'=cmd()"
    assert rows[1]["price"] == "-5"
    assert rows[0]["closed"] == ""


def test_json_and_parquet_read_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet_bytes(ROWS))

    assert json.loads(json_bytes(ROWS)) == ROWS
    assert pq.read_table(path).to_pylist() == ROWS


def test_what_is_there_already_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    write_tables({"rows": ROWS}, tmp_path, "csv", is_forced=False)

    with pytest.raises(UsageRefused, match=r"holds rows\.csv already"):
        write_tables({"rows": ROWS}, tmp_path, "csv", is_forced=False)

    assert write_tables({"rows": ROWS}, tmp_path, "csv", is_forced=True) == [tmp_path / "rows.csv"]


def test_an_unknown_form_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageRefused, match="choose one of csv, json, parquet"):
        write_tables({"rows": ROWS}, tmp_path, "xls", is_forced=False)
