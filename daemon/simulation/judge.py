"""Judges a run at its quiescent end: what the bot believes against the exchange's own ledger.

Belongs here: the ways in which a run can be wrong. What happened in it belongs to the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.orders import OrderType, Side
from daemon.simulation.ledger import ZERO

if TYPE_CHECKING:
    from daemon.simulation.ledger import ModelOrder


class Wrong(StrEnum):
    """One way in which a run ends badly."""

    DOUBLED = "doubled"  # one intent has several orders on the exchange
    ORPHANED = "orphaned"  # an order or a fill on the exchange that the bot does not know
    GIVEN_UP = "given_up"  # an order was said never to have been there, and it was
    LOST = "lost"  # an order or a fill that only the bot believes in
    POSITION = "position"  # the bot believes in another position than the exchange
    ABOVE = "above"  # more was bought or sold than was decided
    OVERSOLD = "oversold"  # what was not the bot's was sold
    UNRESOLVED = "unresolved"  # an order of which the bot knows nothing certain at the end
    UNPROTECTED = "unprotected"  # a position without the stop that was configured
    DIED = "died"  # the bot ended by itself


class Beliefs(Struct, frozen=True, kw_only=True):
    """What a bot thinks at the end. Orders by what they were decided for."""

    known: AbstractSet[str]  # tags of orders that it knows to exist
    filled: Mapping[str, Decimal] | None  # by tag; None when it does not keep that
    position: Decimal
    decided: Mapping[str, Decimal]  # most that may be filled for a decision
    decision_of: Mapping[str, str]  # tag to decision; a tag that is not here is its own
    open_tags: AbstractSet[str] = frozenset()
    given_up: AbstractSet[str] = frozenset()  # tags it believes or believed never to exist
    unresolved: int = 0
    wanted_stop: Decimal = ZERO


def judge(orders: list[ModelOrder], beliefs: Beliefs, base: str) -> set[Wrong]:
    """Every way in which this run is wrong; nothing when all is well."""
    found = set(_orders(orders, beliefs))
    position = _position(orders, base)
    if position != beliefs.position:
        found.add(Wrong.POSITION)
    if position < 0:
        found.add(Wrong.OVERSOLD)
    if beliefs.unresolved:
        found.add(Wrong.UNRESOLVED)
    stops = sum(
        (each.leaves for each in orders if _rests_as_stop(each)),
        ZERO,
    )
    if beliefs.wanted_stop and stops != beliefs.wanted_stop:
        found.add(Wrong.UNPROTECTED)
    return found


def _orders(orders: list[ModelOrder], beliefs: Beliefs) -> list[Wrong]:
    found: list[Wrong] = []
    filled: dict[str, Decimal] = {}
    by_decision: dict[str, Decimal] = {}
    counts = Counter(each.wish.tag for each in orders)
    for order in orders:
        tag = order.wish.tag
        filled[tag] = filled.get(tag, ZERO) + order.filled
        decision = beliefs.decision_of.get(tag, tag)
        by_decision[decision] = by_decision.get(decision, ZERO) + order.filled
        if tag not in beliefs.known:
            found.append(Wrong.ORPHANED)
        if order.is_open and tag not in beliefs.open_tags:
            found.append(Wrong.ORPHANED)
    if any(count > 1 for count in counts.values()):
        found.append(Wrong.DOUBLED)
    if beliefs.given_up & counts.keys():
        found.append(Wrong.GIVEN_UP)
    open_there = {each.wish.tag for each in orders if each.is_open}
    if beliefs.open_tags - open_there or beliefs.known - counts.keys():
        found.append(Wrong.LOST)
    for tag, quantity in (beliefs.filled or {}).items():
        if quantity != filled.get(tag, ZERO):
            found.append(Wrong.LOST if quantity > filled.get(tag, ZERO) else Wrong.ORPHANED)
    if any(
        quantity > beliefs.decided.get(decision, ZERO) for decision, quantity in by_decision.items()
    ):
        found.append(Wrong.ABOVE)
    return found


def _position(orders: list[ModelOrder], base: str) -> Decimal:
    """By the trades of the ledger, fees in base taken off."""
    total = ZERO
    for order in orders:
        for trade in order.trades:
            total += trade.quantity if order.wish.side is Side.BUY else -trade.quantity
            total -= trade.fee if trade.fee_currency == base else ZERO
    return total


def _rests_as_stop(order: ModelOrder) -> bool:
    return order.is_open and order.wish.kind is OrderType.STOP
