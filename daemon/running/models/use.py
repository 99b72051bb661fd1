"""Hands a run's models to a fresh core: verified, with what was usual when they were trained.

Belongs here: what replaying and recovering need before the first event. Choosing and training a
model belongs to `training_jobs`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from daemon.core.errors import ModelForeign, ModelRefused
from daemon.core.events import CandidateTrained, ModelActivated, ModelUnfit
from daemon.running.models.loading import load_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from daemon.app import Core
    from daemon.core.events import Event, Input
    from daemon.core.manifests import Manifest
    from daemon.layers.features.sets import FeatureSet
    from daemon.layers.inference.model import ActiveModel
    from daemon.store.models import ModelRegistry


class Kept(Protocol):
    """A journal, whoever reads it."""

    def read_kinds(self, *kinds: type[Event]) -> Iterator[tuple[int, Event]]: ...


def use_model(core: Core, registry: ModelRegistry, features: FeatureSet, model_id: str) -> Manifest:
    """Hand over one model, ready for its activation or its challenge; ModelRefused."""
    return hand_over(core, *load_model(registry, model_id, features))


def hand_over(core: Core, manifest: Manifest, model: ActiveModel) -> Manifest:
    """One that is loaded and proven, with what was usual when it was trained."""
    core.inference.use_model(model)
    core.monitoring.use_references(
        manifest.model_id, manifest.reference, manifest.reference_probability
    )
    return manifest


async def use_candidate(
    core: Core, registry: ModelRegistry, features: FeatureSet, model_id: str
) -> Manifest:
    """The same while bars come: reading and proving it must not hold up the loop."""
    return hand_over(core, *await asyncio.to_thread(load_model, registry, model_id, features))


def use_models(
    core: Core, registry: ModelRegistry, features: FeatureSet, journal: Kept, *, is_resuming: bool
) -> dict[str, str]:
    """Every model that ever was active or a candidate, each once; ModelRefused when one does not
    fit that is needed: to recompute a run all that were active, to go on with it the newest, unless
    another version wrote it, which a start makes a new one for.

    Of the others returns what is wrong with them.
    """
    known: dict[str, None] = {}
    needed: set[str] = set()
    for _, event in journal.read_kinds(ModelActivated, CandidateTrained):
        assert isinstance(event, ModelActivated | CandidateTrained)
        known[event.model] = None
        if isinstance(event, ModelActivated):
            needed = {event.model} if is_resuming else needed | {event.model}
    wrong = {}
    for model_id in known:
        try:
            use_model(core, registry, features, model_id)
        except ModelRefused as refused:
            is_replaced = is_resuming and isinstance(refused, ModelForeign)
            if model_id in needed and not is_replaced:
                raise
            wrong[model_id] = str(refused)
    return wrong


async def let_go_unfit(
    core: Core, unfit: Mapping[str, str], take: Callable[[Input], Awaitable[None]], ts_ns: int
) -> None:
    """Who is active or in shadow and cannot be loaded any more has no part from here on."""
    active = core.roles.active
    parts = [each.model for each in (active, *core.roles.shadows()) if each is not None]
    for model in parts:
        if model in unfit:
            await take(ModelUnfit(ts_ns=ts_ns, model=model, error=unfit[model]))
