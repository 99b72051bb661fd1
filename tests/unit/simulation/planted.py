"""Bugs to plant into the shipped order path, each at a seam of `Parts`: all of them must be caught.

Belongs here: one bug each, as somebody might write it. What ships belongs to daemon.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from msgspec.structs import replace

from daemon.core.blotter import Blotter
from daemon.core.events import (
    DURABLE,
    CancelOrder,
    Input,
    LookUpOrder,
    OrderReported,
    Outcome,
    Reconciled,
    ReportSource,
    SubmitOrder,
)
from daemon.core.instruments import InstrumentId
from daemon.core.ports import Account, Venue
from daemon.running.books.watch import BookWatch
from daemon.running.runner import Runner


class SendsFirst(Runner):
    """Commands leave before the journal has their intents."""

    async def take(self, event: Input) -> None:
        self.is_idle = False
        step = self._pipeline.step(event)
        for command in step.commands:
            self._act(command)
        is_durable = any(type(each) in DURABLE for each in step.events)
        await self._journal.append(step.events, is_durable=is_durable)
        self.is_idle = True
        for observe in self.observers:
            observe(step.events)


class Retold:
    """A venue of which every report is told differently."""

    def __init__(self, venue: Venue, tell: Callable[[OrderReported], OrderReported]) -> None:
        self._venue = venue
        self._tell = tell

    async def submit(self, order: SubmitOrder) -> OrderReported:
        return self._tell(await self._venue.submit(order))

    async def cancel(self, order: CancelOrder) -> OrderReported:
        return self._tell(await self._venue.cancel(order))

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        return self._tell(await self._venue.look_up(order))

    async def reports(self) -> AsyncIterator[OrderReported]:
        async for report in self._venue.reports():
            yield self._tell(report)

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        return await self._venue.account(instruments, since_ns)

    async def close(self) -> None:
        await self._venue.close()


def no_answer_is_a_refusal(venue: Venue) -> Venue:
    def tell(report: OrderReported) -> OrderReported:
        is_reply = report.source is ReportSource.REPLY
        if is_reply and report.outcome is Outcome.UNKNOWN:
            return replace(report, outcome=Outcome.REFUSED)
        return report

    return Retold(venue, tell)


def fills_have_other_names_on_the_stream(venue: Venue) -> Venue:
    def tell(report: OrderReported) -> OrderReported:
        if report.source is not ReportSource.STREAM:
            return report
        named = tuple(replace(each, trade_id=f"s{each.trade_id}") for each in report.fills)
        return replace(report, fills=named)

    return Retold(venue, tell)


async def settles_nothing(
    _blotter: Blotter,
    venues: Mapping[str, Venue],
    _watches: Mapping[str, BookWatch],
    take: Callable[[Input], Awaitable[None]],
    ts_ns: int,
    **_asked: object,
) -> None:
    for exchange in venues:
        await take(Reconciled(ts_ns=ts_ns, is_clean=True, exchange=exchange))
