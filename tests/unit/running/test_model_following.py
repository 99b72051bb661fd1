"""The registry follows the journal, also when the daemon dies between the two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.core import events as e
from daemon.core.clock import WireClock
from daemon.running.models.following import Following
from daemon.store.model_audit import Change, changes, note
from daemon.store.models import ModelRegistry, ModelState
from daemon.store.runs import RunPaths
from tests.builders import (
    a_challenger_dropped,
    a_challenger_opened,
    a_model_activated,
    a_promotion,
    a_rollback,
    a_watch_ended,
)
from tests.unit.store.test_models import ARRAYS, a_manifest

RUN = "20240101T000000-3fa2"


class Kept:
    """A journal in memory."""

    def __init__(self, *events: e.Event) -> None:
        self.events = list(events)

    def read_kinds(self, *kinds: type[e.Event]) -> Iterator[tuple[int, e.Event]]:
        return ((n, each) for n, each in enumerate(self.events) if isinstance(each, kinds))


class Desk:
    """A registry with an active model and a candidate, and whoever makes it follow."""

    def __init__(self, folder: Path) -> None:
        self.registry = ModelRegistry(folder)
        self.folder = folder
        self.old, self.new = (
            self.registry.register(a_manifest(seed=s), ARRAYS, None).model_id for s in (1, 2)
        )
        self.registry.activate(self.old)
        self.failures: list[str] = []
        self.forgotten: list[str] = []
        self.following = self.follows()

    def follows(self) -> Following:
        paths = RunPaths(self.folder.parent, RUN)
        return Following(self.registry, paths, self, self, WireClock())

    def forget_model(self, model_id: str) -> None:
        self.forgotten.append(model_id)

    def emit(self, event: str, **fields: object) -> None:
        assert event == "registry.failed"
        self.failures.append(str(fields["error"]))

    @property
    def states(self) -> tuple[ModelState, ModelState]:
        states = {each.model_id: each.state for each in self.registry.list()}
        return states[self.old], states[self.new]

    def opened(self) -> e.ChallengerOpened:
        return a_challenger_opened(activation=a_model_activated(model=self.new), champion=self.old)

    def promoted(self, **changes: Any) -> e.ModelPromoted:
        made = a_promotion(activation=a_model_activated(model=self.new), replaced=self.old)
        return msgspec.structs.replace(made, **changes)

    def rolled_back(self, **changes: Any) -> e.ModelRolledBack:
        made = a_rollback(activation=a_model_activated(model=self.old), replaced=self.new)
        return msgspec.structs.replace(made, **changes)


def test_every_step_of_a_models_life_is_in_the_registry_and_has_its_line(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "models")
    seen = []
    for event in (desk.opened(), desk.promoted(), desk.rolled_back()):
        desk.following.note((event,))
        seen.append(desk.states)

    assert seen == [
        (ModelState.ACTIVE, ModelState.SHADOW),
        (ModelState.RETIRED, ModelState.ACTIVE),
        (ModelState.ACTIVE, ModelState.DROPPED),
    ]
    told = changes(tmp_path / "models")
    assert [(each.what, each.model, each.replaced, each.who, each.run) for each in told] == [
        ("challenge", desk.new, None, "rule", RUN),
        ("promote", desk.new, desk.old, "rule", RUN),
        ("rollback", desk.old, desk.new, "rule", RUN),
    ]
    assert "evidence" in told[1].reason
    assert desk.failures == []


def test_what_an_operator_takes_back_may_be_tried_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "models")
    desk.following.note((desk.promoted(),))
    by_hand = desk.rolled_back(reason=e.PromotionReason.OPERATOR, who="uid 7", detail="odd")

    desk.following.note((by_hand,))

    assert desk.states == (ModelState.ACTIVE, ModelState.CANDIDATE)
    assert changes(tmp_path / "models")[-1].who == "uid 7"


def test_a_dropped_challenger_is_marked_and_let_go_and_one_that_was_not_judged_stays(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path / "models")
    busy = a_challenger_dropped(model=desk.new, reason=e.DropReason.BUSY, comparison=None)
    desk.following.note((busy,))
    before = desk.states

    desk.following.note((desk.opened(),))
    desk.following.note((a_challenger_dropped(model=desk.new),))

    assert before == (ModelState.ACTIVE, ModelState.CANDIDATE)
    assert desk.states == (ModelState.ACTIVE, ModelState.DROPPED)
    assert desk.forgotten == [desk.new]
    assert [each.what for each in changes(tmp_path / "models")] == ["challenge", "drop"]


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_what_a_crash_left_undone_is_done_at_the_next_start_and_once(
    tmp_path: Path, done: int
) -> None:
    desk = Desk(tmp_path / "models")
    journal = Kept(desk.opened(), desk.promoted(), a_watch_ended(model=desk.old, active=desk.new))
    for event in journal.events[:done]:
        desk.following.note((event,))

    mended = [desk.follows().mend(journal) for _ in range(2)]

    assert mended == [3 - done, 0]
    assert desk.states == (ModelState.RETIRED, ModelState.ACTIVE)
    assert [each.what for each in changes(tmp_path / "models")] == [
        "challenge",
        "promote",
        "settle",
    ]


def test_a_crash_between_registry_and_line_is_mended_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "models")
    desk.registry.activate(desk.new)

    desk.following.mend(Kept(desk.promoted()))

    assert desk.states == (ModelState.RETIRED, ModelState.ACTIVE)
    assert [each.what for each in changes(tmp_path / "models")] == ["promote"]


def test_what_a_person_changed_since_is_not_changed_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "models")
    desk.following.note((desk.opened(),))
    note(
        tmp_path / "models",
        Change("2024-01-02T00:00:00Z", "promote", desk.old, None, "root", "mine"),
    )

    desk.following.mend(Kept(desk.opened(), desk.promoted()))

    assert desk.states == (ModelState.ACTIVE, ModelState.SHADOW)
    assert [each.what for each in changes(tmp_path / "models")] == [
        "challenge",
        "promote",
        "promote",
    ]


def test_a_registry_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "models")

    desk.following.note((a_promotion(activation=a_model_activated(model="rf-20240101-0badc0de")),))

    assert desk.states == (ModelState.ACTIVE, ModelState.CANDIDATE)
    assert len(desk.failures) == 1
    assert "not in the registry" in desk.failures[0]
    assert changes(tmp_path / "models") == []
