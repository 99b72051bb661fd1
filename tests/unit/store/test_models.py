import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from daemon.core.errors import ModelForeign, ModelRefused
from daemon.core.manifests import (
    MANIFEST_SCHEMA,
    CalibrationTable,
    Control,
    Costs,
    FeatureSetReference,
    Histogram,
    Manifest,
    NetReturn,
    OutOfSample,
    PayoffEstimate,
    Payoffs,
    Probes,
    ReliabilityBin,
    SurestCalls,
    decode_manifest,
    encode_manifest,
    model_key,
    with_content_id,
)
from daemon.store.artifacts import described, npz
from daemon.store.models import (
    MANIFEST_BYTES_MAX,
    REFUSED_MAX,
    ModelEntry,
    ModelRegistry,
    ModelState,
)

PROJECT = Path(__file__).parents[3]
ARRAYS: dict[str, npt.NDArray[Any]] = {
    "leaf": np.linspace(0.0, 1.0, 64),
    "feature": np.arange(5, dtype=np.int32),
}


def a_manifest(
    seed: int = 1, symbols: tuple[str, ...] = ("BTC/USDT",), fingerprint: str = "f" * 64
) -> Manifest:
    flat = PayoffEstimate(10, 6, 4, 0.01, 0.009, "threshold")
    histogram = Histogram((0.0, 1.0), (0.25, 0.5, 0.25), 100)
    return with_content_id(
        Manifest(
            schema=MANIFEST_SCHEMA,
            model_id="",
            kind="rf",
            market="synthetic",
            symbols=symbols,
            timeframe="1h",
            timeframe_ns=3_600_000_000_000,
            feature_set=FeatureSetReference("reference", "1", fingerprint, ("rsi",), 21),
            label="direction",
            horizon_bars=1,
            data=(),
            trained_through_ns=1_704_067_200_000_000_000,
            train_rows=100,
            folds=(),
            out_of_sample=OutOfSample(
                n=100,
                auc=0.55,
                auc_low=0.52,
                auc_high=0.58,
                baseline_auc=0.51,
                gap=0.04,
                gap_low=0.01,
                gap_high=0.07,
                brier=0.249,
                brier_uncalibrated=0.251,
                brier_base_rate=0.25,
                reliability=(ReliabilityBin(100, 0.5, 0.49),),
            ),
            calibration=CalibrationTable((0.0, 1.0), (0.1, 0.9), (0.3, 0.3), 0.0, 1.0, 100),
            payoffs=Payoffs(0.05, flat, flat),
            costs=Costs(10.0, 5.0),
            net_return=NetReturn(
                per_bar_ratio=0.0,
                per_bar_low=-0.001,
                per_bar_high=0.001,
                total_ratio=0.0,
                bars=100,
                entries=3,
                sharpe=0.1,
                sharpe_low=-1.0,
                sharpe_high=1.2,
                deflated_sharpe=0.6,
                trials=1,
            ),
            surest=SurestCalls(10, 0.001, -0.001, 0.003),
            control=Control(66, 0.503, 0.02),
            reference={"rsi": histogram},
            reference_probability=histogram,
            probes=Probes(((0.1 + 0.2,),), (1 / 3,)),
            settings={"n_estimators": 300},
            seed=seed,
            libraries={"numpy": np.__version__},
            arrays_sha256="a" * 64,
            edge_shown=False,
            failed=("auc_above_chance",),
            verdict="No edge shown.",
            created_ns=5,
            code_version="0.1.0",
            files={},
        )
    )


def registered(root: Path) -> tuple[ModelRegistry, str]:
    registry = ModelRegistry(root)
    return registry, registry.register(a_manifest(), ARRAYS, b"archive").model_id


def states(registry: ModelRegistry) -> dict[str, ModelState]:
    return {entry.model_id: entry.state for entry in registry.list()}


