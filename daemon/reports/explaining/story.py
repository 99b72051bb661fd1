"""The story of a run's models, from its journal: trusted, doubted, halted, replaced, and why.

Belongs here: what is told of it, in which order, and what is told together. One decision belongs to
`evidence` and `words`, single reasons to `vocabulary`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from daemon.core import events as e
from daemon.core.timeframes import rfc3339
from daemon.reports.explaining import model_words as words
from daemon.reports.explaining.forms import moment, with_capital
from daemon.reports.explaining.vocabulary import RETRAINED, UNTRAINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from daemon.store.journal_reader import JournalReader

INDENT = " " * 21  # as wide as a time


class Chapter(Struct, frozen=True, kw_only=True):
    """One thing that happened to a model or to the trust in it; several of a kind are told once."""

    at_ns: int
    until_ns: int
    what: str
    model: str
    text: str


class _Attempt(Struct, frozen=True, kw_only=True):
    """A new model that was asked for, and did not come."""

    asked: e.RetrainingOpened
    failed: e.TrainingFailed

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.asked.model, self.asked.reason, self.failed.fault


def story(journal: JournalReader) -> Iterator[Chapter]:
    """In the order of the journal."""
    return told(event for _, event in journal.read_kinds(*HEARD))


def told(events: Iterable[e.Event]) -> Iterator[Chapter]:
    """Attempts that failed alike, one after the other, are one chapter."""
    teller = _Teller()
    for event in events:
        yield from teller.hear(event)
    yield from teller.rest()


class _Teller:
    """Remembers what was told, so that nothing is told twice."""

    def __init__(self) -> None:
        self._asked: e.RetrainingOpened | None = None
        self._failed: list[_Attempt] = []
        self._sampled = ("", "")  # the model and its status
        self._active = ""

    def hear(self, event: e.Event) -> Iterator[Chapter]:
        if isinstance(event, e.RetrainingOpened):
            self._asked = event
        elif isinstance(event, e.TrainingFailed):
            yield from self._fail(event)
        elif self._is_news(event):
            what, text = self._said(event)
            if text:
                yield from self._attempts()
                yield Chapter(
                    at_ns=event.ts_ns,
                    until_ns=event.ts_ns,
                    what=what,
                    model=getattr(event, "model", ""),
                    text=text,
                )

    def rest(self) -> Iterator[Chapter]:
        """What goes on where the journal ends."""
        yield from self._attempts()
        if self._asked is not None:
            yield Chapter(
                at_ns=self._asked.ts_ns,
                until_ns=self._asked.ts_ns,
                what="training",
                model=self._asked.model,
                text=f"since {RETRAINED[self._asked.reason]}, a new model is being trained",
            )

    def _fail(self, event: e.TrainingFailed) -> Iterator[Chapter]:
        if self._asked is None:
            return
        attempt = _Attempt(asked=self._asked, failed=event)
        self._asked = None
        if self._failed and self._failed[-1].kind != attempt.kind:
            yield from self._attempts()
        self._failed.append(attempt)

    def _attempts(self) -> Iterator[Chapter]:
        if self._failed:
            yield _failed(self._failed)
            self._failed = []

    def _is_news(self, event: e.Event) -> bool:
        """A sample that says what the last one said is none, nor a model that is active already."""
        if isinstance(event, e.HealthSampled):
            told, self._sampled = self._sampled, (event.model, event.status)
            return self._sampled != told
        if isinstance(event, e.ModelActivated | e.ModelPromoted | e.ModelRolledBack):
            active, self._active = self._active, event.model
            return self._active != active or not isinstance(event, e.ModelActivated)
        return True

    def _said(self, event: e.Event) -> tuple[str, str]:
        if isinstance(event, e.HealthSampled):
            return event.status, words.sampled(event)
        if isinstance(event, e.CandidateTrained):
            asked, self._asked = self._asked, None
            return "passed", words.passed(event, asked)
        what, text = TOLD[type(event)]
        return what, text(event)


def lines(chapters: Iterable[Chapter], width: int) -> Iterator[str]:
    """A paragraph for each, wrapped to the width."""
    for each in chapters:
        text = f"{moment(each.at_ns)}  {with_capital(each.text)}."
        yield from textwrap.wrap(
            text, width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
        )


def facts(chapters: Iterable[Chapter]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "at": rfc3339(each.at_ns),
            "until": rfc3339(each.until_ns),
            "what": each.what,
            "model": each.model or None,
            "text": each.text,
        }
        for each in chapters
    ]


def _failed(attempts: list[_Attempt]) -> Chapter:
    first, last = attempts[0], attempts[-1]
    fault = last.failed.fault
    asked = f"since {RETRAINED[first.asked.reason]}, a new model was asked for"
    if len(attempts) == 1:
        text = f"{asked}: {UNTRAINED[fault]}. {words.first_sentence(last.failed.reason)}"
    else:
        until = moment(last.asked.ts_ns)
        text = (
            f"{asked} {len(attempts)} times until {until}: each time {UNTRAINED[fault]}. "
            f"The last time: {words.first_sentence(last.failed.reason)}"
        )
    return Chapter(
        at_ns=first.asked.ts_ns,
        until_ns=last.failed.ts_ns,
        what="refused" if fault is e.TrainingFault.CANDIDATE else "untrained",
        model=first.asked.model,
        text=text,
    )


# What is told of an event that is news by itself, and under which name.
TOLD: Mapping[type[e.Event], tuple[str, Callable[[Any], str]]] = {
    e.ModelActivated: ("activated", words.activated),
    e.ChallengerOpened: ("challenger", words.challenges),
    e.ChallengerDropped: ("dropped", words.dropped),
    e.PromotionProposed: ("proposed", words.proposed),
    e.ModelPromoted: ("promoted", words.promoted),
    e.ModelRolledBack: ("rolled_back", words.came_back),
    e.WatchEnded: ("stays", words.stays),
    e.TradingHalted: ("halted", words.stopped),
    e.TradingResumed: ("resumed", words.resumed),
    e.TradingStateChanged: ("probation", words.probation),
}
HEARD: tuple[type[e.Event], ...] = (
    *TOLD,
    e.HealthSampled,
    e.RetrainingOpened,
    e.TrainingFailed,
    e.CandidateTrained,
)
