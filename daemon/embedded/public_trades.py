"""Public trades of the past: finds the steps that were played and in which something was traded.

Belongs here: selections by id and time. The steps themselves belong in tape.
"""

from collections.abc import Iterator

from daemon.embedded.tape import STEPS_MAX, Step, Tape

END_OF_TIME_MS = 2**62


def newest_steps(
    tape: Tape, symbol_id: str, limit: int, end_ms: int = END_OF_TIME_MS
) -> list[Step]:
    """The last `limit` trades not after `end_ms`, oldest first."""
    found: list[Step] = []
    open_ms = tape.slot_at(min(end_ms, tape.closed_ms))
    while open_ms >= tape.market.first_open_ms and len(found) < limit:
        seen = _seen(tape, symbol_id, open_ms)
        found = [step for step in seen if step.ts_ms <= end_ms] + found
        open_ms -= tape.market.timeframe_ms
    return found[-limit:]


def steps_from(
    tape: Tape,
    symbol_id: str,
    limit: int,
    *,
    from_id: int = 0,
    start_ms: int = 0,
    end_ms: int = END_OF_TIME_MS,
) -> list[Step]:
    """The first `limit` trades from an id and a time on, oldest first."""
    first_ms = max(start_ms, from_id // STEPS_MAX * tape.market.timeframe_ms)
    found: list[Step] = []
    for open_ms in _slots(tape, max(first_ms, tape.market.first_open_ms), end_ms):
        found += [
            step
            for step in _seen(tape, symbol_id, open_ms)
            if step.trade_id >= from_id and start_ms <= step.ts_ms <= end_ms
        ]
        if len(found) >= limit:
            break
    return found[:limit]


def _slots(tape: Tape, first_ms: int, end_ms: int) -> Iterator[int]:
    open_ms = tape.slot_at(first_ms)
    while open_ms <= min(end_ms, tape.closed_ms):
        yield open_ms
        open_ms += tape.market.timeframe_ms


def _seen(tape: Tape, symbol_id: str, open_ms: int) -> list[Step]:
    if open_ms >= tape.closed_ms:
        steps = [step for step in tape.played_steps() if step.symbol_id == symbol_id]
    else:
        steps = tape.steps_of(symbol_id, open_ms)
    return [step for step in steps if step.volume]
