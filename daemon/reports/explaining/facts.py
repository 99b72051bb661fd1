"""One decision as plain facts for programs: every number the words have, under the journal's names.

Belongs here: the JSON form. Times are RFC 3339, money and quantities exact text, ratios fractions.
The form for people belongs to `words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.manifests import Manifest
from daemon.core.timeframes import DAY_NS, NS_PER_MS, rfc3339
from daemon.reports.explaining.evidence import Evidence
from daemon.reports.explaining.summary import summary
from daemon.reports.explaining.watching import Recomputed
from daemon.reports.tables import trade_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.manifests import Histogram
    from daemon.reports.explaining.evidence import OrderTale


class Placed(Struct, frozen=True, kw_only=True):
    """Where a value lies among those the model was trained on: the shares below it and at or below
    the upper end of its bin.
    """

    below_ratio: float
    up_to_ratio: float

    def __str__(self) -> str:
        low, high = 100 * self.below_ratio, 100 * self.up_to_ratio
        if self.below_ratio == self.up_to_ratio:
            return f"where none of the training's values lie ({low:.0f} % are smaller)"
        if not self.below_ratio:
            return f"among the smallest {high:.0f} % of the training's values"
        if self.up_to_ratio >= 1.0:
            return f"among the largest {100 - low:.0f} % of the training's values"
        return f"between {low:.0f} % and {high:.0f} % of the training's values"


# By when: time, name and fields of each, as the log has them.
Happenings: TypeAlias = dict[str, list[tuple[str, str, dict[str, object]]]]


class Told(Struct, kw_only=True):
    """All that is known of one decision, from the journal and from beside it."""

    run: str
    mode: str
    label: str
    because: str
    client_order_id: str | None
    evidence: Evidence
    recomputed: Recomputed
    is_of_event: bool = False  # what came with the bar was asked for, not what it decided
    manifest: Manifest | None = None
    stored: list[Bar] | None = None  # of the slot in the bar store, oldest first; None: no store
    lookback: int = 0
    life: Happenings = {}  # of models
    happened: Happenings = {}


def placed(histogram: Histogram | None, value: float) -> Placed | None:
    """None where nothing is known of the training's values."""
    if histogram is None:
        return None
    place = sum(edge < value for edge in histogram.edges)
    below = sum(histogram.shares[:place])
    return Placed(
        below_ratio=round(below, 6), up_to_ratio=round(below + histogram.shares[place], 6)
    )


def feature_places(told: Told) -> list[tuple[str, float, Placed | None]]:
    row, model = told.evidence.features, told.evidence.model
    if not isinstance(row, e.FeatureRow):
        return []
    names = model.feature_names if model is not None else ()
    reference = {} if told.manifest is None else told.manifest.reference
    found = []
    for place, value in enumerate(row.values):
        name = names[place] if place < len(names) else f"column_{place}"
        found.append((name, value, placed(reference.get(name), value)))
    return found


def facts(told: Told) -> dict[str, object]:
    """One JSON object."""
    found, seen = told.evidence, told.recomputed.seen
    return {
        "run": told.run,
        "mode": told.mode,
        "label": told.label,
        "because": told.because,
        "order": told.client_order_id,
        "trace": found.trace,
        "exchange": found.instrument.exchange,
        "symbol": found.instrument.symbol,
        "timeframe": found.run.timeframe,
        "why": list(summary(told)),
        "bar": _bar(told),
        "features": [
            {"name": name, "value": value, "training": plain_of(place)}
            for name, value, place in feature_places(told)
        ],
        "features_refused": _refused(found.features),
        "model": _model(told),
        "prediction": plain_of(found.prediction),
        "shadow_predictions": plain_of(found.shadows),
        "prediction_training": plain_of(_probability_place(told)),
        "signals": [plain_of(each) for each in (*found.suppressed, *found.signals)],
        "signal_rules": [] if seen is None else [plain_of(each) for each in seen.asked],
        "weighing": None if seen is None else plain_of(seen.weighing),
        "desired_before": None if seen is None else plain_of(seen.desired),
        "held_before": None if seen is None else seen.held,
        "verdicts": [plain_of(each) for each in found.verdicts],
        "judgements": [] if seen is None else [plain_of(each) for each in seen.judgements],
        "quotes": [plain_of(each) for each in found.quotes],
        "orders": [_order(found, each) for each in found.orders.values()],
        "parents_ended": [plain_of(each) for each in found.ends],
        "positions": [plain_of(each) for each in found.positions],
        "outcomes": [plain_of(each) for each in found.outcomes],
        "round_trip": None if found.trade is None else trade_row(found.trade),
        "round_trip_ended_by": plain_of(found.exit_signal),
        "halts_in_force": [plain_of(each) for each in found.halts.values()],
        "models": _happenings(told.life),
        "happened": _happenings(told.happened),
        "recomputed": _recomputed(told.recomputed),
    }


