"""Gets a model ready that somebody wants to be the active one of a running daemon.

Belongs here: which model is meant, and whether this run may use it. What becomes of the wish is
decided in layer 7.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from daemon.core.errors import ModelRefused
from daemon.core.manifests import model_key
from daemon.core.timeframes import rfc3339
from daemon.running.models.loading import activation
from daemon.running.models.training_jobs import max_age_ns
from daemon.running.models.use import use_candidate
from daemon.store.models import ModelState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.app import Core
    from daemon.config import Settings
    from daemon.core.events import ModelActivated
    from daemon.core.manifests import Manifest, ModelKey
    from daemon.core.roles import Roles
    from daemon.layers.features.sets import FeatureSet
    from daemon.running.world.sites import World
    from daemon.store.models import ModelRegistry

    Use = Callable[[str], Awaitable[Manifest]]

ROLLBACK = "rollback"


class ModelDesk:
    """Answers a request with what would make the model active; ModelRefused where none may be."""

    def __init__(
        self,
        registry: ModelRegistry,
        roles: Roles,
        key: ModelKey,
        *,
        use: Use,
        now_ns: Callable[[], int],
        max_age_ns: int,
    ) -> None:
        self._registry = registry
        self._roles = roles
        self._key = key
        self._use = use
        self._now_ns = now_ns
        self._max_age_ns = max_age_ns

    async def wanted(self, command: str, model: str) -> ModelActivated:
        """A model that is verified and handed to the core; `model` of a rollback is the active one,
        or empty.
        """
        chosen = self._before(model) if command == ROLLBACK else model
        if chosen == self._active:
            msg = f"model {chosen} is the active one already"
            raise ModelRefused(msg)
        key = self._registry.manifest(chosen).key
        if key != self._key:
            msg = (
                f"model {chosen} is for {_told(key)}, and this run trades {_told(self._key)}; "
                "it can be promoted for another run while no daemon is running"
            )
            raise ModelRefused(msg)
        if self._has_seen_ahead(chosen):
            until = rfc3339(self._registry.manifest(chosen).trained_through_ns)
            msg = (
                f"model {chosen} has seen this market up to {until}, which is still to come here: "
                "what it foretells would prove nothing"
            )
            raise ModelRefused(msg)
        manifest = await self._use(chosen)
        if self._now_ns() - manifest.trained_through_ns > self._max_age_ns:
            msg = (
                f"model {chosen} knows nothing after {rfc3339(manifest.trained_through_ns)}, which "
                "is more than model.max_age_days ago: nothing would be opened with it"
            )
            raise ModelRefused(msg)
        return activation(manifest, self._now_ns())

    @property
    def _active(self) -> str:
        return "" if self._roles.active is None else self._roles.active.model

    def _has_seen_ahead(self, model: str) -> bool:
        """Another run of the same recorded or synthetic market may have come further than this."""
        return self._registry.manifest(model).trained_through_ns > self._now_ns()

    def _before(self, model: str) -> str:
        """What this run's active model has replaced, else what the registry says was before it."""
        if model not in {"", self._active}:
            msg = f"the active model is {self._active}, not {model}: take that one back, or none"
            raise ModelRefused(msg)
        if self._roles.previous is not None:
            return self._roles.previous.model
        before = sorted(
            (
                each
                for each in self._registry.list()
                if each.key == self._key
                and each.state is ModelState.RETIRED
                and each.model_id != self._active
            ),
            key=lambda entry: -entry.activation,
        )
        found = (each.model_id for each in before if not self._has_seen_ahead(each.model_id))
        if (newest := next(found, None)) is None:
            msg = f"no model was active before {self._active}"
            raise ModelRefused(msg)
        return newest


def model_desk(
    core: Core, registry: ModelRegistry, features: FeatureSet, world: World, settings: Settings
) -> ModelDesk:
    """The desk of a run."""
    symbols, timeframe = tuple(world.names.values()), settings.data.timeframe
    return ModelDesk(
        registry,
        core.roles,
        model_key(world.model_market, symbols, timeframe, features.fingerprint),
        use=partial(use_candidate, core, registry, features),
        now_ns=world.now_ns,
        max_age_ns=max_age_ns(settings),
    )


def _told(key: ModelKey) -> str:
    return f"{', '.join(key.symbols)} {key.timeframe} of {key.market}"
