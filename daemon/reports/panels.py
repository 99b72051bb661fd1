"""The still panels of a report: turns rows and bins into HTML tables and SVG drawings.

Belongs here: what does not zoom. Colours come from the page's own style, so that light, dark and
paper all show them. Every text passes `escape` before it becomes HTML.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from daemon.core.costs import distribution
from daemon.core.instruments import plain
from daemon.reports.figures import monthly, not_traded, reliability
from daemon.reports.tables import trade_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.reports.facts import Facts
    from daemon.reports.figures import Costs, Drift

NOTHING = "-"
TRADES_SHOWN_MAX = 500
SLIPPAGE_BINS = 24
PROBABILITY_BINS = 20
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHADE_FULL_RATIO = 0.10  # a month that moved this much has the full colour
PSI_FULL = 0.5  # the length of a full bar


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, css: str = "") -> str:
    """Plain rows; a number is aligned to the right, None is a dash."""
    head = "".join(f"<th>{escape(each)}</th>" for each in header)
    body = "".join(f"<tr>{''.join(_cell(each) for each in row)}</tr>" for row in rows)
    return _wide(
        f'<table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cell(value: object) -> str:
    if value is None:
        return f"<td>{NOTHING}</td>"
    if isinstance(value, int | float):
        return f'<td class="n">{value}</td>'
    return f"<td>{escape(str(value))}</td>"


def monthly_heatmap(facts: Facts) -> str:
    """A row a year, a cell a month, shaded by its return."""
    cells = {(year, month): ratio for year, month, ratio in monthly(facts)}
    years = sorted({year for year, _ in cells})
    head = "".join(f"<th>{each}</th>" for each in MONTHS)
    body = ""
    for year in years:
        body += f"<tr><th>{year}</th>"
        for month in range(1, 13):
            ratio = cells.get((year, month))
            if ratio is None:
                body += "<td></td>"
                continue
            share = min(1.0, abs(ratio) / SHADE_FULL_RATIO)
            color = "var(--up)" if ratio >= 0 else "var(--down)"
            mix = f"color-mix(in srgb, {color} {10 + 60 * share:.0f}%, transparent)"
            body += f'<td style="background:{mix}">{ratio:+.2%}</td>'
        body += "</tr>"
    return _wide(
        f'<table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def reliability_diagram(facts: Facts) -> str:
    """What was said against what came, with 95 % intervals; on the diagonal it is calibrated."""
    bins = reliability(facts)
    if not bins:
        return _nothing("no prediction has met its outcome")
    size, pad = 260, 34
    scale = size - 2 * pad

    def at(said: float, came: float) -> tuple[float, float]:
        return pad + said * scale, size - pad - came * scale

    parts = [_line(*at(0, 0), *at(1, 1), "soft dash"), _axes(size, pad)]
    for each in bins:
        x, y = at(each.said, each.came)
        low, high = at(each.said, each.came_low)[1], at(each.said, each.came_high)[1]
        note = f"said {each.said:.3f}, came {each.came:.3f}, n {each.n}"
        parts.append(_line(x, low, x, high, "band"))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{note}</title></circle>')
    parts.append(_text(size / 2, size - 6, "probability said", "middle"))
    parts.append(_text(4, 14, "share that came true", "start"))
    return _svg(size, size, parts)


def histogram(values: Sequence[float], bins: int, unit: str, *, low: float, high: float) -> str:
    """How often which value, from `low` to `high`; what lies outside counts in the end bins."""
    if not values:
        return _nothing("nothing to count")
    width, height, pad = 360, 180, 26
    counts = [0] * bins
    span = (high - low) or 1.0
    for value in values:
        counts[min(bins - 1, max(0, int((value - low) / span * bins)))] += 1
    most = max(counts)
    step = (width - 2 * pad) / bins
    parts = []
    for place, count in enumerate(counts):
        tall = (height - 2 * pad) * count / most
        first, last = low + place * span / bins, low + (place + 1) * span / bins
        note = f"{first:.4g} to {last:.4g} {unit}: {count}"
        parts.append(
            f'<rect x="{pad + place * step:.1f}" y="{height - pad - tall:.1f}" '
            f'width="{step * 0.9:.1f}" height="{tall:.1f}"><title>{note}</title></rect>'
        )
    parts.append(_line(pad, height - pad, width - pad, height - pad, "soft"))
    parts.append(_text(pad, height - 8, f"{low:.3g}", "start"))
    parts.append(_text(width - pad, height - 8, f"{high:.3g} {unit}", "end"))
    parts.append(_text(width - pad, 14, f"n {len(values)}, tallest {most}", "end"))
    return _svg(width, height, parts)


def slippage_histogram(facts: Facts) -> str:
    """Slippage of every fill against decision price and arrival quote; positive is worse for us."""
    arrival = [each.arrival_slippage_bps for each in facts.fills]
    told = {
        "against the decision price": [each.slippage_bps for each in facts.fills],
        "against the arrival quote": [each for each in arrival if each is not None],
    }
    shown = [_slippages(what, values) for what, values in told.items() if values]
    return "".join(shown) or _nothing("no fill")


def _slippages(what: str, values: list[float]) -> str:
    ordered = sorted(values)
    cut = len(ordered) // 100
    drawn = histogram(values, SLIPPAGE_BINS, "bps", low=ordered[cut], high=ordered[-1 - cut])
    known = distribution(values)
    assert known is not None, "there are values"
    numbers = f"mean {known.mean_bps:.2f} bps, 95th percentile {known.p95_bps:.2f} bps, n {known.n}"
    return f"<p>{what}: {numbers}</p>{drawn}"


def probability_histogram(facts: Facts) -> str:
    """Calibrated probabilities of the newest model."""
    return histogram(facts.probabilities, PROBABILITY_BINS, "", low=0.0, high=1.0)


def drift_bars(drifts: Sequence[Drift]) -> str:
    """PSI per feature beside the level that training's own stretches reach."""
    if not drifts:
        return _nothing("the model's manifest is not in this state directory")
    rows = []
    for each in drifts:
        share = 0.0 if each.psi is None else min(1.0, each.psi / PSI_FULL)
        bar = f'<div class="bar"><i style="width:{share:.0%}"></i></div>'
        known = NOTHING if each.psi is None else f"{each.psi:.3f}"
        usual = NOTHING if each.placebo_psi is None else f"{each.placebo_psi:.3f}"
        cells = f'<td>{escape(each.feature)}</td><td class="n">{known}</td><td class="n">{usual}'
        rows.append(f"<tr>{cells}</td><td>{bar}</td></tr>")
    head = "<tr><th>feature</th><th>PSI now</th><th>usual</th><th></th></tr>"
    return _wide(f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>")


def waterfall(known: Costs, currency: str) -> str:
    """From the gross result over fees and slippage to the net one."""
    steps = (
        ("gross", known.gross, None),
        ("fees", -known.fees, known.gross),
        ("slippage", -known.slippage, known.gross - known.fees),
        ("net", known.net, None),
    )
    levels = [
        float(each) for _, amount, start in steps for each in (amount + (start or 0), start or 0)
    ]
    low, high = min(0.0, *levels), max(0.0, *levels)
    span = (high - low) or 1.0
    width, height, pad = 360, 180, 26
    scale = (height - 2 * pad) / span
    slot = (width - 2 * pad) / len(steps)
    parts = []
    for place, (name, amount, start) in enumerate(steps):
        first = float(start or 0)
        last = first + float(amount)
        top = height - pad - (max(first, last) - low) * scale
        tall = max(1.0, abs(last - first) * scale)
        css = "gain" if amount >= 0 else "loss"
        x = pad + place * slot
        note = f"{name} {plain(round(amount, 4))} {currency}"
        parts.append(
            f'<rect class="{css}" x="{x + slot * 0.15:.1f}" y="{top:.1f}" '
            f'width="{slot * 0.7:.1f}" height="{tall:.1f}"><title>{escape(note)}</title></rect>'
        )
        parts.append(_text(x + slot / 2, max(12.0, top - 4), f"{amount:+.2f}", "middle"))
        parts.append(_text(x + slot / 2, height - 8, name, "middle"))
    parts.append(
        _line(pad, height - pad + low * scale, width - pad, height - pad + low * scale, "soft")
    )
    return _svg(width, height, parts)


def rules(facts: Facts) -> str:
    """Which rule decided how often."""
    rows = [(what, rule, n) for what, counts in not_traded(facts).items() for rule, n in counts]
    return table(("", "rule", "times"), rows) if rows else _nothing("no decision")


def trades(facts: Facts) -> str:
    """The newest round trips; the exports have all of them."""
    shown = facts.trades[-TRADES_SHOWN_MAX:]
    if not shown:
        return _nothing("not one trade")
    header = ("opened", "closed", "symbol", "", "quantity", "entry", "exit", "fees", "slippage",
              "net return", "trace")  # fmt: skip
    rows = []
    for each in reversed(shown):
        row = trade_row(each)
        ratio = each.return_ratio
        rows.append(
            (
                _minute(row["opened"]),
                _minute(row["closed"]),
                row["symbol"],
                row["direction"],
                row["quantity"],
                row["entry_price"],
                row["exit_price"],
                f"{each.fees_quote:.4f}",
                f"{each.slippage_quote:.4f}",
                "open" if ratio is None else f"{ratio * 10_000:+.1f} bps",
                row["entry_trace"],
            )
        )
    more = len(facts.trades) - len(shown)
    note = f"<p class=soft>{more} earlier round trips are in the exports only.</p>" if more else ""
    return table(header, rows, css="trades") + note


def _wide(inner: str) -> str:
    """What is wider than the page scrolls by itself."""
    return f'<div class="wide">{inner}</div>'


def _minute(text: object) -> str | None:
    return None if text is None else str(text)[:16].replace("T", " ")


def _nothing(why: str) -> str:
    return f'<p class="soft">{escape(why)}</p>'


def _svg(width: float, height: float, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" style="max-width:{width}px">'
        f"{''.join(parts)}</svg>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _axes(size: int, pad: int) -> str:
    far = size - pad
    ticks = ""
    for share in (0.0, 0.5, 1.0):
        place = pad + share * (size - 2 * pad)
        ticks += _text(place, far + 14, f"{share:g}", "middle")
        ticks += _text(pad - 6, size - place + 4, f"{share:g}", "end")
    return _line(pad, far, far, far, "soft") + _line(pad, pad, pad, far, "soft") + ticks
