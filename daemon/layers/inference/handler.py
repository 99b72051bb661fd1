"""Layer 3's handler: answers each cross-section of feature rows with one call of the model.

Belongs here: who gets a probability and who a reason. How it is computed belongs to `model`,
whether it is worth acting on to layer 4.
"""

import math
from collections.abc import Iterator

import numpy as np

from daemon.core.events import (
    ChallengerPredictions,
    Event,
    FeatureRow,
    FeatureRows,
    FeaturesRefused,
    FeaturesRefusedReason,
    ModelActivated,
    Prediction,
    Predictions,
)
from daemon.core.roles import Roles
from daemon.layers.inference.model import ActiveModel

NO_MODEL = ""
SINGLE_MAX = float(np.finfo(np.float32).max)


class Inference:
    """Predicts with the model it was given; without one, every row is refused."""

    def __init__(self, model: ActiveModel | None, roles: Roles | None = None) -> None:
        self._model = model
        self._roles = roles or Roles()
        self._known = {} if model is None else {model.model_id: model}

    def use_model(self, model: ActiveModel) -> None:
        """Hand over a loaded model; it predicts from its ModelActivated on, between two steps."""
        self._known[model.model_id] = model

    def forget_model(self, model_id: str) -> None:
        """It has no part any more; what it holds, if it is only a process, is given back."""
        parts = {each.model for each in self._roles.shadows()}
        is_active = self._model is not None and self._model.model_id == model_id
        if model_id not in parts and not is_active:
            self._known.pop(model_id, None)

    def apply_model_activated(self, event: ModelActivated) -> None:
        # Unknown may be one of an earlier time whose files are gone: another is active by now.
        self._model = self._known.get(event.model)

    def on_feature_rows(self, event: FeatureRows) -> Iterator[Event]:
        """One Predictions with a probability or a reason for every row; refusals are passed on.

        Models in shadow answer the same rows, each with ChallengerPredictions.
        """
        model = self._model
        predicted, refused = _answered(model, event)
        name = NO_MODEL if model is None else model.model_id
        yield Predictions(ts_ns=event.ts_ns, model=name, rows=predicted, refused=refused)
        for shadow in self._roles.shadows():
            predicted, refused = _answered(self._known.get(shadow.model), event)
            yield ChallengerPredictions(
                ts_ns=event.ts_ns, model=shadow.model, rows=predicted, refused=refused
            )


def _answered(
    model: ActiveModel | None, event: FeatureRows
) -> tuple[tuple[Prediction, ...], tuple[FeaturesRefused, ...]]:
    predicted: list[Prediction] = []
    refused = list(event.refused)
    # Rows of other features than the model was taught with mean nothing to it.
    if model is None or model.feature_fingerprint != event.fingerprint:
        refused += [_refused(row, FeaturesRefusedReason.NO_MODEL) for row in event.rows]
    elif event.rows:
        matrix = np.array([row.values for row in event.rows], dtype=np.float64)
        columns = [column.tolist() for column in model.predict(matrix)]
        for row, probability, error, raw in zip(event.rows, *columns, strict=True):
            if math.isfinite(probability):
                predicted.append(_prediction(row, probability, error, raw))
            else:
                # A model reads single precision: what is too large for it is no number to it.
                is_sound = all(abs(value) <= SINGLE_MAX for value in row.values)
                refused.append(
                    _refused(
                        row,
                        FeaturesRefusedReason.NO_ANSWER
                        if is_sound
                        else FeaturesRefusedReason.NOT_FINITE,
                    )
                )
    return tuple(predicted), tuple(refused)


def _prediction(row: FeatureRow, probability: float, error: float, raw: float) -> Prediction:
    return Prediction(
        instrument=row.instrument,
        trace=row.trace,
        close_ns=row.close_ns,
        received_ns=row.received_ns,
        close=row.close,
        probability_up=probability,
        standard_error=error,
        raw_probability_up=raw,
    )


def _refused(row: FeatureRow, reason: FeaturesRefusedReason) -> FeaturesRefused:
    return FeaturesRefused(
        instrument=row.instrument, trace=row.trace, close_ns=row.close_ns, reason=reason
    )
