from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.config import ConfigRefused, FeaturesSection, Settings, load
from daemon.core.jobs import TrainingJob
from daemon.feature_config import feature_set_of
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.matrix import feature_matrix
from daemon.layers.features.sets import heard
from daemon.research.feature_files import FeaturesFileRefused, kernels_with, own_kernels
from daemon.running.models.training_jobs import training_job
from tests.unit.layers.walks import a_walk

OWN = '''"""Two of mine."""
from daemon.layers.features import feature


@feature(lookback=lambda window: window + 1)
def drop_from_top(high, close, *, window=4):
    return close[-1] / max(high[:-1]) - 1.0


@feature(lookback=1)
def volume_now(volume):
    return volume[0]
'''


def a_file(folder: Path, text: str = OWN) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def settings_with(**features: Any) -> Settings:
    return load(None, {f"features.{key}": value for key, value in features.items()}, {})


def refusal(**features: Any) -> str:
    with pytest.raises(ConfigRefused) as caught:
        feature_set_of(settings_with(**features))
    (line,) = caught.value.lines
    return line


def test_a_file_of_one_s_own_adds_its_kernels(tmp_path: Path) -> None:
    settings = settings_with(
        set="none",
        file=str(a_file(tmp_path)),
        add=[{"kernel": "drop_from_top", "window": 3}, {"kernel": "volume_now", "name": "now"}],
    )

    features = feature_set_of(settings)

    walk = a_walk(60)
    rows = feature_matrix(features, walk)
    assert features.names == ("drop_from_top_3", "now")
    assert features.lookback == 4
    assert rows[10].tolist() == [walk[13, 3] / walk[10:13, 1].max() - 1.0, walk[13, 4]]


def test_any_change_of_the_file_changes_the_fingerprint(tmp_path: Path) -> None:
    add = [{"kernel": "volume_now"}]
    path = a_file(tmp_path)
    before = feature_set_of(settings_with(file=str(path), add=add)).fingerprint
    again = feature_set_of(settings_with(file=str(path), add=add)).fingerprint

    a_file(tmp_path, OWN + "\n# a remark\n")
    after = feature_set_of(settings_with(file=str(path), add=add)).fingerprint

    assert before == again != after


def test_a_training_process_makes_the_same_set_of_what_it_is_told(tmp_path: Path) -> None:
    settings = settings_with(
        file=str(a_file(tmp_path)),
        add=[{"kernel": "drop_from_top"}, {"kernel": "rsi", "every_bars": 3}],
    )
    features = feature_set_of(settings)
    job = training_job(
        settings,
        features,
        bars_db=tmp_path,
        registry=tmp_path,
        market="synthetic",
        series=(),
        since_ns=0,
        until_ns=1,
        created_ns=2,
    )

    told = msgspec.json.decode(msgspec.json.encode(job), type=TrainingJob)
    made = heard(told.features, kernels_with(told.features_file))

    assert made == features
    assert made.fingerprint == features.fingerprint


def test_a_file_that_is_not_used_changes_nothing(tmp_path: Path) -> None:
    with_file = feature_set_of(settings_with(file=str(a_file(tmp_path))))

    assert with_file.fingerprint == feature_set_of(settings_with()).fingerprint


def test_no_compiled_copy_of_the_file_is_left_behind(tmp_path: Path) -> None:
    own_kernels(a_file(tmp_path))

    assert [each.name for each in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def f(:\n", ":1: invalid syntax"),
        ("\nimport nothing_like_it\n", ":2: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)\n", ":1: SystemExit: 0"),
        ("x = 1\n", ": no function in it is marked with @feature(lookback=...)"),
        (OWN.replace("volume_now", "rsi"), ": 'rsi' is the name of a built-in kernel"),
        (OWN.replace("(volume)", "(price)"), "'price' is no column"),
        (OWN.replace("lookback=1", "lookback=0"), ":10: volume_now looks back 0 bars"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = a_file(tmp_path, text)

    with pytest.raises(FeaturesFileRefused) as caught:
        kernels_with(str(path))

    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("maxx(high)", "volume_now raises NameError: name 'maxx' is not defined"),
        ("high[3]", "volume_now raises IndexError: list index out of range"),
        ("high[0] / (high[0] - low[0])", "volume_now raises ZeroDivisionError"),
        ("float('nan')", "volume_now is nan, on the golden bars, which hold a flat stretch"),
        ("None", "volume_now is nan, on the golden bars"),
    ],
)
def test_a_formula_that_has_no_value_is_refused_before_a_run_begins(
    tmp_path: Path, formula: str, told: str
) -> None:
    text = OWN.replace("(volume)", "(high, low)").replace("return volume[0]", f"return {formula}")
    path = a_file(tmp_path, text)

    line = refusal(file=str(path), add=[{"kernel": "volume_now"}])

    assert line.startswith(f"{path}: error: {told}")


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(FeaturesFileRefused, match=r"nowhere\.py: no such file or directory"):
        kernels_with("nowhere.py")


def test_the_wide_set_holds_every_kernel_that_needs_no_second_instrument() -> None:
    features = feature_set_of(settings_with(set="wide"))

    lacking = set(BUILT_IN) - {each.kernel for each in features.features}
    assert all(BUILT_IN[name].needs_reference for name in lacking)
    assert len(features.names) > 50
    assert features.names[:10] == feature_set_of(settings_with()).names


def test_an_added_feature_takes_the_place_of_one_of_its_name() -> None:
    add = [{"kernel": "wilder_rsi", "name": "rsi"}, {"kernel": "roc", "window": 24}]

    features = feature_set_of(settings_with(add=add))

    assert features.name == "reference+own"
    assert features.names == (*feature_set_of(settings_with()).names, "roc_24")
    assert features.features[0].kernel == "wilder_rsi"


def test_the_default_configuration_declares_the_reference_set() -> None:
    assert FeaturesSection() == settings_with().features
    assert feature_set_of(settings_with()).name == "reference"


@pytest.mark.parametrize(
    ("add", "told"),
    [
        ({"kernel": "rocc"}, "entry 1: error: there is no kernel 'rocc'; did you mean 'roc'?"),
        ({"kernel": "roc", "windw": 3}, "has no parameter 'windw'; did you mean 'window'?"),
        ({"kernel": "lead_lag", "reference": "SOL/USDT"}, "SOL/USDT is not among data.symbols"),
        ({"kernel": "roc", "name": "rsi_2", "window": 9000}, "looks back 9001 bars"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_one_line(add: dict[str, Any], told: str) -> None:
    assert told in refusal(add=[add])


def test_two_features_of_one_name_are_refused() -> None:
    line = refusal(add=[{"kernel": "roc", "window": 3}, {"kernel": "roc", "window": 3}])

    assert "two features are called 'roc_3'" in line


def test_every_wrong_declaration_is_told_at_once() -> None:
    with pytest.raises(ConfigRefused) as caught:
        feature_set_of(settings_with(add=[{"kernel": "a"}, {"kernel": "roc"}, {"kernel": "b"}]))

    assert [line[:21] for line in caught.value.lines] == [
        "features.add, entry 1",
        "features.add, entry 3",
    ]


def test_history_must_fill_the_longest_window_and_every_fold() -> None:
    settings = load(
        None,
        {"features.add": [{"kernel": "roc", "window": 4_900}], "data.history_bars": 5_000},
        {},
    )

    with pytest.raises(ConfigRefused, match="5000 is too short: windows of 4901 bars"):
        feature_set_of(settings)


def test_a_set_without_a_feature_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ConfigRefused, match="leaves no feature at all"):
        settings_with(set="none")
