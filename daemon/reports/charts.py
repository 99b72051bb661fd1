"""The time charts of a report: turns facts into one Bokeh document of linked panels, as JSON.

Belongs here: what Bokeh draws. Everything that does not zoom is drawn by `panels`; the page around
both, and under which policy they run, belongs to `page`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from daemon.core.timeframes import NS_PER_MS, rfc3339
from daemon.reports.figures import buy_and_hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.reports.facts import Facts

Candle: TypeAlias = tuple[int, float, float, float, float]

POINTS_MAX = 4_000  # a wider chart than any screen; the exports have every point
SYMBOLS_MAX = 4  # each has a chart of its own, the most traded ones first
FILLS_MAX = 2_000  # per symbol, the newest
TARGET = "charts"
# Readable on a light and on a dark page, so that one document serves both.
INK, GRID = "#808890", "rgba(128,136,144,0.25)"
UP, DOWN, LINE, HOLD, BAND = "#1a9850", "#d73027", "#3b7ddd", "#9a7fd1", "#3b7ddd"
# Of other colours than the candles they lie on.
MARKS = {"buy": ("triangle", LINE), "sell": ("inverted_triangle", "#f0a030")}
HEIGHTS = {"price": 300, "equity": 220, "drawdown": 130, "auc": 160}


def charted(facts: Facts) -> list[InstrumentId]:
    """The instruments that get a chart, most fills first."""
    fills = dict.fromkeys(sorted(facts.bars), 0)
    for fill in facts.fills:
        fills[fill.instrument] = fills.get(fill.instrument, 0) + 1
    return sorted(fills, key=lambda each: -fills[each])[:SYMBOLS_MAX]


def documents(facts: Facts) -> dict[str, Any]:
    """Bokeh's JSON of all panels in one column; it is drawn into the element called TARGET."""
    from bokeh.embed import json_item
    from bokeh.layouts import column

    closes = [bar.close_ns for bars in facts.bars.values() for bar in (bars[0], bars[-1])]
    shared = _models().Range1d(_ms(min(closes)), _ms(max(closes)), name="time")
    panels = [_price(facts, each, shared) for each in charted(facts)]
    panels += [_equity(facts, shared), _drawdown(facts, shared)]
    if any(each.auc is not None for each in facts.samples):
        panels.append(_auc(facts, shared))
    drawn: Any = json_item
    item: dict[str, Any] = drawn(column(*panels, sizing_mode="stretch_width"), TARGET)
    return item