def _happenings(told: Happenings) -> dict[str, object]:
    return {
        when.replace(" ", "_"): [{"at": at, "event": name, **fields} for at, name, fields in rows]
        for when, rows in told.items()
    }


def plain_of(thing: object) -> object:
    """Builtins of a struct, its times as text: `close_ns` becomes `close`."""
    return _timed(msgspec.to_builtins(thing, str_keys=True))


def _timed(thing: object) -> object:
    if isinstance(thing, dict):
        return dict(_named(name, value) for name, value in thing.items())
    if isinstance(thing, list | tuple):
        return [_timed(each) for each in thing]
    return thing


def _named(name: str, value: object) -> tuple[str, object]:
    if name.endswith("_ns") and isinstance(value, int):
        # Beside the times of a bar stand its prices of the same name.
        known = {"close_ns": "bar", "open_ns": "open_time", "ts_ns": "at"}
        short = known.get(name, name.removesuffix("_ns"))
        return short, rfc3339(value)
    return ("event" if name == "type" else name), _timed(value)


def _bar(told: Told) -> dict[str, object]:
    found = told.evidence
    length_ns = found.run.timeframe_ns
    window_ns = found.close_ns - told.lookback * length_ns
    bar = found.bar
    return {
        "close_time": rfc3339(found.close_ns),
        "numbers": plain_of(bar),
        "late_ms": None if bar is None else (bar.received_ns - bar.close_ns) // NS_PER_MS,
        "stored": stored(told),
        "stored_revisions": None if told.stored is None else len(told.stored),
        "revised": [plain_of(each) for each in found.late_bars],
        "rejected": [plain_of(each) for each in found.rejected],
        "window_bars": told.lookback,
        "missed_in_window": [
            plain_of(each)
            for each in found.missed
            if each.first_open_ns + each.count * length_ns > window_ns
        ],
    }


def stored(told: Told) -> str:
    """Whether the store holds the bar as it was decided on."""
    bar = told.evidence.bar
    if told.stored is None or bar is None:
        return "unknown"
    if not told.stored:
        return "absent"

    def numbers(each: Bar) -> Sequence[float]:
        return (each.open, each.high, each.low, each.close, each.volume)

    return "same" if numbers(told.stored[-1]) == numbers(bar) else "different"


def _refused(row: e.FeatureRow | e.FeaturesRefused | None) -> object:
    return plain_of(row) if isinstance(row, e.FeaturesRefused) else None


def _model(told: Told) -> dict[str, object] | None:
    found = told.evidence
    if found.model is None:
        return None
    since_ns = found.model_since_ns
    return {
        "activated": plain_of(found.model),
        "in_use_since": None if since_ns is None else rfc3339(since_ns),
        "age_days": (found.close_ns - found.model.trained_through_ns) / DAY_NS,
        "health": plain_of(found.health),
        "sampled_with_it": plain_of(found.sampled),
    }


def _probability_place(told: Told) -> Placed | None:
    prediction, manifest = told.evidence.prediction, told.manifest
    if manifest is None or not isinstance(prediction, e.Prediction):
        return None
    return placed(manifest.reference_probability, prediction.probability_up)


def _order(found: Evidence, tale: OrderTale) -> dict[str, object]:
    return {
        "client_order_id": tale.intent.client_order_id,
        "intent": plain_of(tale.intent),
        "events": [plain_of(each) for each in tale.events],
        "closed_bar_to_first_fill_ms": next(
            ((fill.ts_ns - found.close_ns) // NS_PER_MS for fill in tale.fills), None
        ),
    }


def _recomputed(known: Recomputed) -> dict[str, object]:
    is_asked = known.seen is not None
    return {
        "identical": known.difference is None if is_asked else None,
        "steps": known.steps,
        "why_not": known.why_not or None,
        "first_difference": known.difference,
        "recorded_by": known.recorded_by,
        "code": known.code,
    }
