"""Chaos for layer 1: `make soak SOAK=ingestion` streams bars through every fault of F01 to F26.

Options by the environment: SEED, BARS, SYMBOLS, SPEED (bars per second), RUNS (of the same seed).
One JSON line of results on stdout; exit 1 with the first thing that does not hold on stderr.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from daemon.core.clock import WireClock
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS, rfc3339
from daemon.embedded.fault_rules import script_of
from daemon.embedded.faults import Faults
from daemon.store.bars import BarStore
from tests.soak._chaos_market import HISTORY_BARS, MINUTE_MS, MINUTE_NS, Plan, truth
from tests.soak._chaos_rules import script
from tests.soak._chaos_run import Story, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.embedded.market import MarketBar

TOLD_MAX: Final = 20
OBJECTS_GROWTH_MAX: Final = 0.25  # of what was alive at half of the run, by its end


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    story: Story
    store_hash: str
    outages: tuple[tuple[str, int], ...]
    faults: tuple[str, ...]  # what does not hold, the first first


def main() -> int:
    plan, runs = plan_of(os.environ)
    wire = WireClock()
    begun_s = wire.monotonic_s()
    outcomes = [outcome_of(plan) for _ in range(runs)]
    wrong = [text for each in outcomes for text in each.faults] + differences(outcomes)
    first = outcomes[0]
    result = {
        "soak": "ingestion",
        "seed": plan.seed,
        "bars": plan.bars,
        "symbols": plan.symbols,
        "runs": runs,
        "wall_s": round(wire.monotonic_s() - begun_s, 1),
        "store_hash": first.store_hash,
        "outage_slots": len(first.outages),
        "decisions": [each.story.decisions for each in outcomes],
        "polls": [each.story.polls for each in outcomes],
        "reconnects": [each.story.reconnects for each in outcomes],
        "objects": [each.story.objects for each in outcomes],
        "events": first.story.events,
        "holds": not wrong,
    }
    sys.stdout.write(orjson.dumps(result).decode() + "\n")
    if wrong:
        told = "\n".join(wrong[:TOLD_MAX])
        sys.stderr.write(f"{told}\n{len(wrong)} things do not hold\n")
    return 1 if wrong else 0


def plan_of(environ: Mapping[str, str]) -> tuple[Plan, int]:
    """The options; ValueError names one that is no number."""

    def number(name: str, default: float) -> float:
        text = environ.get(name, "")
        try:
            return float(text) if text else default
        except ValueError:
            raise ValueError(f"{name}={text}: expected a number") from None

    plan = Plan(
        seed=int(number("SEED", 1)),
        bars=int(number("BARS", 5_000)),
        symbols=int(number("SYMBOLS", 20)),
        bars_per_s=number("SPEED", 10),
    )
    return plan, int(number("RUNS", 2))


def outcome_of(plan: Plan) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        story = asyncio.run(run(plan, Path(folder)))
        store = BarStore.open(Path(folder) / "bars.db", read_only=True)
        try:
            return _judged(plan, story, store)
        finally:
            store.close()


def differences(outcomes: list[Outcome]) -> list[str]:
    """What two runs of one seed do not have in common."""
    first = outcomes[0]
    found = []
    for number, other in enumerate(outcomes[1:], 2):
        if other.outages != first.outages:
            odd = min(set(first.outages) ^ set(other.outages))
            found.append(f"run 1 and run {number} differ in outages, first {named(*odd)}")
        if other.store_hash != first.store_hash:
            found.append(f"run 1 and run {number} left different bars in the store")
    return found


def _judged(plan: Plan, story: Story, store: BarStore) -> Outcome:
    """Compare a store with the exchange's truth, bar for bar."""
    market = truth(plan)
    gone = Faults(plan.seed)
    gone.follow(market)
    gone.add_script(script_of(script(plan.seed, plan.bars)))
    digest = hashlib.sha256()
    wrong: list[str] = []
    outages: list[tuple[str, int]] = []
    first_ms = market.from_ms - HISTORY_BARS * MINUTE_MS
    end_ms = market.from_ms + plan.bars * MINUTE_MS
    for listed in market.symbols.values():
        symbol = listed.symbol
        kept = {
            bar.open_ns // NS_PER_MS: (bar.open, bar.high, bar.low, bar.close, bar.volume)
            for bar in store.read(
                story.market_key, InstrumentId("embedded", symbol), MINUTE_NS,
                first_ms * NS_PER_MS, end_ms * NS_PER_MS,
            )
        }  # fmt: skip
        holes = {slot // NS_PER_MS for slot in story.holes.get(symbol, set())}
        for true in market.bars(listed.id, first_ms, end_ms - 1, plan.bars + HISTORY_BARS):
            is_gone = gone.is_gone(symbol, true.open_ms)
            told = kept.get(true.open_ms)
            wrong += _faults_of_bar(
                symbol, true, told, is_gone=is_gone, is_hole=true.open_ms in holes
            )
            if true.open_ms in holes:
                outages.append((symbol, true.open_ms))
        for open_ms, numbers in sorted(kept.items()):
            digest.update(symbol.encode() + struct.pack("<q5d", open_ms, *numbers))
    wrong = _faults_of_story(story) + wrong
    return Outcome(story, digest.hexdigest()[:16], tuple(outages), tuple(wrong))


def _faults_of_bar(
    symbol: str,
    true: MarketBar,
    told: tuple[float, ...] | None,
    *,
    is_gone: bool,
    is_hole: bool,
) -> list[str]:
    where = named(symbol, true.open_ms)
    if told is None:
        if not is_gone:
            return [f"{where}: the exchange has this bar and the store has not"]
        # Before the first bar there is nothing that could be missing.
        return [] if is_hole else [f"{where}: no bar, and no outage is recorded"]
    if is_gone or is_hole:
        return [f"{where}: a bar in the store that was never told, or a hole that has one"]
    numbers = tuple(
        float(each) for each in (true.open, true.high, true.low, true.close, true.volume)
    )
    return [] if told == numbers else [f"{where}: stored {told}, the exchange says {numbers}"]


def _faults_of_story(story: Story) -> list[str]:
    found = [f"a decision over a hole: {each}" for each in story.decided_over_holes]
    found += [f"nobody waited for: {each}" for each in story.strays]
    found = [f"the task {each} died" for each in story.dead_tasks] + found
    if not story.decisions:
        found.append("not one decision was made, so none could be wrong")
    if len(story.objects) > 1 and story.objects[-1] > (1 + OBJECTS_GROWTH_MAX) * story.objects[1]:
        found.append(f"objects grow: {story.objects}")
    return found


def named(symbol: str, open_ms: int) -> str:
    return f"{symbol} {rfc3339(open_ms * NS_PER_MS)}"
