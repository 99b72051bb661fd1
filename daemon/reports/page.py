"""The page: turns the facts of a run into one HTML file that needs nothing and asks for nothing.

Belongs here: the order of things, the style, and the policy the page runs under. No script runs but
the two whose hashes the policy names; no request leaves the page. Drawings belong to `charts` and
`panels`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.timeframes import rfc3339
from daemon.reports import charts, panels
from daemon.reports.figures import data_sha256, drifts, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.manifests import Manifest
    from daemon.reports.facts import Facts
    from daemon.reports.figures import Figures, Interval

HERE = Path(__file__).parent
BYTES_MAX = 2_500_000


class Identity(Struct, frozen=True, kw_only=True):
    """What a report is of; without it the numbers prove nothing."""

    label: str  # SYNTHETIC, REPLAY or what else stands wherever the numbers do
    config_hash: str
    seed: int
    version: str
    drawdown_limit_ratio: float | None  # None, like the costs, where the settings are not known
    cost_bps: float | None  # expected, a side
    window_outcomes: int  # of the rolling AUC
    verdict: str
    edge_shown: bool


def page(facts: Facts, identity: Identity, manifest: Manifest | None) -> str:
    """The whole file; `facts` must hold at least one bar."""
    library, boot = _library(), (HERE / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash(library)} {_hash(boot)}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    known = figures(facts, 1 if manifest is None else manifest.net_return.trials)
    run = facts.run
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        library=library,
        boot=boot,
        charts=json.dumps(charts.documents(facts)).replace("<", "\\u003c"),
        target=charts.TARGET,
        title=escape(f"{run.bot}: {run.mode}, {_symbols(facts)} {run.timeframe}"),
        label=escape(identity.label),
        identity=escape(_identity(facts, identity, manifest)),
        tiles="".join(_tiles(facts, identity, known)),
        verdict_css="shown" if identity.edge_shown else "unshown",
        verdict=escape(identity.verdict),
        halts=_halts(facts),
        not_charted=_not_charted(facts),
        monthly=panels.monthly_heatmap(facts),
        reliability=panels.reliability_diagram(facts),
        probabilities=panels.probability_histogram(facts),
        drift=panels.drift_bars(drifts(facts, manifest, identity.window_outcomes)),
        waterfall=panels.waterfall(known.costs, _currency(facts)),
        rules=panels.rules(facts),
        slippage=panels.slippage_histogram(facts),
        trades=panels.trades(facts),
    )


def _library() -> str:
    """Bokeh's own script, as its installed package brings it."""
    import bokeh

    folder = Path(bokeh.__file__).parent / "server" / "static" / "js"
    return (folder / "bokeh.min.js").read_text(encoding="utf-8").replace("</script", "<\\/script")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _symbols(facts: Facts) -> str:
    names = sorted({each.symbol for each in facts.bars})
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _currency(facts: Facts) -> str:
    return facts.run.currency


def _identity(facts: Facts, identity: Identity, manifest: Manifest | None) -> str:
    bars = [bar for its in facts.bars.values() for bar in its]
    first = rfc3339(min(bar.open_ns for bar in bars))[:16].replace("T", " ")
    last = rfc3339(max(bar.close_ns for bar in bars))[:16].replace("T", " ")
    models = list(dict.fromkeys(each.model for each in facts.models))
    model = models[-1] if models else "no model"
    parts = [
        f"{first} to {last} UTC",
        f"run {facts.run.run}",
        f"model {model}" + (f" (the last of {len(models)})" if len(models) > 1 else ""),
        f"config {identity.config_hash}",
        f"data sha256 {data_sha256(facts)[:16]}",
        f"code {identity.version}",
        f"seed {identity.seed}",
        f"{len(bars)} bars",
    ]
    if manifest is not None and manifest.code_version not in ("", identity.version):
        parts.append(f"trained by {manifest.code_version}")
    return " · ".join(parts)


def _tiles(facts: Facts, identity: Identity, known: Figures) -> Sequence[str]:
    currency = _currency(facts)
    paid = known.costs.fees + known.costs.slippage
    share = known.costs.share_of_gross
    of_gross = "there was no gross profit" if share is None else f"{share:.0%} of gross profit"
    costs = f"{paid:,.2f} {currency}"
    cost, limit = identity.cost_bps, identity.drawdown_limit_ratio
    after = "" if cost is None else f"{cost:g} bps a side were expected"
    chance, trials = known.deflated_sharpe, known.trials
    picked = f"{trials} trials" if trials > 1 else "1 trial"
    deflated = "" if chance is None else f"deflated {chance:.2f} ({picked})"
    halts_at = "" if limit is None else f"halts at {-limit:.0%}"
    trip = known.trade_return
    per_trip = "" if trip.value is None else f"{trip.value * 10_000:+.1f} bps each"
    trip_interval = _range(trip, 10_000, "+.1f")
    return [
        _tile("Net return", _value(known.net_return, "+.2%"), _percent_range(known.net_return),
              after),
        _tile("Sharpe, annual", _value(known.sharpe, "+.2f"), _range(known.sharpe, 1, "+.2f"),
              deflated),
        _tile("Largest drawdown", f"{-known.drawdown_ratio:.2%}", "",
              halts_at),
        _tile("Round trips", str(known.trades), f"{per_trip} {trip_interval}".strip(),
              f"won {_value(known.win_ratio, '.0%')} {_percent_range(known.win_ratio, '.0%')}"),
        _tile("Costs paid", costs, "", of_gross),
        _tile("Rolling AUC", _value(known.auc, ".3f"), _range(known.auc, 1, ".3f"),
              f"newest {known.auc_n} outcomes"),
    ]  # fmt: skip


def _tile(name: str, value: str, interval: str, note: str) -> str:
    return (
        f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(interval)}</span><span>{escape(note)}</span></div>"
    )


def _value(each: Interval, form: str) -> str:
    return panels.NOTHING if each.value is None else format(each.value, form)


def _range(each: Interval, factor: float, form: str) -> str:
    if each.low is None or each.high is None:
        return "no interval yet"
    return f"95 % [{format(each.low * factor, form)}, {format(each.high * factor, form)}]"


def _percent_range(each: Interval, form: str = "+.2%") -> str:
    if each.low is None or each.high is None:
        return "no interval yet"
    return f"95 % [{format(each.low, form)}, {format(each.high, form)}]"


def _halts(facts: Facts) -> str:
    if not facts.halts:
        return ""
    lines = []
    for each in facts.halts:
        detail = getattr(each, "detail", "")
        reason = getattr(each.reason, "value", each.reason)
        word = "halted" if hasattr(each, "detail") else "resumed"
        lines.append(f"{rfc3339(each.ts_ns)[:16].replace('T', ' ')} {word}: {reason} {detail}")
    shown = "".join(f"<li>{escape(line)}</li>" for line in lines[-20:])
    return f"<h2>Halts</h2><ul>{shown}</ul>"


def _not_charted(facts: Facts) -> str:
    shown = charts.charted(facts)
    left = sorted(str(each) for each in facts.bars if each not in shown)
    if not left:
        return ""
    return f'<p class="soft">Not drawn, but in the exports: {escape(", ".join(left))}</p>'
