"""`tradingd models` as it is typed: what it prints, what it changes, what it refuses."""

import json
from pathlib import Path

import pytest

from daemon.cli.model_commands import (
    diff_models,
    list_models,
    promote_model,
    rollback_model,
    show_model,
)
from daemon.core.errors import ModelRefused, UsageRefused
from daemon.store.model_audit import changes
from daemon.store.models import ModelRegistry
from tests.unit.store.test_models import ARRAYS, a_manifest


def two_models(folder: Path) -> tuple[str, str]:
    registry = ModelRegistry(folder / "models")
    one, other = (registry.register(a_manifest(seed=s), ARRAYS, None).model_id for s in (1, 2))
    return one, other


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_promoting_and_rolling_back_are_noted_with_who_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = two_models(tmp_path)
    promote_model(one, "first", None, tmp_path, as_json=True)
    promote_model(other, "better  on\npaper", None, tmp_path, as_json=True)
    rollback_model(None, "worse after all", None, tmp_path, as_json=True)
    capsys.readouterr()

    list_models(None, tmp_path, as_json=True)

    models = told(capsys)["models"]
    assert isinstance(models, list)
    assert {each["model"]: each["state"] for each in models} == {one: "active", other: "candidate"}
    noted = changes(tmp_path / "models")
    assert [(each.what, each.model, each.replaced, each.reason) for each in noted] == [
        ("promote", one, None, "first"),
        ("promote", other, one, "better on paper"),
        ("rollback", one, other, "worse after all"),
    ]
    assert all("pid" in each.who for each in noted)


def test_nothing_changes_without_a_reason(tmp_path: Path) -> None:
    one, _ = two_models(tmp_path)

    with pytest.raises(UsageRefused, match="--reason"):
        promote_model(one, "  ", None, tmp_path, as_json=True)

    assert changes(tmp_path / "models") == []
    assert ModelRegistry(tmp_path / "models").list()[0].state.value == "candidate"


def test_a_damaged_model_is_listed_with_the_reason_and_not_promoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _ = two_models(tmp_path)
    (tmp_path / "models" / one / "manifest.json").write_text("{}")

    list_models(None, tmp_path, as_json=False)
    assert "refused: model" in capsys.readouterr().out
    with pytest.raises(ModelRefused):
        promote_model(one, "try", None, tmp_path, as_json=True)


def test_two_models_differ_in_what_is_shown_and_in_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = two_models(tmp_path)

    diff_models(one, other, None, tmp_path, as_json=True)

    assert told(capsys)["differences"] == {"seed": [1, 2]}


def test_a_model_shows_its_whole_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _ = two_models(tmp_path)

    show_model(one, None, tmp_path, as_json=True)

    shown = told(capsys)
    assert shown["state"] == "candidate"
    assert isinstance(shown["manifest"], dict)
    assert shown["manifest"]["model_id"] == one
    assert shown["manifest"]["probes"]


def test_a_rollback_of_nothing_says_what_is_there(tmp_path: Path) -> None:
    two_models(tmp_path)

    with pytest.raises(UsageRefused, match="active are: none"):
        rollback_model(None, "why", None, tmp_path, as_json=True)


def test_a_line_cut_off_by_a_crash_hides_no_other(tmp_path: Path) -> None:
    one, _ = two_models(tmp_path)
    promote_model(one, "first", None, tmp_path, as_json=True)
    with (tmp_path / "models" / "audit.jsonl").open("ab") as file:
        file.write(b'{"ts":"2024')

    assert [each.model for each in changes(tmp_path / "models")] == [one]
