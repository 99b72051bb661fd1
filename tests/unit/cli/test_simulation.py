import json

import pytest

from daemon.cli.simulation import simulate
from daemon.core.errors import UsageRefused


def test_the_result_is_one_object_of_runs_wrong_and_kinds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = simulate("article", 12, 0, 1, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["runs"] == 12
    assert 0 < told["wrong"] <= 12
    assert told["kinds"]["doubled"] >= 1
    assert sum(told["kinds"].values()) >= told["wrong"]


def test_ours_ends_well_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code = simulate("ours", 5, 0, 1, as_json=False)

    said = capsys.readouterr()
    assert code == 0
    assert "ours: 0 of 5 runs wrong" in said.out
    assert "5/5" in said.err


def test_an_unknown_pattern_names_the_known_ones() -> None:
    with pytest.raises(UsageRefused, match="article, retry-same-id, resend, ours"):
        simulate("hope", 1, 0, 1, as_json=True)
