"""Which models a start needs, and which may be gone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.app import Core, build_core
from daemon.config import Settings
from daemon.core import events as e
from daemon.core.errors import ModelRefused
from daemon.core.manifests import MANIFEST_SCHEMA
from daemon.research.training import TrainingSettings
from daemon.running.models.use import let_go_unfit, use_models
from daemon.store.models import ModelRegistry
from tests.builders import BTC, CLOSE_NS, a_candidate_trained, a_model_activated, a_run_opened
from tests.unit.research.test_classifiers import FEATURES, trained

QUICK = TrainingSettings(classifier="logistic", folds=3)


class Past:
    """A journal in which the first model was active, then the second; the third is in shadow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = ModelRegistry(folder)
        made = [trained(QUICK, seed) for seed in (1, 2, 3)]
        self.ids = [
            self.registry.register(each.manifest, each.arrays, each.archive).model_id
            for each in made
        ]
        first, second, third = (
            a_model_activated(
                model=each, feature_fingerprint=FEATURES.fingerprint, feature_names=FEATURES.names
            )
            for each in self.ids
        )
        shadow = a_candidate_trained(activation=third)
        opened = e.ChallengerOpened(ts_ns=CLOSE_NS, activation=third, champion=second.model)
        self.events: list[e.Event] = [a_run_opened(), first, second, shadow, opened]

    def read_kinds(self, *kinds: type[e.Event]) -> Iterator[tuple[int, e.Event]]:
        return ((n, event) for n, event in enumerate(self.events) if isinstance(event, kinds))

    def remove(self, place: int) -> str:
        shutil.rmtree(self.folder / self.ids[place])
        return self.ids[place]

    def use(self, *, is_resuming: bool) -> tuple[Core, dict[str, str]]:
        core = build_core(Settings(), FEATURES, None, [BTC])
        wrong = use_models(core, self.registry, FEATURES, self, is_resuming=is_resuming)
        core.pipeline.recover(self.events)
        return core, wrong


def test_a_run_goes_on_without_a_model_that_was_replaced_but_is_not_recomputed_without_it(
    tmp_path: Path,
) -> None:
    past = Past(tmp_path)
    gone = past.remove(0)

    core, wrong = past.use(is_resuming=True)

    assert list(wrong) == [gone]
    assert core.roles.active is not None
    assert core.roles.active.model == past.ids[1]
    with pytest.raises(ModelRefused, match=gone):
        past.use(is_resuming=False)


def test_without_the_active_model_nothing_goes_on(tmp_path: Path) -> None:
    past = Past(tmp_path)
    gone = past.remove(1)

    with pytest.raises(ModelRefused, match=gone):
        past.use(is_resuming=True)


async def test_an_active_model_of_another_version_is_said_to_be_unfit_and_stops_no_start(
    tmp_path: Path,
) -> None:
    past = Past(tmp_path)
    path = tmp_path / past.ids[1] / "manifest.json"
    path.write_text(path.read_text().replace(MANIFEST_SCHEMA, "tradingd.model/0"))
    core, wrong = past.use(is_resuming=True)
    taken: list[e.Event] = []

    async def take(event: e.Input) -> None:
        taken.extend(core.pipeline.step(event).events)

    await let_go_unfit(core, wrong, take, CLOSE_NS)

    (unfit,) = taken
    assert isinstance(unfit, e.ModelUnfit)
    assert (unfit.model, "train anew" in unfit.error) == (past.ids[1], True)
    with pytest.raises(ModelRefused, match="train anew"):
        past.use(is_resuming=False)


async def test_a_challenger_whose_files_are_gone_is_let_go_at_the_start(tmp_path: Path) -> None:
    past = Past(tmp_path)
    gone = past.remove(2)
    core, wrong = past.use(is_resuming=True)
    taken: list[e.Event] = []

    async def take(event: e.Input) -> None:
        taken.extend(core.pipeline.step(event).events)

    await let_go_unfit(core, wrong, take, CLOSE_NS)

    unfit, dropped = taken
    assert isinstance(unfit, e.ModelUnfit)
    assert "missing" in unfit.error
    assert isinstance(dropped, e.ChallengerDropped)
    assert (dropped.model, dropped.reason) == (gone, e.DropReason.UNFIT)
    assert core.roles.challenger is None
