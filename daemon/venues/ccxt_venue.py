"""A signed account through ccxt: sends an order once, and finds out what became of it.

Belongs here: which requests are made, in which order, and for how long. Reading replies belongs to
`ccxt_dialect`, what each exchange has to be told to `capabilities`, the meaning of failures to
`ccxt_outcomes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.events import LookUpOrder, OrderReported, Outcome, ReportSource
from daemon.core.orders import OrderState
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.venues.answers import reported
from daemon.venues.budget import Use
from daemon.venues.capabilities import THEIRS
from daemon.venues.ccxt_account import read_account
from daemon.venues.ccxt_binance import ENDED, Told
from daemon.venues.ccxt_budget import using
from daemon.venues.ccxt_client import VALIDITY_MS, assert_sends_once, is_embedded, speaks_binance
from daemon.venues.ccxt_departures import departing, watch_departures
from daemon.venues.ccxt_dialect import dialect_of
from daemon.venues.ccxt_market import instrument_of
from daemon.venues.ccxt_outcomes import (
    CLOCK_IS_OFF,
    code_of,
    explain,
    is_no_such_order,
    outcome_of,
)
from daemon.venues.ccxt_pages import order_trades
from daemon.venues.ccxt_reads import Reader
from daemon.venues.ccxt_reports import UserStream
from daemon.venues.ccxt_requests import Request, asking, request_to
from daemon.venues.ccxt_unified_account import read_unified_account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.core.events import CancelOrder, SubmitOrder
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Account
    from daemon.venues.capabilities import Look

LOOK_FIRST_S = 0.25
LOOK_MAX_S = 5.0
SETTLE_WITHIN_S = 10.0
SAID_TWICE_S = 1.0  # between two readings that must agree on an end that came too early
GRACE_S = 40.0
ACCOUNT_AT_ONCE_MAX = 100  # instruments whose trades fit into a minute's budget
LONG_WITHIN_S = 900.0
SINCE_MARGIN_MS = 60_000


class CcxtVenue:
    """Orders of one account; `grace_s` after its validity a request can no longer show up."""

    def __init__(
        self,
        client: Any,
        exchange: str,
        *,
        validity_ms: int = VALIDITY_MS,
        grace_s: float = GRACE_S,
        rng: random.Random | None = None,
        wire: WireClock | None = None,
    ) -> None:
        self._dialect = dialect_of(exchange)
        self._row = self._dialect.row
        assert_sends_once(client)
        self._client = client
        self._exchange = exchange
        self._wire = wire or WireClock()
        late_s = max(validity_ms / 1_000, self._row.late_s)
        self._ahead_s = 0.0  # this machine's clock, at the most, while requests were signed by it
        self._gone_after_s = late_s + (grace_s if is_embedded(exchange) else max(grace_s, GRACE_S))
        self._said_twice_s = 0.0 if is_embedded(exchange) else SAID_TWICE_S
        rng = rng or random.Random()  # noqa: S311  # it spreads retries, nothing hangs on it
        self._reader = Reader(client, exchange, rng=rng, wire=self._wire)
        self._long_reader = Reader(
            client, exchange, rng=rng, wire=self._wire, within_s=LONG_WITHIN_S
        )
        self._ours: set[str] = set()
        self._user = UserStream(client, self._dialect, self._reader.pause_s, self._ours)
        self._started_s = self._wire.monotonic_s()
        self._sent_s: dict[str, float] = {}  # when the request of an id left, at the latest
        self._not_before_ms: dict[str, int] = {}  # when an order sent from here can have been made
        self._client_ids: dict[tuple[str, str], str] = {}
        self._seen: set[str] = set()  # ids that the exchange has told of
        watch_departures(client, self._wire.monotonic_s)

    def tell_doubts_to(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the stream of reports may have lost something, or speaks of an order
        that is named as ours are.
        """
        self._user.on_doubt = tell

    async def submit(self, order: SubmitOrder) -> OrderReported:
        """Send once; UNKNOWN unless the reply or the failure proves more."""
        ours = order.client_order_id
        if ours in self._sent_s:
            return self._report(order, Outcome.UNKNOWN, "sent before, never sent again")
        self._ours.add(ours)
        is_warped = is_embedded(self._exchange)  # where a moment of ours is an hour of the market's
        self._not_before_ms[ours] = 0 if is_warped else _since_ms(order.ts_ns)
        self._sent_s[ours] = math.inf  # on its way: nobody may call it gone meanwhile
        try:
            return await self._send(order)
        finally:
            if self._sent_s[ours] == math.inf:
                del self._sent_s[ours]  # it never left

    async def _send(self, order: SubmitOrder) -> OrderReported:
        ours = order.client_order_id
        try:
            await self._reader.markets()
            if not self._is_on_grid(order):  # ccxt would cut it to steps that are no more
                await self._reader.markets(is_anew=True)
            request = self._request(order)
        except (ExchangeUnreachable, LiveRefused, ValueError, LookupError) as error:
            return self._report(order, Outcome.NOT_SENT, str(error))
        self._note_ahead()
        with departing(request.expected) as departure, using(Use.ORDER):
            try:
                reply = await self._client.create_order(
                    request.symbol,
                    request.ccxt_type,
                    request.side,
                    request.quantity,
                    request.price,
                    request.params,
                )
            except Exception as error:  # noqa: BLE001  # any error after the departure leaves it open
                outcome = outcome_of(error, self._exchange, has_left=departure.has_left)
                if code_of(error) == CLOCK_IS_OFF:
                    await self._reader.set_clock()
                return self._report(order, outcome, explain(error))
            finally:
                if departure.left_s is not None:
                    self._sent_s[ours] = departure.left_s
        try:
            told = self._dialect.created(reply, ours)
        except Exception as error:  # noqa: BLE001  # an odd reply proves nothing
            reason = f"the reply is not an order ({type(error).__name__})"
            return self._report(order, Outcome.UNKNOWN, reason)
        if told.client_order_id != ours:
            return self._report(order, Outcome.UNKNOWN, "the reply is about another order")
        return self._told(order, told, ReportSource.REPLY)

    async def cancel(self, order: CancelOrder) -> OrderReported:
        """Ask for its end, whatever that answers, then look: it may have filled before."""
        ours, symbol = order.client_order_id, order.instrument.symbol
        self._ours.add(ours)
        look_up = LookUpOrder.of(order, order.ts_ns, "after a cancel")
        try:
            await self._reader.markets()
            theirs = order.venue_order_id
            if theirs is None and self._row.cancel.order_id == THEIRS:
                theirs = await self._their_id(look_up)
            with using(Use.ORDER):
                await asking(
                    self._client,
                    self._row.cancel,
                    self._row,
                    symbol,
                    ours,
                    theirs=theirs,
                    extra=self._row.kinds[order.order_type.value].cancel,
                )
        except Exception as error:  # noqa: BLE001  # what the order is now is asked for either way
            look_up = replace(look_up, reason=f"after a cancel that failed: {explain(error)}")
        return await self.look_up(look_up)

    async def _their_id(self, order: LookUpOrder) -> str:
        """The exchange's own id of an order, where it cancels by no other; LookupError if it does
        not say.
        """
        found, _ = await self._search(order, is_last=True)
        if found is None:
            msg = "the order is not found"
            raise LookupError(msg)
        return self._dialect.order(found).venue_order_id

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        """Ask until the order is found with all its fills, or until all sources deny it for long.

        An order this process did not send itself may have left at the latest when this process
        began. One that was there before is believed gone only when it stays denied for as long
        from now on: a moment's denial is no proof.
        """
        ours = order.client_order_id
        self._ours.add(ours)
        self._note_ahead()
        gone_after_s = self._gone_after_s + self._ahead_s
        was_there_s = self._wire.monotonic_s() if ours in self._seen else -math.inf
        wait_s = LOOK_FIRST_S
        while True:
            left_s = self._sent_s.setdefault(ours, self._started_s)  # it may be leaving only now
            gone_s = max(left_s, was_there_s) + gone_after_s
            now_s = self._wire.monotonic_s()
            found, is_denied = await self._search(order, is_last=now_s >= gone_s)
            told = None if found is None else await self._with_fills(order, found)
            if told is not None:
                return self._told(order, told, ReportSource.LOOKUP)
            if is_denied and now_s >= gone_s:
                since = "it was last there" if ours in self._seen else "it left"
                text = f"not there {gone_after_s:.1f} s after {since} at the latest"
                return self._report(order, Outcome.ABSENT, text, ReportSource.LOOKUP)
            until_gone_s = gone_s - self._wire.monotonic_s()
            await asyncio.sleep(min(wait_s, until_gone_s) if until_gone_s > 0 else wait_s)
            wait_s = min(LOOK_MAX_S, wait_s * 2)

    async def reports(self) -> AsyncIterator[OrderReported]:
        await self._reader.markets()
        async for told in self._user.told():
            yield reported(told, told.ts_ns, ReportSource.STREAM)

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        instruments = await self._reader.listed(instruments)
        is_long = len(instruments) > ACCOUNT_AT_ONCE_MAX
        # It takes minutes of the budget, which others need too.
        with using(Use.HISTORY) if is_long else contextlib.nullcontext():
            reader = self._long_reader if is_long else self._reader
            try:
                if speaks_binance(self._exchange):
                    return await read_account(
                        self._client, reader, instruments, since_ns, self._client_ids
                    )
                return await read_unified_account(
                    self._client,
                    reader,
                    self._dialect,
                    instruments,
                    since_ms=since_ns // NS_PER_MS,
                    now_ms=self._wire.now_ns() // NS_PER_MS,
                    client_ids=self._client_ids,
                )
            except (LookupError, TypeError, ValueError) as error:
                msg = f"{self._exchange} tells of the account what cannot be read: {error!r}"
                raise ExchangeUnreachable(msg) from error

    async def close(self) -> None:
        await self._client.close()

    def _is_on_grid(self, order: SubmitOrder) -> bool:
        """Whether it is made of the steps that the client read at its start."""
        market = self._client.markets[order.instrument.symbol]
        try:
            listed = instrument_of(self._exchange, market, self._client.precisionMode)
        except ValueError:
            return True  # it has no steps that could be told
        prices = (order.price, order.stop_price)
        return listed.quantize_down(order.quantity) == order.quantity and all(
            each is None or listed.price_down(each) == each for each in prices
        )

    def _request(self, order: SubmitOrder) -> Request:
        """What is asked of ccxt for this order; NotSupported and other ValueErrors."""
        now_ns = self._wire.now_ns() - round(self._reader.ahead_s() * NS_PER_S)  # there
        return request_to(self._client, self._exchange, order, now_ns)

    def _note_ahead(self) -> None:
        """By a clock that is ahead a signature is good for so much longer, until it is too far
        ahead to be taken at all. Binance's carry its own time.
        """
        if not speaks_binance(self._exchange):
            ahead_s = min(self._reader.ahead_s(), self._row.late_s)
            self._ahead_s = max(self._ahead_s, ahead_s)

    async def _search(
        self, order: LookUpOrder, *, is_last: bool
    ) -> tuple[dict[str, Any] | None, bool]:
        """(the order if found, whether every source that was asked denies it).

        Only the last look asks all sources: lists of orders cost more.
        """
        row = self._row
        try:
            if not await self._reader.listed([order.instrument], is_sure=is_last):
                return None, True
            for look in (*row.looks, *(row.last_looks if is_last else ())):
                found = await self._ask(look, order)
                if found is not None:
                    return found, False
        except Exception:  # noqa: BLE001  # a failed reading is no reading
            return None, False
        return None, True

    async def _ask(self, look: Look, order: LookUpOrder) -> dict[str, Any] | None:
        """The order by one question; None when the answer is that it is not there."""
        ours = order.client_order_id
        try:
            told = await asking(
                self._client,
                look,
                self._row,
                order.instrument.symbol,
                ours,
                since_ms=_since_ms(order.intended_ns),
            )
        except Exception as error:
            if is_no_such_order(error):
                return None
            raise
        orders = told if isinstance(told, list) else [told]
        return next((each for each in orders if self._is_the_one(each, ours)), None)

    def _is_the_one(self, told: dict[str, Any], ours: str) -> bool:
        """Under one id there may be an older order, made before a backup was restored."""
        since_ms = self._not_before_ms.get(ours, 0)
        is_late_enough = int(told.get("timestamp") or since_ms) >= since_ms
        return is_late_enough and self._dialect.client_order_id(told) == ours

    async def _with_fills(self, order: LookUpOrder, info: dict[str, Any]) -> Told | None:
        """The order with its fills by the trade list, waited for while the two disagree.

        The list is asked even when the order says that nothing was filled: venues have said so of
        orders that were, and where it lags it says so too. So an order that rested and ended short
        has to say it twice: what it left is sold or bought by the next one. What stays incomplete
        is told without an end, so that it is looked up again; None when nothing could be read.
        """
        limit_s = self._wire.monotonic_s() + SETTLE_WITHIN_S
        told: Told | None = None
        said = 0
        for attempt in itertools.count():
            try:
                told = await self._read_with_fills(order, info)
            except Exception as error:  # noqa: BLE001  # a failed reading is no reading
                del error
            else:
                said = said + 1 if order.is_resting and told.has_odd_end else 0
                is_settled = told.state in ENDED and not told.has_odd_end
                if told.has_all_fills and (is_settled or (order.is_resting and said != 1)):
                    break
            if self._wire.monotonic_s() >= limit_s:
                break
            await asyncio.sleep(self._said_twice_s if said else self._reader.pause_s(attempt))
            anew = (await self._search(order, is_last=False))[0]
            said = said if anew else 0
            info = anew or info
        is_doubtful = told is not None and (not told.has_all_fills or said == 1)
        if told is not None and is_doubtful and told.state in ENDED:
            return replace(told, state=OrderState.PARTLY_FILLED)
        return told

    async def _read_with_fills(self, order: LookUpOrder, info: dict[str, Any]) -> Told:
        told = self._dialect.order(info)
        if order.is_resting and told.state is OrderState.ACCEPTED and not told.filled_quantity:
            return told  # it rests untouched; only of an end is it asked whether that is true
        rows = await order_trades(
            self._client,
            self._row,
            order.instrument.symbol,
            order.client_order_id,
            theirs=told.venue_order_id,
            named=[str(each["id"]) for each in info.get("trades") or ()],
        )
        trades = [self._dialect.trade(row) for row in rows]
        fills = tuple(fill for owner, _, fill in trades if owner == told.venue_order_id)
        filled = max(told.filled_quantity, sum((fill.quantity for fill in fills), Decimal(0)))
        return replace(told, fills=fills, filled_quantity=filled)

    def _told(
        self, order: LookUpOrder | SubmitOrder, told: Told, source: ReportSource
    ) -> OrderReported:
        self._client_ids[order.instrument.symbol, told.venue_order_id] = order.client_order_id
        self._seen.add(order.client_order_id)
        latest_ns = max((fill.ts_ns for fill in told.fills), default=told.ts_ns)
        return reported(told, max(order.ts_ns, told.ts_ns, latest_ns), source)

    @staticmethod
    def _report(
        order: LookUpOrder | SubmitOrder,
        outcome: Outcome,
        reason: str,
        source: ReportSource = ReportSource.REPLY,
    ) -> OrderReported:
        return OrderReported(
            ts_ns=order.ts_ns,
            client_order_id=order.client_order_id,
            outcome=outcome,
            source=source,
            reason=reason,
        )


def _since_ms(intended_ns: int) -> int:
    """A little before it was intended: from then on there can be such an order."""
    return max(0, intended_ns // NS_PER_MS - SINCE_MARGIN_MS)
