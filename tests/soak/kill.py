"""kill -9 of a live daemon at random moments: `make soak SOAK=kill` kills it 500 times.

Each story is one live run on an exchange of its own, killed PER_STORY times and stopped in order
now and then; stories differ in seed, in how orders are worked, and in whether the market waits.
After every kill: no order was sent twice or unintended. After every graceful stop: both sides are
equal to the last digit, nothing rests but stops, and every position has one of its very size; where
the market goes on by itself and fills one of them then, the next stop is asked.
Options by the environment: SEED, KILLS, JOBS (stories at once), KEEP (a folder for the stories of
which something does not hold: state, exchange, its ledger, what was wrong). One JSON line of
results on stdout; exit 1 with what does not hold on stderr.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from daemon.core.clock import WireClock
from tests.e2e.kills import killed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.e2e.kills import Killed

PER_STORY = 25
STOP_EVERY = 6
ENDS_MAX = 5
LINES_MAX = 300
TOLD_MAX = 20
PACED = "5"  # a bar an hour late opens nothing, and a slow machine is soon an hour late
# How orders are worked, and how many bars a second the market plays; "max" waits for the daemon.
WAYS = (
    ("[execution]\nstop_loss_ratio = 0.03\n", "max"),
    ('[execution]\nstop_loss_ratio = 0.02\nentry_order = "limit"\n', "max"),
    (
        (
            '[execution]\nstop_loss_ratio = 0.02\nentry_order = "limit"\nexit_order = "limit"\n'
            "requote_s = 2\norder_timeout_s = 6\n"
        ),
        PACED,
    ),
    (
        "[execution]\nstop_loss_ratio = 0.01\nslice_depth_ratio = 0.05\nslice_interval_s = 1\n",
        PACED,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What one story came to; `wrong` is empty when all held."""

    kills: int
    mid_order: int
    stops: int
    orders: int
    fills: int
    wrong: tuple[str, ...]


def main() -> int:
    seed, kills, jobs = (
        int(os.environ.get(name, default))
        for name, default in (("SEED", "1"), ("KILLS", "500"), ("JOBS", "2"))
    )
    wire = WireClock()
    begun_s = wire.monotonic_s()
    stories = -(-kills // PER_STORY)
    done = 0

    def on_kill() -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty() or done % 10 == 0:
            sys.stderr.write(f"kill {done}/{kills}\n")

    with ThreadPoolExecutor(jobs) as pool:
        parts = [
            (
                seed + number,
                WAYS[(seed + number) % len(WAYS)],
                min(PER_STORY, kills - number * PER_STORY),
            )
            for number in range(stories)
        ]
        outcomes = list(pool.map(lambda part: told(part[0], part[1], part[2], on_kill), parts))
    wrong = [
        f"seed {seed + number}: {text}"
        for number, each in enumerate(outcomes)
        for text in each.wrong
    ]
    if not any(each.fills for each in outcomes):
        wrong.append("not one order filled: nothing was shown")
    if not any(each.mid_order for each in outcomes):
        wrong.append("not one kill came while an order was on its way: nothing was shown")
    result: Mapping[str, object] = {
        "soak": "kill",
        "seed": seed,
        "kills": sum(each.kills for each in outcomes),
        "mid_order": sum(each.mid_order for each in outcomes),
        "graceful_stops": sum(each.stops for each in outcomes),
        "stories": len(outcomes),
        "stories_without_orders": sum(not each.orders for each in outcomes),
        "orders": sum(each.orders for each in outcomes),
        "fills": sum(each.fills for each in outcomes),
        "wall_s": round(wire.monotonic_s() - begun_s, 1),
        "wrong": len(wrong),
        "holds": not wrong,
    }
    sys.stdout.write(orjson.dumps(result).decode() + "\n")
    if wrong:
        sys.stderr.write("\n".join(wrong[:TOLD_MAX]) + f"\n{len(wrong)} things do not hold\n")
    return 1 if wrong else 0


def told(seed: int, way: tuple[str, str], kills: int, on_kill: Callable[[], None]) -> Outcome:
    """One story to its end; what stops it is what is wrong with it."""
    config, speed = way
    with (
        tempfile.TemporaryDirectory(prefix="tradingd-kill-") as folder,
        killed(Path(folder), seed=seed, config=config, speed=speed) as run,
    ):
        run.lines_max = LINES_MAX
        try:
            run.begin(lines=100)
            on_kill()
            while run.kills < kills:
                run.resume()
                on_kill()
                if run.kills % STOP_EVERY == 0:
                    run.resume_and_stop()
            if not any(run.resume_and_stop() for _ in range(ENDS_MAX)):
                run.wrong.append(f"{ENDS_MAX} times the market filled something after the stop")
            if not run.tradingd.query("reconcile")["equal"]:
                run.wrong.append("books differ")
            if not run.tradingd.query("parity", "--allow-no-orders")["identical"]:
                run.wrong.append("a decision is not recomputed bit for bit")
        except Exception as error:  # noqa: BLE001  # the other stories go on
            run.wrong.append(f"after {run.kills} kills: {type(error).__name__}: {error}")
        if run.wrong:
            _keep(Path(folder), seed, run)
        books = run.books()
        return Outcome(
            run.kills,
            run.mid_order,
            run.stops,
            len(books.blotter.orders),
            books.blotter.fill_count,
            tuple(run.wrong),
        )


def _keep(folder: Path, seed: int, run: Killed) -> None:
    """A copy of a story that went wrong, where KEEP says; its exchange still lives."""
    if not (keep := os.environ.get("KEEP")):
        return
    kept = Path(keep) / f"seed-{seed}"
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    (kept / "wrong.txt").write_text("\n".join(run.wrong) + "\n", encoding="utf-8")
    (kept / "ledger.json").write_bytes(orjson.dumps(run.ledger()))
    sys.stderr.write(f"seed {seed}: {run.wrong[0][:300]}\n  kept in {kept}\n")


if __name__ == "__main__":
    sys.exit(main())
