"""What risk said, gate by gate, and how a size came about, as lines of text.

Belongs here: wording of judgements. Their numbers come from `daemon.layers.risk.readings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.instruments import plain
from daemon.core.orders import Side
from daemon.reports.explaining.forms import BPS, moment, money
from daemon.reports.explaining.vocabulary import BOUND, DENIED, GATES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from daemon.layers.risk.readings import GateReading, Judgement, SizeReading
    from daemon.reports.explaining.facts import Told


def judgement_lines(told: Told) -> Iterator[str]:
    found, seen = told.evidence, told.recomputed.seen
    for verdict in found.verdicts:
        yield verdict_text(verdict, told)
    for taken in found.quotes:
        for quote in taken.quotes:
            text = _quote_text(quote, is_alone=len(taken.quotes) == 1)
            yield text if len(found.quotes) == 1 else f"{moment(taken.ts_ns)} {text}"
    if seen is None or not seen.judgements:
        return
    last = seen.judgements[-1]
    if len(seen.judgements) > 1:
        yield "gates, in order, when the book was there (all had said yes before it was asked for):"
    else:
        yield "gates, in order:"
    yield from _gates(last)
    if last.size is not None:
        yield from _size(last.size, told)


def verdict_text(verdict: e.OrderApproved | e.OrderDenied, told: Told) -> str:
    listed, currency = told.evidence.listed, told.evidence.run.currency
    if isinstance(verdict, e.OrderDenied):
        numbers = ", limit ".join(each for each in (verdict.value, verdict.limit) if each)
        why = f"{DENIED[verdict.reason]}{f': {numbers}' if numbers else ''}"
        return f"no to {verdict.direction} ({verdict.reason}): {why}"
    what = f"{verdict.side} {plain(verdict.quantity)} {listed.base}"
    return (
        f"yes: {what}, worth {money(verdict.notional_quote)} {currency}, "
        f"{100 * verdict.allowed_ratio:.2f} % of {money(verdict.equity_quote)}; the size is bound "
        f"by {BOUND[verdict.bound_by]} ({verdict.bound_by}); drawdown "
        f"{100 * verdict.drawdown_ratio:.2f} %"
    )


def _quote_text(quote: e.Quote, *, is_alone: bool) -> str:
    where = "book" if is_alone else f"book on {quote.instrument.exchange}"
    bid, ask = quote.best(Side.SELL), quote.best(Side.BUY)
    if bid is None or ask is None:
        return f"{where}: {quote.error or 'one side is empty'}"
    spread = float(2 * (ask - bid) / (ask + bid)) * BPS
    sides = f"bid {plain(bid)}, ask {plain(ask)}, spread {spread:.2f} bps"
    return f"{where}: {sides}, {len(quote.bids)} and {len(quote.asks)} levels read"


def _gates(judged: Judgement) -> Iterator[str]:
    is_over = False
    for each in judged.gates:
        if is_over and each.reason is None:
            continue
        yield f"{_mark(each, is_over=is_over)}  {_reading(each)}"
        is_over = is_over or each.reason is not None
    if is_over:
        rest = sum(each.reason is None for each in judged.gates)
        yield f"the first no ends it; {rest} of {len(judged.gates)} gates say yes"


def _mark(reading: GateReading, *, is_over: bool) -> str:
    if reading.reason is None:
        return "ok"
    return "no" if is_over else "NO"


def _reading(reading: GateReading) -> str:
    limit = f"limit {reading.limit}" if reading.limit else ""
    return f"{GATES[reading.gate]:<30} {reading.value:<24} {limit}".rstrip()


def _size(size: SizeReading, told: Told) -> Iterator[str]:
    listed, currency = told.evidence.listed, told.evidence.run.currency
    costs_bps = 2 * (size.fee_ratio + size.slippage_ratio) * BPS
    win, loss = size.payoff.win_ratio * BPS, size.payoff.loss_ratio * BPS
    yield (
        f"stake: odds of ({win:.2f} - {costs_bps:.2f}) bps won to ({loss:.2f} + {costs_bps:.2f}) "
        f"lost after costs (2 x ({size.fee_ratio * BPS:.2f} fee + "
        f"{size.slippage_ratio * BPS:.2f} slippage)), won with {size.win_probability:.4f}: "
        f"{100 * size.full_ratio:.2f} % by Kelly x {size.kelly_ratio:g} = "
        f"{100 * size.used_ratio:.2f} % of {money(size.equity_quote)} = "
        f"{money(size.wanted_quote)} {currency}"
    )
    yield "the smallest of these is taken:"
    yield _cap(e.BoundBy.KELLY, size.wanted_quote, size)
    for cap in size.caps:
        yield _cap(cap.rule, cap.notional_quote, size)
    if size.bound_by in {e.BoundBy.PROBATION, e.BoundBy.CANARY}:
        yield f"of which {BOUND[size.bound_by]} leaves {plain(size.size_ratio)}"
    yield (
        f"quantity: {money(size.notional_quote)} {currency} at {plain(size.price)} plus expected "
        f"slippage, down to lots of {plain(size.lot)}: {plain(size.quantity)} {listed.base}"
    )


def _cap(rule: e.BoundBy, most: Decimal | None, size: SizeReading) -> str:
    amount = "off" if most is None else money(most)
    mark = "  <- binds" if rule is size.bound_by else ""
    return f"    {BOUND[rule]:<28} {amount:>16}{mark}"
