"""What takes committed commands to a venue and brings its answers back as inputs.

Belongs here: order of sending, looking up what is unclear, and a bounded end. What an answer means
belongs to execution, what is asked of an exchange to the venue.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING

from daemon.core.events import (
    CancelOrder,
    LookUpOrder,
    OrderReported,
    SubmitOrder,
)
from daemon.core.orders import OrderState
from daemon.venues.answers import is_news, is_open, is_unclear, not_sent, unknown
from daemon.venues.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from daemon.core.events import Input
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Venue
    from daemon.venues.turns import Place

    Posted = SubmitOrder | LookUpOrder | CancelOrder

IN_FLIGHT_MAX = 10_000
STOPPED = "stopped before it was sent"
DRAIN_WITHIN_S = 10.0
LISTEN_AGAIN_S = 1.0
LOOK_AGAIN_FIRST_S = 1.0
LOOK_AGAIN_MAX_S = 60.0
LOOK_BEHIND_S = 2.0  # after which a fill that raced a cancel is listed, whatever was said of it


class Outbox:
    """One venue's commands: in sequence per instrument, instruments beside each other.

    An order that rests is followed until it is over, and nobody waits for that. Where
    `is_following` is off the market stands still by itself, and `look_at_resting` asks once each
    time it moved.
    Where `turns` are ordered, all commands of all outboxes that share them are one sequence: each
    is answered before the next one leaves, in the order in which they were posted.
    """

    def __init__(
        self,
        venue: Venue,
        publish: Callable[[Input], Awaitable[None]],
        *,
        drain_within_s: float = DRAIN_WITHIN_S,
        is_listening: bool = True,
        turns: Turns | None = None,
        is_following: bool = True,
        fence: Callable[[bool], str] = lambda _is_exit: "",
    ) -> None:
        self._venue = venue
        self._publish = publish
        self._drain_within_s = drain_within_s
        self._is_listening = is_listening
        self._turns = turns or Turns(is_ordered=False)
        self._is_following = is_following
        self._fence = fence  # asked before every order; a reason keeps it back
        self.unheard: Counter[str] = Counter()  # why the stream of reports ended, by error
        self._commands: deque[tuple[Posted, Place]] = deque()
        self._posted = asyncio.Event()
        self._quiet = asyncio.Event()
        self._is_stopped = False
        # By instrument, or all in one where turns are ordered.
        self._waiting: dict[InstrumentId | None, deque[tuple[Posted, Place]]] = {}
        self._senders: dict[InstrumentId | None, asyncio.Task[None]] = {}
        self._searches: dict[str, asyncio.Task[None]] = {}
        self._cancels: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._resting: dict[str, tuple[LookUpOrder, OrderReported | None]] = {}
        self._late: list[asyncio.Task[None]] = []
        self._behind: dict[str, asyncio.Task[None]] = {}

    @property
    def in_flight(self) -> int:
        """Commands that have no answer yet; UNKNOWN is no answer."""
        queued = sum(len(each) for each in self._waiting.values())
        busy = len(self._senders) + len(self._searches) + len(self._cancels)
        return len(self._commands) + queued + busy

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self.in_flight:
            self._quiet.clear()
            await self._quiet.wait()

    def post(self, command: Posted) -> None:
        """Take a command whose step is committed; after the end of `run` it is not sent."""
        assert self.in_flight < IN_FLIGHT_MAX, "commands pile up: the venue cannot keep up"
        if self._is_stopped:
            if isinstance(command, SubmitOrder):
                self._refuse_late(command)
            return
        self._commands.append((command, self._turns.place()))
        self._posted.set()

    def watch(self, order: LookUpOrder) -> None:
        """Follow an order that an earlier process left open."""
        self._note_open(order, None)

    async def look_at_resting(self) -> None:
        """Ask once about every order that rests, and tell what is new of it."""
        for ours, (order, last) in list(self._resting.items()):
            report = await self._ask_until(order, lambda _said: True)
            if last is None or is_news(last, report):
                await self._publish(report)
            if is_open(report) or is_unclear(report):
                self._resting[ours] = order, report
            else:
                self._resting.pop(ours, None)

    async def run(self) -> None:
        """Until cancelled: then nothing more is sent, and what is on its way may still answer."""
        listener = asyncio.create_task(self._listen()) if self._is_listening else None
        if listener is not None:
            listener.add_done_callback(lambda _ended: self._posted.set())
        try:
            while True:
                await self._posted.wait()
                self._posted.clear()
                if listener is not None and listener.done():
                    listener.result()  # it ends by an error alone, and so does this
                while self._commands:
                    self._dispatch(*self._commands.popleft())
        finally:
            self._is_stopped = True
            await _end([] if listener is None else [listener])
            await self._drain()

    # --- sending --------------------------------------------------------------------------------

    def _dispatch(self, command: Posted, place: Place) -> None:
        if self._turns.is_ordered:
            self._send_later(None, command, place)
        elif isinstance(command, LookUpOrder):
            self._search(command)
        elif isinstance(command, CancelOrder):
            if command.client_order_id not in self._cancels:
                task = asyncio.create_task(self._cancel_behind(command))
                self._cancels[command.client_order_id] = task
        else:
            self._send_later(command.instrument, command, place)

    def _send_later(self, line: InstrumentId | None, command: Posted, place: Place) -> None:
        self._waiting.setdefault(line, deque()).append((command, place))
        if line not in self._senders:
            self._senders[line] = asyncio.create_task(self._send_all(line))

    async def _send_all(self, line: InstrumentId | None) -> None:
        """Send what waits in this line, one after the other."""
        waiting = self._waiting[line]
        try:
            while waiting:
                command, place = waiting.popleft()
                async with place:
                    await self._perform(command)
        finally:
            for _, place in waiting:
                place.leave()
            del self._senders[line]
            self._note()

    async def _perform(self, command: Posted) -> None:
        if isinstance(command, SubmitOrder):
            if self._is_stopped:
                await self._publish(not_sent(command, STOPPED))
            elif kept_back := self._fence(command.is_exit):
                await self._publish(not_sent(command, kept_back))
            else:
                await self._send(command)
        elif isinstance(command, CancelOrder):
            await self._cancel(command)
        elif not self._is_stopped:
            await self._look_up(command)

    async def _send(self, command: SubmitOrder) -> None:
        try:
            report = await self._venue.submit(command)
        except Exception as error:  # noqa: BLE001  # the order may have left before this happened
            report = unknown(command, f"the venue raised {type(error).__name__}")
        await self._publish(report)
        question = LookUpOrder(
            ts_ns=report.ts_ns,
            client_order_id=command.client_order_id,
            instrument=command.instrument,
            intended_ns=command.ts_ns,
            reason=report.reason or f"the reply said {report.state}",
            order_type=command.order_type,
        )
        if is_open(report) and command.is_resting:
            self._note_open(question, report)
        elif not (is_unclear(report) or is_open(report)):
            return
        elif self._turns.is_ordered:  # what is found out comes before the next answer
            await self._look_up(question)
        else:
            self._search(question)

    async def _cancel_behind(self, command: CancelOrder) -> None:
        try:
            # A request that overtook the order would find nothing to end.
            if sender := self._senders.get(command.instrument):
                await asyncio.wait({sender})
            await self._cancel(command)
        finally:
            del self._cancels[command.client_order_id]
            self._note()

    async def _cancel(self, command: CancelOrder) -> None:
        """Ask for its end; what cannot be read now is asked for again by whoever wants it gone."""
        if self._is_stopped:
            return
        try:
            report = await self._venue.cancel(command)
        except Exception:  # noqa: BLE001  # no answer is no news
            return
        await self._publish(report)
        if not (is_open(report) or is_unclear(report)):
            self._forget(command.client_order_id)
            self._look_behind(command, report)

    def _refuse_late(self, command: SubmitOrder) -> None:
        async def tell() -> None:
            await self._publish(not_sent(command, STOPPED))

        self._late.append(asyncio.create_task(tell()))

    # --- looking up -----------------------------------------------------------------------------

    def _search(self, command: LookUpOrder) -> None:
        """Find out what became of an order; asked twice at a time it is still one search."""
        ours = command.client_order_id
        if ours not in self._searches:
            self._searches[ours] = asyncio.create_task(self._look_up_beside(command))

    async def _look_up_beside(self, command: LookUpOrder) -> None:
        try:
            await self._look_up(command)
        finally:
            del self._searches[command.client_order_id]
            self._note()

    async def _look_up(self, command: LookUpOrder) -> None:
        """Ask until there is an answer; an order that is still open is followed from then on."""
        report = await self._ask_until(command, lambda said: not is_unclear(said))
        await self._publish(report)
        if is_open(report):
            self._note_open(command, report)

    def _note_open(self, command: LookUpOrder, report: OrderReported | None) -> None:
        """An order rests: its news are asked for from here on."""
        ours = command.client_order_id
        if not self._is_following:
            self._resting[ours] = command, report
        elif ours not in self._followers:
            self._followers[ours] = asyncio.create_task(self._follow(command, report))

    async def _follow(self, command: LookUpOrder, last: OrderReported | None) -> None:
        """Tell the news of an open order until it is over; nobody waits for this."""
        try:
            while last is None or is_open(last):
                last = await self._ask_until(command, partial(is_news, last))
                await self._publish(last)
        finally:
            self._followers.pop(command.client_order_id, None)

    def _look_behind(self, command: CancelOrder, told: OrderReported) -> None:
        """Ask once more about what ended by a cancel: exchanges have called canceled and empty what
        had just filled, and listed the trades a moment later.
        """
        ours = command.client_order_id
        if not self._is_following or told.state is OrderState.FILLED or ours in self._behind:
            return
        question = LookUpOrder.of(command, told.ts_ns, "some time after a cancel")

        async def look() -> None:
            try:
                await asyncio.sleep(LOOK_BEHIND_S)
                try:
                    report = await self._venue.look_up(question)
                except Exception:  # noqa: BLE001  # the next comparison of the books asks, too
                    return
                if len(report.fills) > len(told.fills):
                    await self._publish(report)
            finally:
                del self._behind[ours]

        self._behind[ours] = asyncio.create_task(look())

    def _forget(self, ours: str) -> None:
        """It is over, and that is told: nobody needs to ask any more."""
        self._resting.pop(ours, None)
        follower = self._followers.pop(ours, None)
        if follower is not None:
            follower.cancel()

    async def _ask_until(
        self, command: LookUpOrder, is_enough: Callable[[OrderReported], bool]
    ) -> OrderReported:
        wait_s = LOOK_AGAIN_FIRST_S
        while True:
            try:
                report = await self._venue.look_up(command)
            except Exception:  # noqa: BLE001  # a failed reading is no answer
                report = None
            if report is not None and is_enough(report):
                return report
            await asyncio.sleep(wait_s)
            wait_s = min(LOOK_AGAIN_MAX_S, wait_s * 2)

    # --- hearing and ending ---------------------------------------------------------------------

    async def _listen(self) -> None:
        async for report in self._heard():
            await self._publish(report)

    async def _heard(self) -> AsyncIterator[OrderReported]:
        """The venue's own news, as hints; a stream that ends is listened to again."""
        while True:
            try:
                async for report in self._venue.reports():
                    yield report
            except Exception as error:  # noqa: BLE001  # what is not heard is found by asking
                self.unheard[type(error).__name__] += 1
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _drain(self) -> None:
        while self._commands:
            command, place = self._commands.popleft()
            place.leave()
            if isinstance(command, SubmitOrder):
                await self._publish(not_sent(command, STOPPED))
        if self._senders:
            await asyncio.wait(self._senders.values(), timeout=self._drain_within_s)
        asking = (self._senders, self._searches, self._cancels, self._followers, self._behind)
        await _end([task for tasks in asking for task in tasks.values()])
        self._note()

    def _note(self) -> None:
        if not self.in_flight:
            self._quiet.set()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
