"""Which model is meant by somebody who wants another one, and which may not be used."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.core.errors import ModelRefused
from daemon.core.manifests import Manifest
from daemon.core.roles import Roles
from daemon.core.timeframes import DAY_NS
from daemon.running.models.desk import ModelDesk
from daemon.store.models import ModelRegistry
from tests.builders import a_model_activated, a_promotion
from tests.unit.store.test_models import ARRAYS, a_manifest


class Shop:
    """A run whose active model is the first of three of one key; a fourth is for another."""

    def __init__(self, folder: Path, *, days: int = 1) -> None:
        self.registry = ModelRegistry(folder)
        made = [a_manifest(seed=s) for s in (1, 2, 3)] + [a_manifest(symbols=("ETH/USDT",))]
        self.ids = [self.registry.register(each, ARRAYS, None).model_id for each in made]
        self.used: list[str] = []
        self.roles = Roles()
        self.roles.apply_model_activated(a_model_activated(model=self.ids[0]))
        manifest = self.registry.manifest(self.ids[0])
        self.desk = ModelDesk(
            self.registry,
            self.roles,
            manifest.key,
            use=self._use,
            now_ns=lambda: manifest.trained_through_ns + days * DAY_NS,
            max_age_ns=45 * DAY_NS,
        )

    async def _use(self, model: str) -> Manifest:
        self.used.append(model)
        return self.registry.manifest(model)


async def test_a_model_of_this_run_is_handed_over_with_what_would_make_it_active(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)

    wanted = await shop.desk.wanted("promote", shop.ids[1])

    assert (wanted.model, shop.used) == (shop.ids[1], [shop.ids[1]])


async def test_a_rollback_means_what_was_replaced_here_else_what_the_registry_had_before(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    for model in (shop.ids[2], shop.ids[0]):
        shop.registry.activate(model)
    by_registry = await shop.desk.wanted("rollback", "")
    shop.roles.apply_model_promoted(
        a_promotion(activation=a_model_activated(model=shop.ids[1]), replaced=shop.ids[0])
    )
    shop.roles.apply_model_activated(a_model_activated(model=shop.ids[1]))
    by_run = await shop.desk.wanted("rollback", shop.ids[1])

    assert (by_registry.model, by_run.model) == (shop.ids[2], shop.ids[0])


@pytest.mark.parametrize(
    ("command", "place", "days", "complaint"),
    [
        ("promote", 0, 1, "is the active one already"),
        ("promote", 3, 1, "is for ETH/USDT 1h of .*, and this run trades"),
        ("promote", 1, 46, "more than model.max_age_days ago"),
        ("promote", 1, -1, "has seen this market up to .*, which is still to come"),
        ("rollback", 1, 1, "the active model is .*, not"),
        ("rollback", 0, 1, "no model was active before"),
    ],
)
async def test_a_model_that_must_not_be_used_is_refused_in_a_line(
    tmp_path: Path, command: str, place: int, days: int, complaint: str
) -> None:
    shop = Shop(tmp_path, days=days)

    with pytest.raises(ModelRefused, match=complaint):
        await shop.desk.wanted(command, shop.ids[place])


async def test_a_rollback_passes_over_models_that_have_seen_what_is_still_to_come(
    tmp_path: Path,
) -> None:
    """Another run of the same recorded or synthetic market may have come further than this one."""
    shop = Shop(tmp_path)
    later = a_manifest(seed=4)
    later = replace(later, trained_through_ns=later.trained_through_ns + 2 * DAY_NS)
    of_another_run = shop.registry.register(later, ARRAYS, None).model_id
    for model in (shop.ids[2], of_another_run, shop.ids[0]):
        shop.registry.activate(model)

    wanted = await shop.desk.wanted("rollback", "")

    assert wanted.model == shop.ids[2]


async def test_a_model_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="not in the registry"):
        await Shop(tmp_path).desk.wanted("promote", "rf-20240101-0badc0de")
