"""What a kernel is: a formula over one window, with the columns it reads and the bars it needs.

The columns are the formula's own parameters, what can be tuned are its keyword-only ones. Belongs
here: the decorator `feature` and the checks of a declaration against it. Formulas belong to
`kernels`, sets of features to `sets`.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

# What a formula may read. `returns` and `gaps` reach back to the close before, so a window of n
# bars holds n - 1 of them; the others hold n values, oldest first.
BASE_COLUMNS = ("open", "high", "low", "close", "volume")
SPANNING_COLUMNS = ("returns", "gaps")
LOG_COLUMNS = ("log_high", "log_low", "log_close")
TIME_COLUMN = "close_time_s"
OWN_COLUMNS = (*BASE_COLUMNS, *SPANNING_COLUMNS, *LOG_COLUMNS)
REFERENCE_PREFIX = "reference_"
COLUMN_NAMES = (*OWN_COLUMNS, TIME_COLUMN, *(REFERENCE_PREFIX + name for name in OWN_COLUMNS))
# Filled in by the set: what it knows of its bars.
CONTEXT = frozenset({"bars_per_year"})
LOOKBACK_MAX = 5_000

Number = int | float


class FeatureRefused(ValueError):
    """A declaration of a feature does not make sense; one line that says where and what to do."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A formula under a name. `source_sha256` is of the file it came from; built in, it is empty.

    `is_plain` formulas take the floats of one window; the others take arrays as well, and give the
    same bits for both because they use `arithmetic` alone.
    """

    name: str
    function: Callable[..., Any]
    reads: tuple[str, ...]
    defaults: Mapping[str, Number]
    least: Mapping[str, Number]
    takes_context: bool
    is_plain: bool
    bars: Callable[..., int] = field(repr=False)
    source_sha256: str = ""

    @property
    def needs_reference(self) -> bool:
        return any(name.startswith(REFERENCE_PREFIX) for name in self.reads)

    def parameters(self, given: Mapping[str, object]) -> dict[str, Number]:
        """The given parameters over the defaults, in the order of the formula.

        Raises `FeatureRefused` for one that does not exist or cannot be used.
        """
        for name in given:
            if name not in self.defaults:
                raise FeatureRefused(
                    f"{self.name} has no parameter {name!r}{_nearest(name, self.defaults)}"
                )
        return {
            name: self._usable(name, given.get(name, default))
            for name, default in self.defaults.items()
        }

    def lookback(self, parameters: Mapping[str, Number]) -> int:
        """How many bars one value is made of, the newest included."""
        wanted = inspect.signature(self.bars).parameters
        bars = self.bars(**{name: parameters[name] for name in wanted})
        spans = any(name.removeprefix(REFERENCE_PREFIX) in SPANNING_COLUMNS for name in self.reads)
        least = 2 if spans else 1
        if type(bars) is not int or not least <= bars <= LOOKBACK_MAX:
            raise FeatureRefused(
                f"{self.name} looks back {bars!r} bars; it should be {least} to {LOOKBACK_MAX}"
            )
        return bars

    def _usable(self, name: str, value: object) -> Number:
        default, least = self.defaults[name], self.least.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FeatureRefused(f"{self.name}: {name} = {value!r} should be a number")
        if isinstance(default, int):
            if int(value) != value:
                raise FeatureRefused(f"{self.name}: {name} = {value!r} should be a whole number")
            value = int(value)
        elif not math.isfinite(value):
            raise FeatureRefused(f"{self.name}: {name} = {value!r} should be finite")
        if value < least:
            raise FeatureRefused(f"{self.name}: {name} = {value!r} should be at least {least}")
        return value if isinstance(default, int) else float(value)


def feature(
    *,
    lookback: int | Callable[..., int],
    least: Mapping[str, Number] | None = None,
    arrays: bool = False,
    name: str = "",
) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a kernel of a formula: `@feature(lookback=lambda window: window + 1)`.

    The formula's positional parameters name the columns it reads, its keyword-only ones are
    parameters with their defaults. `lookback` is a number of bars or computes it from parameters of
    the same names. `least` are lower bounds (1 where nothing is said). Without `arrays` the formula
    gets plain floats, one window at a time. Raises `FeatureRefused` where that does not add up.
    """

    def make(function: Callable[..., Any]) -> Kernel:
        called = name or function.__name__
        reads, defaults = _signature(called, function)
        context = CONTEXT & defaults.keys()
        bars = lookback if callable(lookback) else lambda: lookback
        for wanted in inspect.signature(bars).parameters:
            if wanted not in defaults:
                raise FeatureRefused(f"{called}: its lookback asks for {wanted!r}, no parameter")
        made = Kernel(
            name=called,
            function=function,
            reads=reads,
            defaults=MappingProxyType(
                {each: value for each, value in defaults.items() if each not in context}
            ),
            least=MappingProxyType(dict(least or {})),
            takes_context=bool(context),
            is_plain=not arrays,
            bars=bars,
        )
        made.lookback(made.parameters({}))
        return made

    return make


def from_source(kernel: Kernel, sha256: str) -> Kernel:
    """The same kernel, marked with the file it was read from."""
    return replace(kernel, source_sha256=sha256)


def kernel_named(name: str, kernels: Mapping[str, Kernel]) -> Kernel:
    if name not in kernels:
        raise FeatureRefused(f"there is no kernel {name!r}{_nearest(name, kernels)}")
    return kernels[name]


def _signature(
    called: str, function: Callable[..., Any]
) -> tuple[tuple[str, ...], dict[str, Number]]:
    reads: list[str] = []
    defaults: dict[str, Number] = {}
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.KEYWORD_ONLY:
            if each.name in CONTEXT:
                defaults[each.name] = 1.0
                continue
            value = each.default
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise FeatureRefused(f"{called}: parameter {each.name!r} needs a number as default")
            defaults[each.name] = value
        elif each.kind is each.POSITIONAL_OR_KEYWORD and each.name in COLUMN_NAMES:
            reads.append(each.name)
        else:
            raise FeatureRefused(
                f"{called}: {each.name!r} is no column{_nearest(each.name, COLUMN_NAMES)}; there "
                f"are {', '.join(OWN_COLUMNS)}, {TIME_COLUMN} and reference_*; parameters stand "
                "behind a *"
            )
    if not reads:
        raise FeatureRefused(f"{called}: it reads no column, so it cannot depend on the market")
    return tuple(reads), defaults


def _nearest(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
