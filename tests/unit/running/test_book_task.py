"""When the books are compared, and what is said when that cannot be done."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from daemon.config.sections import ExecutionSection
from daemon.core import events as e
from daemon.core.errors import ExchangeUnreachable
from daemon.core.ports import Account
from daemon.running.books.reconcile import Books
from daemon.running.books.task import BookTask
from tests.builders import BTC, HOUR_NS, a_resume_requested, a_run_opened, an_order_completed
from tests.unit.core.simulation import a_core, plain_settings
from tests.virtual_time import VirtualMarket, run_virtual

OPENED = a_run_opened(balances=(e.Balance("USDT", a_run_opened().allotted_quote),))


class Desk:
    """One exchange whose account never changes; notes when it is read."""

    def __init__(self) -> None:
        self.read_s: list[float] = []
        self.lines: list[str] = []
        self.unread: list[str] = []
        self.entered: list[e.Input] = []
        self.is_away = False
        self.is_busy = False
        self.is_hanging = False
        core = a_core(plain_settings())
        core.pipeline.step(OPENED)
        site: Any = SimpleNamespace(
            exchange=BTC.exchange,
            venue=self,
            clock=VirtualMarket(10**18),
            market_rate=1.0,
            tell_doubts_to=self._listen,
        )
        outbox: Any = SimpleNamespace(idle=self._idle)
        self.task = BookTask(
            site,
            ExecutionSection(),
            outbox,
            put=self._put,
            rest=self._rest,
            emit=self._emit,
            on_unread=self._on_unread,
        )
        self.task.watch(Books(OPENED, core.blotter, core.book, core.flows), HOUR_NS)

    def runs(self, story: Callable[[], Awaitable[None]], within_s: float) -> None:
        async def go() -> None:
            task = asyncio.create_task(self.task.run())
            await story()
            await asyncio.sleep(within_s - asyncio.get_running_loop().time())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run_virtual(go())

    async def account(self, _instruments: object, _since_ns: int) -> Account:
        self.read_s.append(asyncio.get_running_loop().time())
        if self.is_hanging:
            await asyncio.Event().wait()
        if self.is_away:
            raise ExchangeUnreachable("nobody answers")
        return Account(totals={"USDT": OPENED.allotted_quote}, fills=(), open_client_order_ids=())

    def _listen(self, tell: Callable[[], None]) -> None:
        self.doubt = tell

    async def _on_unread(self, why: str) -> None:
        self.unread.append(why)

    async def _put(self, event: e.Input) -> None:
        self.entered.append(event)

    async def _idle(self) -> None:
        if self.is_busy:
            await asyncio.Event().wait()

    async def _rest(self) -> None: ...

    def _emit(self, event: str, **_fields: object) -> None:
        self.lines.append(event)


async def nothing() -> None: ...


def test_books_are_compared_once_a_minute() -> None:
    desk = Desk()

    desk.runs(nothing, within_s=185)

    assert desk.read_s == [60, 120, 180]
    assert desk.lines == ["books.compared"] * 3
    assert [type(each) for each in desk.entered] == [e.Reconciled]


def test_news_and_doubts_bring_the_next_comparison_forward_and_never_more_than_one() -> None:
    async def story() -> None:
        await asyncio.sleep(61)
        for _ in range(9):
            desk.task.note((an_order_completed(),))
        await asyncio.sleep(40)
        desk.doubt()
        await asyncio.sleep(40)
        desk.task.note((a_resume_requested(),))

    desk = Desk()
    desk.runs(story, within_s=160)

    assert desk.read_s == [60, 75, 101, 141]


def test_an_order_of_another_exchange_is_no_news_here() -> None:
    other = an_order_completed(instrument=type(BTC)("okx", BTC.symbol))

    async def story() -> None:
        await asyncio.sleep(61)
        desk.task.note((other,))

    desk = Desk()
    desk.runs(story, within_s=119)

    assert desk.read_s == [60]


def test_an_account_that_cannot_be_read_is_said_once_and_changes_nothing() -> None:
    async def story() -> None:
        desk.is_away = True
        await asyncio.sleep(130)
        desk.is_away = False

    desk = Desk()
    desk.runs(story, within_s=185)

    assert desk.lines == ["books.unread", "books.compared"]


def test_orders_that_never_come_to_rest_put_the_comparison_off() -> None:
    desk = Desk()
    desk.is_busy = True

    desk.runs(nothing, within_s=120)

    assert desk.read_s == []
    assert desk.lines == ["books.restless"]


def test_an_account_that_cannot_be_read_for_long_is_as_good_as_lost_until_it_can() -> None:
    async def story() -> None:
        desk.is_away = True
        await asyncio.sleep(350)
        before.extend(desk.unread)
        await asyncio.sleep(15)
        desk.is_away = False

    before: list[str] = []
    desk = Desk()
    desk.runs(story, within_s=425)

    assert before == []
    assert desk.unread == [
        "no comparison with its account for 300 s: nobody answers",
        "",
    ]


def test_orders_that_never_come_to_rest_for_long_are_as_unknown() -> None:
    desk = Desk()
    desk.is_busy = True

    desk.runs(nothing, within_s=600)

    assert desk.unread
    assert all(each.endswith("its orders moved at every reading") for each in desk.unread)


def test_a_reading_that_never_ends_is_given_up_and_leaves_the_account_as_good_as_lost() -> None:
    async def story() -> None:
        desk.is_hanging = True
        await asyncio.sleep(365)
        before.extend(desk.unread)
        desk.is_hanging = False

    before: list[str] = []
    desk = Desk()
    desk.runs(story, within_s=425)

    assert before == [
        "no comparison with its account for 300 s: it was not done within 300 s",
    ]
    assert desk.unread == [*before, ""]
    assert desk.lines == ["books.unread", "books.compared"]
