"""Feature sets: turns declarations of features into something that can be computed and compared.

Belongs here: what a feature and a set of them are, their lookback and their fingerprint. Walking
over bars belongs to `matrix`, formulas to `kernels`, ready-made sets to `catalog`.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.registry import (
    LOOKBACK_MAX,
    REFERENCE_PREFIX,
    TIME_COLUMN,
    FeatureRefused,
    Kernel,
    Number,
    kernel_named,
)


@dataclass(frozen=True)
class Feature:
    """One column of a set, as declared; make it with `declare`.

    `every_bars` above 1 computes the kernel on bars of that many bars, counted back from the
    newest one. `reference` is the symbol whose columns a kernel reads beside its own.
    """

    name: str
    kernel: str
    parameters: tuple[tuple[str, Number], ...] = ()
    reference: str | None = None
    every_bars: int = 1


def declare(
    kernel: str,
    *,
    name: str | None = None,
    reference: str | None = None,
    every_bars: int = 1,
    kernels: Mapping[str, Kernel] = BUILT_IN,
    **given: object,
) -> Feature:
    """A feature with every parameter spelled out, named after all of it where no name is given.

    Raises `FeatureRefused`, one line, for what there is not.
    """
    made = kernel_named(kernel, kernels)
    parameters = made.parameters(given)
    if type(every_bars) is not int or every_bars < 1:
        raise FeatureRefused(f"{kernel}: every_bars = {every_bars!r} should be a whole number >= 1")
    if made.needs_reference and reference is None:
        raise FeatureRefused(f"{kernel} reads another instrument: say which, reference = SYMBOL")
    if reference is not None and not made.needs_reference:
        raise FeatureRefused(f"{kernel} reads no other instrument: leave reference out")
    bars = made.lookback(parameters) * every_bars
    if bars > LOOKBACK_MAX:
        raise FeatureRefused(f"{kernel} looks back {bars} bars; at most {LOOKBACK_MAX} are kept")
    parts = [kernel, *(f"{value:g}" for value in parameters.values())]
    parts += [f"x{every_bars}"] if every_bars > 1 else []
    parts += [reference.replace("/", "_").lower()] if reference is not None else []
    return Feature(
        name or "_".join(parts), kernel, tuple(parameters.items()), reference, every_bars
    )


@dataclass(frozen=True)
class FeatureSet:
    """What is computed from bars, in the order of its columns; all windows are counted in bars.

    `kernels` are the formulas by name, the built-in ones unless a user adds to them.
    Raises `FeatureRefused` where a declaration does not fit its kernel.
    """

    name: str
    version: str
    bars_per_year: float
    features: tuple[Feature, ...]
    kernels: Mapping[str, Kernel] = field(
        default_factory=lambda: BUILT_IN, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not self.features:
            raise FeatureRefused(f"feature set {self.name}: it has no features")
        if not (math.isfinite(self.bars_per_year) and self.bars_per_year > 0):
            raise FeatureRefused(f"feature set {self.name}: bars_per_year must be positive")
        seen: set[str] = set()
        for each in self.features:
            if each.name in seen:
                raise FeatureRefused(
                    f"feature set {self.name}: two features are called {each.name!r}; give one of "
                    "them another name"
                )
            seen.add(each.name)
            # A declaration may come from a file or another process: it is checked here again.
            _ = declare(
                each.kernel,
                name=each.name,
                reference=each.reference,
                every_bars=each.every_bars,
                kernels=self.kernels,
                **dict(each.parameters),
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(each.name for each in self.features)

    @cached_property
    def lookback(self) -> int:
        """How many bars one row is made of: exactly these, none before and none after."""
        return max(self.lookback_of(each) for each in self.features)

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Symbols whose bars a row needs beside its own instrument's, as many as its own."""
        return tuple(sorted({each.reference for each in self.features if each.reference}))

    @cached_property
    def reads_time(self) -> bool:
        """Whether a row needs to know when its bars closed."""
        return any(TIME_COLUMN in self.kernels[each.kernel].reads for each in self.features)

    @cached_property
    def source_sha256(self) -> str:
        """Hash of the user's file, if a feature comes from one; otherwise empty."""
        return max((self.kernels[each.kernel].source_sha256 for each in self.features), default="")

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the declaration and of the exact numbers it gives on fixed bars.

        A changed parameter, formula, file or order of operations changes it, and so which models
        fit.
        """
        from daemon.layers.features.golden import golden_rows

        told = self.told() | {"source_sha256": self.source_sha256}
        declaration = json.dumps(told, sort_keys=True, separators=(",", ":"))
        golden = golden_rows(self).astype("<f8").tobytes()
        return hashlib.sha256(declaration.encode() + golden).hexdigest()

    def lookback_of(self, feature: Feature) -> int:
        """Bars that one value of this feature is made of."""
        kernel = self.kernels[feature.kernel]
        return kernel.lookback(dict(feature.parameters)) * feature.every_bars

    def told(self) -> dict[str, object]:
        """The declaration as plain JSON; `heard` makes the same set of it."""
        return {
            "name": self.name,
            "version": self.version,
            "bars_per_year": float(self.bars_per_year),
            "features": [
                {
                    "name": each.name,
                    "kernel": each.kernel,
                    "parameters": dict(each.parameters),
                    "reference": each.reference,
                    "every_bars": each.every_bars,
                    "lookback_bars": self.lookback_of(each),
                }
                for each in self.features
            ],
        }

    def alone(self, feature: Feature) -> "FeatureSet":
        """A set of this one feature, which therefore looks back no further than it."""
        return FeatureSet(self.name, self.version, self.bars_per_year, (feature,), self.kernels)


def heard(told: Mapping[str, Any], kernels: Mapping[str, Kernel] = BUILT_IN) -> FeatureSet:
    """The set that `told` describes."""
    features: Sequence[Mapping[str, Any]] = told["features"]
    return FeatureSet(
        name=told["name"],
        version=told["version"],
        bars_per_year=float(told["bars_per_year"]),
        features=tuple(
            declare(
                each["kernel"],
                name=each["name"],
                reference=each["reference"],
                every_bars=each["every_bars"],
                kernels=kernels,
                **each["parameters"],
            )
            for each in features
        ),
        kernels=kernels,
    )


def column_base(name: str) -> str:
    """The column's name without saying whose it is."""
    return name.removeprefix(REFERENCE_PREFIX)
