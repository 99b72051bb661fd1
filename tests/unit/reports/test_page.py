import base64
import hashlib
import re

from daemon.core.timeframes import NS_PER_S
from daemon.reports.charts import POINTS_MAX, thinned
from daemon.reports.facts import gather
from daemon.reports.page import BYTES_MAX, Identity, page
from tests.builders import HOUR_NS, OPEN_NS, a_bar, a_halt, an_equity_mark
from tests.unit.reports.stories import a_story, closed

IDENTITY = Identity(
    label="SYNTHETIC <seed=42>",
    config_hash="9f31ab",
    seed=42,
    version="0.1.0",
    drawdown_limit_ratio=0.15,
    cost_bps=15.0,
    window_outcomes=500,
    verdict="No edge shown: <too few> round trips.",
    edge_shown=False,
)


def a_page() -> str:
    return page(gather(a_story()), IDENTITY, None)


def test_only_scripts_whose_hash_the_policy_names_are_there() -> None:
    html = a_page()

    policy = re.search(r'Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1]
    assert "unsafe-inline" not in policy[1].split("style-src")[0]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_nothing_in_the_page_refers_to_another_place() -> None:
    # The library's own text names places, which the policy does not let it reach.
    html = re.sub(r"<script>.*?</script>", "", a_page(), flags=re.DOTALL)

    targets = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'>\s]+)""", html)
    assert targets == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html


def test_texts_from_outside_stay_texts() -> None:
    html = a_page()

    assert "<too few>" not in html
    assert "&lt;too few&gt; round trips" in html
    assert "SYNTHETIC &lt;seed=42&gt;" in html


def test_a_page_says_what_it_is_of() -> None:
    html = a_page()

    for part in ("config 9f31ab", "seed 42", "code 0.1.0", "data sha256", "2 bars"):
        assert part in html


def test_halts_are_told() -> None:
    html = page(gather([*a_story(), a_halt(detail="equity fell")]), IDENTITY, None)

    assert "equity fell" in html


def test_a_year_of_minutes_still_fits_in_the_budget() -> None:
    events = a_story()
    minute_ns = 60 * NS_PER_S
    for k in range(60_000):
        ts_ns = OPEN_NS + 2 * HOUR_NS + k * minute_ns
        events.append(an_equity_mark(ts_ns=ts_ns))
        if k % 2 == 0:
            events.append(closed(2 + k, 100.0 + k % 777 / 10))

    assert len(page(gather(events), IDENTITY, None).encode()) < BYTES_MAX


def test_thinned_bars_keep_every_extreme() -> None:
    bars = [
        a_bar(open_ns=OPEN_NS + k * HOUR_NS, open=1.0 + k, high=3.0 + k, low=0.5 + k, close=2.0 + k)
        for k in range(POINTS_MAX + 1)
    ]

    thin = thinned(bars)

    assert len(thin) == POINTS_MAX // 2 + 1
    assert thin[0] == (OPEN_NS, 1.0, 4.0, 0.5, 3.0)
    assert max(row[2] for row in thin) == 3.0 + POINTS_MAX
