"""Commands that say what bars are worth: verify a file or a series of the store.

Belongs here: what is asked and how the answer looks. The judgement belongs to `bars.files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.bars.files import FACTS, check_file, check_stored
from daemon.cli.data_store import chosen, length_of, named, opened_store
from daemon.cli.output import progress, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.bars import Suspicion
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, UsageRefused
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import rfc3339, timeframe_text
from daemon.store.quarantine import Quarantine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from daemon.bars.files import Findings
    from daemon.core.bars import Bar

PROGRESS_EVERY = 20_000
Result = dict[str, object]


def verify(  # noqa: PLR0917  # the options of the command
    file: Path | None,
    symbol: str | None,
    market: str | None,
    timeframe: str | None,
    accept: Sequence[str],
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Exit 0 when nothing was refused and nothing waits for a decision, else 4."""
    if file is not None:
        result = verified_file(file, timeframe, accept, config, state_dir)
        show(result, _lines(result), as_json=as_json)
        return 0 if result["is_clean"] else CheckFailed.exit_code
    if symbol is None:
        msg = "name a FILE, or a series of the store with --symbol"
        raise UsageRefused(msg)
    results = _verified_series(symbol, market, timeframe, config, state_dir)
    is_clean = all(each["is_clean"] for each in results)
    lines = [line for each in results for line in _lines(each)]
    # One series is the answer itself; several are told one by one, and added up.
    show(results[0] if len(results) == 1 else _added_up(results), lines, as_json=as_json)
    return 0 if is_clean else CheckFailed.exit_code


def verified_file(
    file: Path,
    timeframe: str | None,
    accept: Sequence[str],
    config: Path | None,
    state_dir: Path | None,
) -> Result:
    settings = load(config_path(config), {"run.state_dir": state_dir})
    if timeframe is not None:
        length_of(timeframe)
    checked = check_file(
        file,
        instrument=InstrumentId(settings.data.exchange, settings.data.symbols[0]),
        now_ns=WireClock().now_ns(),
        timeframe=timeframe,
        spike_scale=settings.data.spike_scale,
        accepts=kinds(accept),
        progress=say_progress,
    )
    return {
        "file": str(file),
        "timeframe": checked.timeframe,
        **_span(checked.bars),
        **_told(checked.findings),
    }


def _verified_series(
    symbol: str,
    market: str | None,
    timeframe: str | None,
    config: Path | None,
    state_dir: Path | None,
) -> list[Result]:
    settings = load(config_path(config), {"run.state_dir": state_dir})
    results: list[Result] = []
    with opened_store(config, state_dir) as store:
        waiting = Quarantine(store).counts(symbol=symbol)
        for key in chosen(store, market=market, symbol=symbol, timeframe=timeframe):
            bars = store.read(key.market, InstrumentId(key.market, symbol), key.timeframe_ns)
            reasons = waiting.get((key.market, key.symbol, key.timeframe_ns), {})
            findings = check_stored(
                bars,
                length_ns=key.timeframe_ns,
                spike_scale=settings.data.spike_scale,
                quarantined=sum(reasons.values()),
            )
            results.append(
                {
                    "series": named(key),
                    "timeframe": timeframe_text(key.timeframe_ns),
                    **_span(bars),
                    **_told(findings),
                    "quarantine": reasons,
                }
            )
    return results


def _added_up(results: Sequence[Result]) -> Result:
    counts: dict[str, int] = {}
    for each in results:
        for name, value in each.items():
            if isinstance(value, int) and not isinstance(value, bool):
                counts[name] = counts.get(name, 0) + value
    is_clean = all(each["is_clean"] for each in results)
    return {**counts, "is_clean": is_clean, "series": list(results)}


def _span(bars: Sequence[Bar]) -> Result:
    if not bars:
        return {"from": None, "until": None}
    return {"from": rfc3339(bars[0].open_ns), "until": rfc3339(bars[-1].close_ns)}


def _told(findings: Findings) -> Result:
    examples = {name: msgspec.to_builtins(each) for name, each in findings.examples.items()}
    return {**findings.counts, "is_clean": findings.is_clean, "first": examples}


def kinds(texts: Sequence[str]) -> frozenset[Suspicion]:
    """Kinds of suspicion as typed; UsageRefused."""
    known = {each.value: each for each in Suspicion}
    wrong = [text for text in texts if text not in known]
    if wrong:
        msg = f"--accept {wrong[0]}: expected {', '.join(known)}"
        raise UsageRefused(msg)
    return frozenset(known[text] for text in texts)


def say_progress(done: int, total: int) -> None:
    if done % PROGRESS_EVERY == 0 or done == total:
        progress("rows", done, total)


def _lines(result: Mapping[str, object]) -> Iterator[str]:
    yield str(result["series"] if "series" in result else f"{result['file']} {result['timeframe']}")
    yield f"  {result['from']} to {result['until']}"
    first = result["first"]
    assert isinstance(first, dict)
    for name, count in result.items():
        if isinstance(count, int) and not isinstance(count, bool):
            mark = "!" if count and name not in FACTS and not result["is_clean"] else " "
            yield f"{mark} {name:<22}{count:>10}  {_example(first.get(name))}".rstrip()
    if result["is_clean"]:
        yield "  every bar is believed"
    else:
        yield "! lines with ! were refused, or need a decision"


def _example(example: Mapping[str, object] | None) -> str:
    if example is None:
        return ""
    told = (example["at"], example["place"], example["detail"], example["raw"])
    return "first: " + " · ".join(str(each) for each in told if each)