def thinned(bars: Sequence[Bar], most: int = POINTS_MAX) -> list[Candle]:
    """(open ns, open, high, low, close) of bars in order, joined exactly until at most `most`."""
    step = max(1, -(-len(bars) // most))
    made: list[Candle] = []
    for first in range(0, len(bars), step):
        group = bars[first : first + step]
        highest, lowest = max(bar.high for bar in group), min(bar.low for bar in group)
        made.append((group[0].open_ns, group[0].open, highest, lowest, group[-1].close))
    return made


def _models() -> Any:
    # Bokeh's own annotations describe its descriptors, not what may be assigned to them.
    import bokeh.models

    return bokeh.models


def _ms(ts_ns: int) -> float:
    return ts_ns / NS_PER_MS


def _figure(name: str, title: str, shared: Any, **options: Any) -> Any:
    from bokeh.plotting import figure

    made: Any = figure
    chart = made(
        name=name,
        title=title,
        height=HEIGHTS[name.partition(":")[0]],
        sizing_mode="stretch_width",
        x_range=shared,
        x_axis_type="datetime",
        tools="xpan,xwheel_zoom,xbox_zoom,reset",
        active_drag="xbox_zoom",
        toolbar_location=None,
        output_backend="canvas",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        min_border_left=70,
        **options,
    )
    chart.title.text_color = INK
    for axis in chart.axis:
        axis.axis_line_color = axis.major_tick_line_color = INK
        axis.major_label_text_color = INK
        axis.minor_tick_line_color = None
    for grid in chart.grid:
        grid.grid_line_color = GRID
    chart.xaxis.formatter = _models().DatetimeTickFormatter(
        seconds="%H:%M:%S", minutes="%H:%M", hours="%d %b %H:%M", days="%d %b", months="%b %Y"
    )
    return chart


def _legend(chart: Any) -> None:
    chart.add_layout(chart.legend[0], "above")
    chart.legend.orientation = "horizontal"
    chart.legend.background_fill_alpha = 0
    chart.legend.border_line_color = None
    chart.legend.label_text_color = INK
    chart.legend.padding = 2


def _hover(chart: Any, renderer: Any, tips: list[tuple[str, str]], *, is_line: bool) -> None:
    chart.add_tools(
        _models().HoverTool(
            renderers=[renderer],
            tooltips=tips,
            formatters={"@t": "datetime"},
            mode="vline" if is_line else "mouse",
            point_policy="snap_to_data",
        )
    )


def _price(facts: Facts, instrument: InstrumentId, shared: Any) -> Any:
    rows = thinned(facts.bars[instrument])
    opens_ns, open_, high, low, close = (np.array(each) for each in zip(*rows, strict=True))
    spacing_ms = _ms(int(np.median(np.diff(opens_ns))) if len(rows) > 1 else 1)
    table = {"t": opens_ns / NS_PER_MS + spacing_ms / 2}
    for name, values in (("o", open_), ("h", high), ("l", low), ("c", close)):
        table[name] = values.astype(np.float32)
    table["color"] = np.where(close >= open_, UP, DOWN).tolist()
    source = _models().ColumnDataSource(table)
    chart = _figure(f"price:{instrument}", f"{instrument.symbol}: price and fills", shared)
    line = chart.line("t", "c", source=source, line_color=INK, name="line")
    wicks = chart.segment(
        "t", "l", "t", "h", source=source, line_color="color", name="candle", visible=False
    )
    bodies = chart.vbar(
        "t", spacing_ms * 0.7, "o", "c", source=source, fill_color="color", line_color="color",
        name="candle", visible=False,
    )  # fmt: skip
    prices = [("open", "@o{0,0.00[000000]}"), ("high", "@h{0,0.00[000000]}")]
    prices += [("low", "@l{0,0.00[000000]}"), ("close", "@c{0,0.00[000000]}")]
    _hover(chart, line, [("", "@t{%Y-%m-%d %H:%M} UTC"), *prices], is_line=True)
    _hover(chart, bodies, [("", "@t{%Y-%m-%d %H:%M} UTC"), *prices], is_line=True)
    assert wicks is not None
    for side in MARKS:
        _fills(chart, facts, instrument, side)
    chart.yaxis.formatter = _models().NumeralTickFormatter(format="0,0[.][0000]")
    return chart


def _fills(chart: Any, facts: Facts, instrument: InstrumentId, side: str) -> None:
    marker, color = MARKS[side]
    its = [e for e in facts.fills if e.instrument == instrument and e.side.value == side]
    its = its[-FILLS_MAX:]
    source = _models().ColumnDataSource(
        {
            "t": [_ms(each.ts_ns) for each in its],
            "price": [float(each.price) for each in its],
            "quantity": [str(each.quantity) for each in its],
            "trace": [each.trace for each in its],
        }
    )
    marks = chart.scatter(
        "t", "price", source=source, marker=marker, size=8, fill_color=color, line_color="white",
        line_width=0.5,
    )  # fmt: skip
    tips = [(side, "@quantity at @price{0,0.00[000000]}"), ("", "@t{%Y-%m-%d %H:%M} UTC")]
    _hover(chart, marks, [*tips, ("trace", "@trace")], is_line=False)


def _curve(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """At most about POINTS_MAX points, the lowest and highest of each stretch kept."""
    stretch = max(1, -(-2 * len(points) // POINTS_MAX))
    kept: list[tuple[int, float]] = []
    for first in range(0, len(points), stretch):
        group = points[first : first + stretch]
        ends = {min(group, key=lambda each: each[1]), max(group, key=lambda each: each[1])}
        kept += sorted(ends)
    return {
        "t": np.array([_ms(ts_ns) for ts_ns, _ in kept]),
        "value": np.array([value for _, value in kept], dtype=np.float32),
        "at": [rfc3339(ts_ns)[:16].replace("T", " ") for ts_ns, _ in kept],
    }


def _equity(facts: Facts, shared: Any) -> Any:
    chart = _figure("equity", "Equity against buy and hold", shared)
    held = _models().ColumnDataSource(_curve(buy_and_hold(facts)))
    own = _models().ColumnDataSource(
        _curve([(each.ts_ns, float(each.equity_quote)) for each in facts.equity])
    )
    chart.line("t", "value", source=held, line_color=HOLD, line_dash="dotted",
               legend_label="buy and hold, without costs")  # fmt: skip
    line = chart.line("t", "value", source=own, line_color=LINE, line_width=1.5,
                      legend_label="equity")  # fmt: skip
    _hover(chart, line, [("equity", "@value{0,0.00}"), ("", "@at UTC")], is_line=True)
    _legend(chart)
    chart.yaxis.formatter = _models().NumeralTickFormatter(format="0,0[.][0000]")
    return chart


def _drawdown(facts: Facts, shared: Any) -> Any:
    chart = _figure("drawdown", "Drawdown", shared)
    points = [(each.ts_ns, -each.drawdown_ratio) for each in facts.equity]
    source = _models().ColumnDataSource(_curve(points))
    chart.varea("t", 0, "value", source=source, fill_color=DOWN, fill_alpha=0.25)
    line = chart.line("t", "value", source=source, line_color=DOWN)
    _hover(chart, line, [("drawdown", "@value{0.00%}"), ("", "@at UTC")], is_line=True)
    chart.yaxis.formatter = _models().NumeralTickFormatter(format="0.0[00]%")
    return chart


def _auc(facts: Facts, shared: Any) -> Any:
    known = [each for each in facts.samples if each.auc is not None]
    step = max(1, -(-len(known) // POINTS_MAX))
    source = _models().ColumnDataSource(
        {
            "t": [_ms(each.ts_ns) for each in known[::step]],
            "at": [rfc3339(each.ts_ns)[:16].replace("T", " ") for each in known[::step]],
            "auc": [each.auc for each in known[::step]],
            "low": [each.auc_low for each in known[::step]],
            "high": [each.auc_high for each in known[::step]],
            "n": [each.auc_n for each in known[::step]],
        }
    )
    title = "Rolling AUC with its 95 % interval; the dashed line is a coin toss"
    chart = _figure("auc", title, shared)
    chart.varea("t", "low", "high", source=source, fill_color=BAND, fill_alpha=0.2)
    line = chart.line("t", "auc", source=source, line_color=LINE, line_width=1.5)
    chart.add_layout(
        _models().Span(location=0.5, dimension="width", line_color=DOWN, line_dash="dashed")
    )
    tips = [("AUC", "@auc{0.000} (@low{0.000} to @high{0.000}), n @n"), ("", "@at UTC")]
    _hover(chart, line, tips, is_line=True)
    return chart
