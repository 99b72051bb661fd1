"""One seed, one run, one verdict: lives the processes of a bot in a world until all is quiet.

Belongs here: crash and restart, and the bounds of a run.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import OrderApproved, ParentEnded, TradingHalted
from daemon.core.orders import Leg, OrderState
from daemon.simulation.disk import Disk, ModelJournal
from daemon.simulation.faults import Fault
from daemon.simulation.judge import Beliefs, Wrong, judge
from daemon.simulation.ledger import ZERO
from daemon.simulation.ours import SHIPPED, Process
from daemon.simulation.patterns import PATTERNS, Saved, trade
from daemon.simulation.virtual_loop import new_loop
from daemon.simulation.world import CALM_FROM_S, World

if TYPE_CHECKING:
    from decimal import Decimal

    from daemon.core.instruments import Instrument
    from daemon.simulation.ours import Parts
    from daemon.simulation.patterns import Pattern

OURS = "ours"
END_S = CALM_FROM_S + 1_800.0
NEVER_THERE = frozenset({OrderState.REFUSED, OrderState.NOT_SENT, OrderState.ABSENT})
CHOICES: dict[str, tuple[object, ...]] = {
    "execution.stop_loss_ratio": (0.05, 0.003, 0.0),
    "execution.entry_order": ("market", "limit"),
    "execution.exit_order": ("market", "limit"),
    "execution.slice_depth_ratio": (0.0, 0.25),
    "execution.order_timeout_s": (40.0, 120.0),
}


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of one seed. `told` are remarks for people: halts, and why a bot died."""

    seed: int
    wrong: tuple[str, ...]
    digest: str
    orders: int
    fired: Counter[str]
    told: tuple[str, ...] = ()


def run(pattern: str, seed: int) -> Verdict:
    """This pattern, or `ours`, in the world of this seed."""
    return run_ours(seed) if pattern == OURS else run_pattern(PATTERNS[pattern], seed)


def run_ours(seed: int, parts: Parts = SHIPPED) -> Verdict:
    """The shipped order path in the world of this seed."""
    world = World(seed, parts.exchange)
    changed = tuple((name, world.rng.choice(values)) for name, values in CHOICES.items())
    disk = Disk()
    while True:
        callback, commit = world.crash_point()
        loop = new_loop(world.timeline)
        loop.kill_at(callback)
        process = Process(world, ModelJournal(disk, world, loop, commit), parts, changed)
        try:
            is_over = loop.run(process.main(), END_S)
        except Exception as error:  # noqa: BLE001  # whatever ends the bot is a finding
            return _verdict(seed, world, {Wrong.DIED}, (f"{type(error).__name__}: {error}",))
        process.client.is_dead = True
        if not loop.was_killed:
            break
        if world.faults.hits(Fault.POWER_CUT):
            disk.cut_power()
        world.stay_down()
    wrong = judge(
        world.exchange.orders, _beliefs(process, disk, world.instrument), world.instrument.base
    )
    if not is_over:
        wrong.add(Wrong.UNRESOLVED)
    if loop.troubles:
        wrong.add(Wrong.DIED)
    halts = [
        f"halted: {each.reason}: {each.detail}"
        for each in disk.events()
        if isinstance(each, TradingHalted)
    ]
    return _verdict(seed, world, wrong, (*loop.troubles, *halts))


def run_pattern(pattern: Pattern, seed: int) -> Verdict:
    """A bot that sends like this; fees are never taken from what it buys, as it knows of none."""
    world = World(seed, fee_currency="BNB")
    saved = Saved()
    while True:
        loop = new_loop(world.timeline)
        loop.kill_at(world.crash_point()[0])
        client = world.client()
        try:
            is_over = loop.run(trade(world, client, saved, pattern), END_S)
        except Exception:  # noqa: BLE001  # an error it does not expect ends it, as a kill does
            is_over = False
        client.is_dead = True
        if is_over:
            break
        world.stay_down()
    beliefs = Beliefs(
        known=saved.known,
        filled=None,
        position=saved.position,
        decided=saved.decided,
        decision_of={},
    )
    return _verdict(seed, world, judge(world.exchange.orders, beliefs, world.instrument.base), ())


def _beliefs(process: Process, disk: Disk, instrument: Instrument) -> Beliefs:
    core = process.core
    orders = core.blotter.orders
    decided = _decided(disk)
    decision_of = {}
    for ours, order in orders.items():
        if order.leg is Leg.STOP:
            decision_of[ours] = ours
            decided[ours] = order.quantity
        else:
            decision_of[ours] = f"{order.trace} {order.leg is Leg.EXIT}"
    position = core.book.position(instrument.id)
    return Beliefs(
        known={ours for ours, each in orders.items() if each.state not in NEVER_THERE},
        filled={ours: each.filled_quantity for ours, each in orders.items()},
        position=position.all_quantity,
        decided=decided,
        decision_of=decision_of,
        open_tags={ours for ours, each in orders.items() if each.is_open},
        given_up={
            ours
            for ours, each in orders.items()
            if each.state in NEVER_THERE or each.state is OrderState.ADOPTED
        },
        unresolved=sum(each.is_unresolved for each in orders.values()),
        wanted_stop=process.wanted_stop(position.quantity),
    )


def _verdict(seed: int, world: World, wrong: set[Wrong], told: tuple[str, ...]) -> Verdict:
    return Verdict(
        seed=seed,
        wrong=tuple(sorted(wrong)),
        digest=world.digest,
        orders=len(world.exchange.orders),
        fired=world.faults.fired,
        told=told,
    )


def _decided(disk: Disk) -> dict[str, Decimal]:
    """How much may be filled for each decision; one that is approved again goes on from what was
    filled of it before.
    """
    decided: dict[str, Decimal] = {}
    filled: dict[str, Decimal] = {}
    for event in disk.events():
        if isinstance(event, OrderApproved):
            key = f"{event.trace} {event.is_exit}"
            decided[key] = filled.get(key, ZERO) + event.quantity
        elif isinstance(event, ParentEnded):
            key = f"{event.trace} {event.is_exit}"
            filled[key] = filled.get(key, ZERO) + min(event.filled_quantity, event.wanted_quantity)
    return decided