def test_a_registered_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path / "models")

    manifest, arrays = registry.load(model_id, feature_fingerprint="f" * 64)

    assert manifest == msgspec.structs.replace(a_manifest(), files=manifest.files)
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in ARRAYS.items()
    }
    assert set(manifest.files) == {"model.npz", "archive.joblib"}
    assert sorted(p.name for p in (tmp_path / "models" / model_id).iterdir()) == [
        "archive.joblib",
        "manifest.json",
        "model.npz",
    ]


def test_a_candidate_can_be_refused_and_no_other_model(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path / "models")
    active = registry.register(a_manifest(seed=2), ARRAYS, None).model_id
    registry.activate(active)

    registry.refuse(model_id)
    registry.refuse(active)

    assert states(registry) == {model_id: ModelState.REFUSED, active: ModelState.ACTIVE}


def test_of_the_refused_the_newest_are_kept(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    other = registry.register(a_manifest(symbols=("ETH/USDT",)), ARRAYS, None).model_id
    registry.refuse(other)
    made = []
    for seed in range(REFUSED_MAX + 2):
        made.append(registry.register(a_manifest(seed=seed), ARRAYS, None).model_id)
        registry.refuse(made[-1])

    assert list(states(registry)) == [other, *made[2:]]
    folders = {each.name for each in (tmp_path / "models").iterdir() if each.is_dir()}
    assert folders == {other, *made[2:]}


def test_the_id_is_made_of_kind_day_and_content_but_not_of_when_it_was_made() -> None:
    manifest = a_manifest()
    later = with_content_id(msgspec.structs.replace(manifest, created_ns=99, code_version="0.2.0"))

    assert manifest.model_id.startswith("rf-20240101-")
    assert later.model_id == manifest.model_id
    assert a_manifest(seed=2).model_id != manifest.model_id


def test_a_manifest_reads_back_to_the_same_bits() -> None:
    manifest = a_manifest()

    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert encode_manifest(decode_manifest(encode_manifest(manifest))) == encode_manifest(manifest)


def test_equal_arrays_are_equal_bytes_on_disk() -> None:
    assert npz(ARRAYS) == npz({name: array.copy() for name, array in ARRAYS.items()})
    with pytest.raises(ValueError, match="pickle"):
        npz({"bad": np.array([{}], dtype=object)})


def test_a_new_model_is_a_candidate_and_activation_retires_the_one_before(tmp_path: Path) -> None:
    registry, first = registered(tmp_path)
    second = registry.register(a_manifest(seed=2), ARRAYS, None).model_id
    key = a_manifest().key
    assert registry.active_for(key) is None

    registry.activate(first)
    assert registry.active_for(key) == first
    registry.activate(second)

    assert registry.active_for(key) == second
    assert states(registry) == {first: ModelState.RETIRED, second: ModelState.ACTIVE}
    assert [entry.activation for entry in registry.list()] == [1, 2]


def test_models_for_different_keys_are_active_side_by_side(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    btc = registry.register(a_manifest(), ARRAYS, None)
    both = registry.register(a_manifest(symbols=("ETH/USDT", "BTC/USDT")), ARRAYS, None)

    registry.activate(btc.model_id)
    registry.activate(both.model_id)

    assert registry.active_for(btc.key) == btc.model_id
    named = model_key("synthetic", ["BTC/USDT", "ETH/USDT"], "1h", "f" * 64)
    assert registry.active_for(named) == both.model_id
    assert registry.active_for(model_key("file", ["BTC/USDT"], "1h", "f" * 64)) is None


def test_registering_the_same_training_again_changes_nothing(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    registry.activate(model_id)
    again = msgspec.structs.replace(a_manifest(), created_ns=77)

    stored = registry.register(again, ARRAYS, b"archive")

    assert stored.created_ns == 5
    assert states(registry) == {model_id: ModelState.ACTIVE}
    registry.load(model_id)


def test_registering_again_restores_a_damaged_model(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    registry.activate(model_id)
    (tmp_path / model_id / "model.npz").write_bytes(b"<html>")

    registry.register(a_manifest(), ARRAYS, b"archive")

    registry.load(model_id)
    assert states(registry) == {model_id: ModelState.ACTIVE}


def test_leftovers_of_a_crash_are_no_models_and_are_swept_by_the_next_registration(
    tmp_path: Path,
) -> None:
    registry, model_id = registered(tmp_path)
    shutil.copytree(tmp_path / model_id, tmp_path / ".incoming-abc")
    (tmp_path / ".incoming-registry.json").write_text('{"schema": "trad')

    assert list(states(registry)) == [model_id]
    other = registry.register(a_manifest(seed=2), ARRAYS, None).model_id

    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [".lock", "registry.json", model_id, other]
    )


def test_a_crash_between_the_directory_and_the_index_loses_nothing_on_the_next_try(
    tmp_path: Path,
) -> None:
    registry, model_id = registered(tmp_path)
    (tmp_path / "registry.json").unlink()
    with pytest.raises(ModelRefused, match="not in the registry"):
        registry.load(model_id)

    registry.register(a_manifest(), ARRAYS, b"archive")

    assert registry.load(model_id)[0].model_id == model_id


KILLED_WHILE_REGISTERING = """
import os, sys
from pathlib import Path
import numpy as np
from tests.unit.store.test_models import ARRAYS, a_manifest
from daemon.store.models import ModelRegistry

syncs_left = int(sys.argv[2])
def audit(event, args):
    global syncs_left
    if event in ("open", "os.rename") and args and sys.argv[1] in str(args[0]):
        syncs_left -= 1
        if syncs_left < 0:
            os._exit(9)
sys.addaudithook(audit)
ModelRegistry(Path(sys.argv[1])).register(a_manifest(seed=2), ARRAYS, b"archive")
"""


def test_a_kill_at_any_file_operation_leaves_the_old_model_active_and_a_retry_succeeds(
    tmp_path: Path,
) -> None:
    codes = []
    for step in range(40):
        root = tmp_path / str(step)
        registry, old = registered(root)
        registry.activate(old)
        command = [sys.executable, "-c", KILLED_WHILE_REGISTERING, str(root), str(step)]
        codes.append(subprocess.run(command, check=False, cwd=PROJECT).returncode)

        registry.load(old)
        assert registry.active_for(a_manifest().key) == old
        new = registry.register(a_manifest(seed=2), ARRAYS, b"archive").model_id
        registry.load(new)
        assert states(registry) == {old: ModelState.ACTIVE, new: ModelState.CANDIDATE}
        if codes[-1] == 0:
            break
    assert codes[-1] == 0
    assert set(codes[:-1]) == {9}
    assert len(codes) > 5


def test_one_flipped_byte_is_refused_wherever_it_is(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "model.npz"
    whole = path.read_bytes()

    for position in range(0, len(whole), max(1, len(whole) // 25)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ModelRefused, match=r"model\.npz has sha256 .* the manifest says"):
            registry.load(model_id)


def test_a_truncated_an_empty_and_a_missing_file_are_refused_by_their_size(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "model.npz"
    whole = path.read_bytes()

    path.write_bytes(whole[:-1])
    with pytest.raises(ModelRefused, match=f"has {len(whole) - 1} bytes, the manifest says"):
        registry.load(model_id)
    path.write_bytes(b"")
    with pytest.raises(ModelRefused, match="has 0 bytes"):
        registry.load(model_id)
    path.unlink()
    with pytest.raises(ModelRefused, match=r"model\.npz is missing"):
        registry.load(model_id)


def test_a_web_page_of_the_right_size_is_refused(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "model.npz"
    path.write_bytes(b"<html>not found</html>".ljust(path.stat().st_size))

    with pytest.raises(ModelRefused, match="sha256"):
        registry.load(model_id)


def test_the_arrays_of_another_model_are_refused(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    others = {name: array[::-1].copy() for name, array in ARRAYS.items()}
    other = registry.register(a_manifest(seed=2), others, None).model_id
    shutil.copy(tmp_path / other / "model.npz", tmp_path / model_id / "model.npz")

    with pytest.raises(ModelRefused, match=r"model\.npz has"):
        registry.load(model_id)


def test_a_model_put_into_the_directory_of_another_is_refused(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    other = registry.register(a_manifest(seed=2), ARRAYS, None).model_id
    shutil.copy(tmp_path / other / "manifest.json", tmp_path / model_id / "manifest.json")

    with pytest.raises(ModelRefused, match="not the one that was registered"):
        registry.load(model_id)


def test_a_manifest_of_another_version_is_refused_as_foreign_and_not_as_broken(
    tmp_path: Path,
) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "manifest.json"
    path.write_text(path.read_text().replace(MANIFEST_SCHEMA, "tradingd.model/2"))

    with pytest.raises(ModelForeign, match=f"{model_id}: .*'tradingd.model/2'.*train anew"):
        registry.manifest(model_id)


def test_an_edited_manifest_is_refused_even_where_it_still_reads_well(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "manifest.json"
    path.write_text(path.read_text().replace('"edge_shown": false', '"edge_shown": true'))

    with pytest.raises(ModelRefused, match="not the one that was registered"):
        registry.load(model_id)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"schema": "tradingd.model/9"}', "schema 'tradingd.model/9'; this version reads"),
        ('{"schema": "tradingd.model/3"}', "not readable: .*missing required field"),
        ("{", "not readable"),
        ("", "manifest.json is empty"),
        ("[]", "not readable"),
    ],
)
def test_a_foreign_or_broken_manifest_is_refused(
    tmp_path: Path, content: str, complaint: str
) -> None:
    registry, model_id = registered(tmp_path)
    (tmp_path / model_id / "manifest.json").write_text(content)

    with pytest.raises(ModelRefused, match=complaint):
        registry.load(model_id)


def test_a_model_of_other_features_is_refused_before_its_arrays_are_touched(
    tmp_path: Path,
) -> None:
    registry, model_id = registered(tmp_path)
    (tmp_path / model_id / "model.npz").unlink()

    with pytest.raises(ModelRefused, match=r"trained on features reference ffff.*running 0000"):
        registry.load(model_id, feature_fingerprint="0" * 64)


def resigned(registry: ModelRegistry, root: Path, victim: str, **changes: object) -> None:
    """Change a manifest the way somebody with write access to everything would."""
    manifest = msgspec.structs.replace(registry.manifest(victim), **changes)
    data = encode_manifest(manifest)
    (root / victim / "manifest.json").write_bytes(data)
    index: dict[str, Any] = json.loads((root / "registry.json").read_text())
    index["models"][0]["manifest_sha256"] = described(data).sha256
    (root / "registry.json").write_text(json.dumps(index))


def test_a_pickle_inside_a_well_signed_npz_is_refused(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    path = tmp_path / model_id / "model.npz"
    with path.open("wb") as file:
        np.savez(file, bad=np.array([{}], dtype=object))
    resigned(registry, tmp_path, model_id, files={"model.npz": described(path.read_bytes())})

    with pytest.raises(ModelRefused, match="not an npz of plain arrays"):
        registry.load(model_id)


def test_a_well_signed_manifest_of_another_model_or_without_arrays_is_refused(
    tmp_path: Path,
) -> None:
    registry, model_id = registered(tmp_path)

    resigned(registry, tmp_path, model_id, files={})
    with pytest.raises(ModelRefused, match=r"names no model\.npz"):
        registry.load(model_id)
    resigned(registry, tmp_path, model_id, model_id="rf-20240101-00000000")
    with pytest.raises(ModelRefused, match="is that of rf-20240101-00000000"):
        registry.load(model_id)


def test_a_manifest_of_implausible_size_is_not_even_read(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    with (tmp_path / model_id / "manifest.json").open("r+b") as file:
        file.truncate(MANIFEST_BYTES_MAX + 1)

    with pytest.raises(ModelRefused, match="more than"):
        registry.load(model_id)


def test_activating_the_active_model_again_changes_nothing(tmp_path: Path) -> None:
    registry, model_id = registered(tmp_path)
    registry.activate(model_id)
    before = registry.list()

    registry.activate(model_id)

    assert registry.list() == before


def test_a_damaged_model_cannot_be_activated_and_the_active_one_stays(tmp_path: Path) -> None:
    registry, first = registered(tmp_path)
    registry.activate(first)
    second = registry.register(a_manifest(seed=2), ARRAYS, None).model_id
    (tmp_path / second / "model.npz").write_bytes(b"")

    with pytest.raises(ModelRefused):
        registry.activate(second)

    assert states(registry) == {first: ModelState.ACTIVE, second: ModelState.CANDIDATE}


@pytest.mark.parametrize("name", ["../outside", "", "UPPER", "a/b", ".incoming-x"])
def test_a_name_that_could_leave_the_registry_is_refused(tmp_path: Path, name: str) -> None:
    registry, _ = registered(tmp_path)

    with pytest.raises(ModelRefused, match="not a model id"):
        registry.load(name)
    with pytest.raises(ModelRefused, match="not a model id"):
        registry.register(msgspec.structs.replace(a_manifest(), model_id=name), ARRAYS, None)


@pytest.mark.parametrize("content", ["", "{", '{"schema": "other/1", "models": []}'])
def test_a_broken_index_is_refused_rather_than_taken_for_an_empty_one(
    tmp_path: Path, content: str
) -> None:
    registry, _ = registered(tmp_path)
    (tmp_path / "registry.json").write_text(content)

    with pytest.raises(ModelRefused, match=r"registry\.json"):
        registry.list()


def test_a_registry_nobody_has_written_to_is_empty(tmp_path: Path) -> None:
    nothing: tuple[ModelEntry, ...] = ()

    assert ModelRegistry(tmp_path / "none").list() == nothing


def test_listing_models_does_not_import_numpy() -> None:
    code = "import sys, daemon.store.models; sys.exit('numpy' in sys.modules)"

    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=False, cwd=PROJECT).returncode == 0


def test_a_rollback_brings_back_the_model_before_and_the_next_one_goes_further(
    tmp_path: Path,
) -> None:
    registry = ModelRegistry(tmp_path)
    ids = [registry.register(a_manifest(seed=seed), ARRAYS, None).model_id for seed in (1, 2, 3)]
    for each in ids:
        registry.activate(each)
    key = registry.manifest(ids[0]).key

    assert registry.rollback(key) == (ids[2], ids[1])
    assert registry.active_for(key) == ids[1]
    assert registry.rollback(key) == (ids[1], ids[0])

    states = {each.model_id: each.state for each in registry.list()}
    assert states == {
        ids[0]: ModelState.ACTIVE, ids[1]: ModelState.CANDIDATE, ids[2]: ModelState.CANDIDATE,
    }  # fmt: skip
    with pytest.raises(ModelRefused, match="no model was active before it"):
        registry.rollback(key)


def test_a_rollback_to_a_damaged_model_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    ids = [registry.register(a_manifest(seed=seed), ARRAYS, None).model_id for seed in (1, 2)]
    for each in ids:
        registry.activate(each)
    (tmp_path / ids[0] / "model.npz").write_bytes(b"")

    with pytest.raises(ModelRefused):
        registry.rollback(registry.manifest(ids[1]).key)

    assert registry.active_for(registry.manifest(ids[1]).key) == ids[1]


def test_a_mark_says_where_a_model_stands_and_never_takes_the_active_one_away(
    tmp_path: Path,
) -> None:
    registry = ModelRegistry(tmp_path)
    one, other = (registry.register(a_manifest(seed=s), ARRAYS, None).model_id for s in (1, 2))
    registry.activate(one)

    registry.mark(other, ModelState.SHADOW)
    registry.mark(one, ModelState.REFUSED)

    assert states(registry) == {one: ModelState.ACTIVE, other: ModelState.SHADOW}
    with pytest.raises(ModelRefused, match="not in the registry"):
        registry.mark("rf-20240101-00000000", ModelState.SHADOW)
