"""Makes a model of bars: walk-forward, calibration, payoffs, verdict, and the model as arrays.

The order of these steps and the manifest belong here; each step belongs in its own module, and
keeping the result belongs in `store/models`.
"""

import hashlib
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.core.manifests import (
    MANIFEST_SCHEMA,
    Costs,
    DataRange,
    FeatureSetReference,
    Histogram,
    Manifest,
    Probes,
    with_content_id,
)
from daemon.layers.features.sets import FeatureSet
from daemon.research.classifiers import short_name
from daemon.research.compiling import compile_model
from daemon.research.datasets import Dataset, TrainingRefused
from daemon.research.evaluation import Evaluated, evaluate
from daemon.research.placebos import usual
from daemon.research.series import FloatArray, Series, content_sha256
from daemon.research.serving import one_by_one
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import (
    Progress,
    WalkForward,
    labelled,
    recent_rows,
    walk_forward,
)

__all__ = ["Trained", "TrainingRefused", "TrainingSettings", "train", "walk_forward"]

PROBES = 32


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model that can be registered, and the walk-forward that vouches for it."""

    manifest: Manifest
    arrays: Mapping[
        str, npt.NDArray[np.generic]
    ]  # of the compiled model, or only how many features it reads
    archive: bytes  # joblib of the fitted model
    walked: WalkForward


def train(
    series: Sequence[Series],
    feature_set: FeatureSet,
    settings: TrainingSettings,
    *,
    seed: int,
    market: str,
    timeframe: str,
    progress: Progress,
    created_ns: int = 0,
    code_version: str = "",
    overfitting: float | None = None,
) -> Trained:
    """One model for all symbols together, judged only on what it had not seen.

    The same series, features, settings and seed give the same bytes; `created_ns` and
    `code_version` are only noted down, and `overfitting` is what a search has shown. Raises
    `TrainingRefused` where the data carries no model, `ModelRefused` should the compiled model not
    say what scikit-learn says.
    """
    series = sorted(series, key=lambda one: one.symbol)
    dataset = labelled(series, feature_set, settings)
    found = evaluate(
        series, dataset, settings, seed=seed, progress=progress, fits_whole=True,
        overfitting=overfitting,
    )  # fmt: skip
    made = _made(found.whole, settings, dataset.features)
    told = _told(series, dataset, feature_set, settings, found)
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        model_id="",
        market=market,
        timeframe=timeframe,
        probes=made.probes,
        seed=seed,
        libraries=_libraries(),
        arrays_sha256=_arrays_sha256(made.arrays),
        created_ns=created_ns,
        code_version=code_version,
        files={},
        **told,
    )
    return Trained(with_content_id(manifest), made.arrays, made.archive, found.made.walked)


def _told(
    series: Sequence[Series],
    dataset: Dataset,
    feature_set: FeatureSet,
    settings: TrainingSettings,
    found: Evaluated,
) -> dict[str, Any]:
    """What the manifest says of the data, of what was chosen, and of what was found."""
    walked, judged = found.made.walked, found.judged
    return {
        "kind": short_name(settings.classifier),
        "symbols": dataset.symbols,
        "timeframe_ns": dataset.timeframe_ns,
        "feature_set": _reference(feature_set),
        "label": settings.label,
        "horizon_bars": settings.horizon_bars,
        "data": _data_ranges(series, dataset),
        "trained_through_ns": int(dataset.return_end_ns.max()),
        "train_rows": len(recent_rows(dataset, settings)),
        "folds": walked.folds,
        "out_of_sample": judged.out_of_sample,
        "calibration": judged.calibration,
        "payoffs": judged.payoffs,
        "costs": Costs(settings.fee_bps, settings.slippage_bps),
        "net_return": judged.net_return,
        "surest": judged.surest,
        "control": judged.control,
        "reference": _usual_features(dataset, feature_set, settings),
        "reference_probability": judged.probability,
        "settings": _noted(settings),
        "edge_shown": judged.verdict.edge_shown,
        "failed": tuple(test.value for test in judged.verdict.failed),
        "verdict": judged.verdict.sentence,
    }


def _noted(settings: TrainingSettings) -> dict[str, int | float | str | bool]:
    # How many processors worked must not show in a result that is the same for any number.
    return {name: value for name, value in asdict(settings).items() if name != "processors"}


def _usual_features(
    dataset: Dataset, feature_set: FeatureSet, settings: TrainingSettings
) -> dict[str, Histogram]:
    recent = recent_rows(dataset, settings)
    made = usual(
        dataset.features[recent], dataset.symbol[recent], dataset.symbols, settings.psi_window
    )
    return dict(zip(feature_set.names, made, strict=True))


def _reference(feature_set: FeatureSet) -> FeatureSetReference:
    return FeatureSetReference(
        name=feature_set.name,
        version=feature_set.version,
        fingerprint=feature_set.fingerprint,
        names=feature_set.names,
        lookback_bars=feature_set.lookback,
    )


def _data_ranges(series: Sequence[Series], dataset: Dataset) -> tuple[DataRange, ...]:
    return tuple(
        DataRange(
            symbol=one.symbol,
            bars=len(one.open_ns),
            rows=int((dataset.symbol == number).sum()),
            first_open_ns=int(one.open_ns[0]),
            last_open_ns=int(one.open_ns[-1]),
            sha256=content_sha256(one),
        )
        for number, one in enumerate(series)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    arrays: Mapping[str, npt.NDArray[np.generic]]
    archive: bytes
    probes: Probes


def _made(fitted: Any, settings: TrainingSettings, features: FloatArray) -> _Made:
    """The model as it will be stored: compiled, or as an archive for a process of its own."""
    places = np.linspace(0, len(features) - 1, PROBES).astype(np.int64)
    rows = np.ascontiguousarray(features[places])
    compiled = compile_model(short_name(settings.classifier), fitted, rows)
    arrays: Mapping[str, npt.NDArray[np.generic]]
    if compiled is None:
        said = one_by_one(fitted, fitted.classes_.tolist().index(1), rows)
        arrays = {"n_features": np.asarray(features.shape[1], np.int64)}
    else:
        said, arrays = compiled.probability_up(rows), compiled.arrays()
    probes = Probes(tuple(tuple(row) for row in rows.tolist()), tuple(said.tolist()))
    return _Made(arrays, _archived(fitted), probes)


def _libraries() -> dict[str, str]:
    import joblib
    import sklearn

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "joblib": joblib.__version__,
    }


def _arrays_sha256(arrays: Mapping[str, npt.NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _archived(forest: Any) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(forest, buffer, compress=3)
    return buffer.getvalue()
