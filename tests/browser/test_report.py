"""The report as a person sees it: in a browser, at two widths, light and dark."""

import math
from pathlib import Path

import pytest

from daemon.core.timeframes import NS_PER_S
from daemon.reports.facts import gather
from daemon.reports.page import page
from tests.browser.chromium import PROGRAM, a_page
from tests.builders import HOUR_NS, OPEN_NS, a_health_sample, an_equity_mark
from tests.unit.reports.stories import a_story, closed
from tests.unit.reports.test_page import IDENTITY

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")

DRAWN = """new Promise((done) => {
  const look = () => {
    if (document.documentElement.dataset.drawn) requestAnimationFrame(() => done(true));
    else setTimeout(look, 20);
  };
  look();
})"""
CANVASES = """(() => {
  const found = [];
  const walk = (node) => {
    if (node.tagName === "CANVAS") found.push(node);
    if (node.shadowRoot) node.shadowRoot.childNodes.forEach(walk);
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return found.map((each) => {
    const { data } = each.getContext("2d").getImageData(0, 0, each.width, each.height);
    return data.some((value) => value !== 0);
  });
})()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    events = a_story()
    for k in range(1_200):
        close_ns = OPEN_NS + (k + 3) * HOUR_NS
        events.append(closed(2 + k, 112.0 + 10 * math.sin(k / 30)))
        events.append(an_equity_mark(ts_ns=close_ns))
        if k % 24 == 0:
            events.append(a_health_sample(ts_ns=close_ns + NS_PER_S))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(gather(events), IDENTITY, None), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (420, "light")])
async def test_it_draws_without_a_complaint_and_asks_for_nothing(
    report: str, width: int, scheme: str, tmp_path: Path
) -> None:
    async with a_page(tmp_path) as shown:
        await shown.open(report, width=width, scheme=scheme)

        assert await shown.value(DRAWN) is True
        canvases = await shown.value(CANVASES)
        assert len(canvases) >= 4
        assert any(canvases)
        assert await shown.value("document.documentElement.scrollWidth") <= width
        ink = await shown.value("getComputedStyle(document.documentElement).color")
        assert ink == ("rgb(28, 35, 48)" if scheme == "light" else "rgb(228, 232, 238)")
        assert shown.requests == [report]
        assert shown.complaints == []


async def test_near_enough_candles_take_the_place_of_the_line(report: str, tmp_path: Path) -> None:
    async with a_page(tmp_path) as shown:
        await shown.open(report, width=1280, scheme="light")
        await shown.value(DRAWN)
        is_shown = """(name) => Bokeh.documents[0].roots()[0].children[0].renderers
          .filter((each) => each.name === name).every((each) => each.visible)"""

        assert await shown.value(f"[({is_shown})('line'), ({is_shown})('candle')]") == [True, False]

        await shown.value("""new Promise((done) => {
          const time = Bokeh.documents[0].get_model_by_name("time");
          time.setv({ end: time.start + 100 * 3600e3 });
          setTimeout(done, 300);
        })""")
        assert await shown.value(f"[({is_shown})('line'), ({is_shown})('candle')]") == [False, True]


async def test_a_page_that_complains_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<script>nothing.there()</script><img src='http://127.0.0.1:9/x.png'>")
    async with a_page(tmp_path / "profile") as shown:
        await shown.open(path.as_uri(), width=800, scheme="light")
        await shown.value("new Promise((done) => setTimeout(done, 300))")

    assert any("nothing is not defined" in each for each in shown.complaints)
    assert len(shown.requests) == 2
