"""`tradingd golive arm`, `disarm`, `override`: what they ask for, print and note."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.cli.golive_arming import arm_bot, disarm_bot
from daemon.cli.golive_commands import check_exchange, override_skill, show_gate
from daemon.config import load
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, LiveRefused, UsageRefused
from daemon.running.golive.gate import disarmed, gate_of, require_armed
from daemon.running.golive.limits import at_first, limits_of
from daemon.store.golive import Entry, GoliveState, GoliveStore
from daemon.store.lock import StateLock
from daemon.store.runs import BACKTEST
from tests.builders import MODEL, a_model_activated, a_run_opened
from tests.unit.running.paper_story import (
    a_stored_run,
    an_arming,
    paper_month,
    settings_of,
    trades,
)

CONFIG = """
[run]
name = "alpha"
[data]
symbols = ["BTC/USDT"]
"""


def a_state(folder: Path, *, hours: int = 31 * 24, config: str = CONFIG) -> tuple[Path, Path]:
    """A configuration on the exchange in the box, with a good month of paper behind it."""
    path = folder / "config.toml"
    path.write_text(config)
    settings = load(path, {"run.state_dir": folder / "state"}, {})
    now_ns = WireClock().now_ns()
    a_stored_run(settings, trades(60), created_ns=now_ns - 10**9, mode=BACKTEST)
    a_stored_run(settings, paper_month(now_ns, bars=hours), created_ns=now_ns)
    return path, folder / "state"


def an_entry() -> Entry:
    return Entry(ts="now", what="arm", who="a test")


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_arming_prints_the_limits_in_money_and_takes_the_bots_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = a_state(tmp_path)

    with pytest.raises(CheckFailed, match="the bot's name is alpha, not beta: nothing is armed"):
        arm_bot("beta", None, False, config, state, as_json=False)
    said = capsys.readouterr().err
    assert "  one order: 1000 USDT at most" in said
    assert "halts 1500 USDT under the highest equity" in said
    assert "nothing is opened any more that day after 300 USDT" in said
    assert GoliveStore(state).read().arming is None

    assert arm_bot("alpha", None, False, config, state, as_json=True) == 0

    made = told(capsys)
    assert (made["bot"], made["exchange"], made["model"]) == ("alpha", "embedded", MODEL)
    assert made["paper"] is None  # no orders in that story
    assert "one position: 1000 USDT at most" in made["limits"]
    noted = GoliveStore(state).entries()
    assert [(each.what, each.bot) for each in noted] == [("arm", "alpha")]
    assert all("pid" in each.who for each in noted)
    assert show_gate(None, config, state, as_json=True) == 0
    assert told(capsys)["armed"] is True


def test_arming_is_refused_and_noted_while_an_item_is_unmet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = a_state(tmp_path, hours=20 * 24)

    assert arm_bot("alpha", None, False, config, state, as_json=True) == 4

    assert told(capsys)["unmet"] == ["paper_days", "paper_outcomes", "paper_trades"]
    (noted,) = GoliveStore(state).entries()
    assert (noted.what, noted.detail) == (
        "refused",
        ("paper_days", "paper_outcomes", "paper_trades"),
    )


def test_without_a_terminal_the_name_has_to_be_given(tmp_path: Path) -> None:
    config, state = a_state(tmp_path)

    with pytest.raises(UsageRefused, match="say --confirm alpha"):
        arm_bot(None, None, False, config, state, as_json=True)


def test_disarming_needs_a_reason_and_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = a_state(tmp_path)
    arm_bot("alpha", None, False, config, state, as_json=True)
    with pytest.raises(UsageRefused, match="reason"):
        disarm_bot("", config, state, as_json=True)
    capsys.readouterr()

    assert disarm_bot("on holiday", config, state, as_json=True) == 0

    assert told(capsys)["was_armed"] is True
    assert GoliveStore(state).read().arming is None
    assert [each.what for each in GoliveStore(state).entries()] == ["arm", "disarm"]
    assert GoliveStore(state).entries()[-1].reason == "on holiday"


def test_disarming_beside_a_live_daemon_that_cannot_be_reached_says_how_to_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens here; the exchange in the box is exempt, and left alone."""
    told_of = []
    for exchange in ("binance", "embedded"):
        settings = settings_of(tmp_path / exchange, **{"data.exchange": exchange})
        state = settings.run.state_dir
        a_stored_run(settings, [a_run_opened()], created_ns=WireClock().now_ns(), mode="live")
        with StateLock.acquire(state, started_ns=1):
            disarm_bot("on holiday", None, state, as_json=True)
        told_of.append(told(capsys)["daemon"])

    assert "WARNING: the daemon was not reached" in told_of[0]
    assert f"touch {tmp_path / 'binance' / 'HALT'}" in told_of[0]
    assert told_of[1] is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"risk.kelly_ratio": 0.3}, "risk.kelly_ratio was 0.25 and is 0.3"),
        ({"execution.stop_loss_ratio": 0.0}, "execution.stop_loss_ratio was 0.05 and is 0.0"),
        ({"data.exchange": "kraken"}, "data.exchange was binance and is kraken"),
        ({"run.name": "other"}, "run.name was tradingd and is other"),
        ({"golive.canary_ratio": 1.0}, "golive.canary_* was changed"),
    ],
)
def test_any_change_that_money_hangs_on_disarms_and_is_named(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    settings = settings_of(tmp_path, **{"run.mode": "live"})
    arming = an_arming(settings)
    store = GoliveStore(tmp_path)
    store.write(GoliveState(arming=arming), an_entry())
    assert require_armed(settings) == arming
    # What it is armed by may be made stricter or be told elsewhere.
    assert require_armed(settings_of(tmp_path, **{"golive.min_paper_days": 60})) == arming
    assert require_armed(settings_of(tmp_path, **{"log.level": "debug"})) == arming

    changed = settings_of(tmp_path, **{"run.mode": "live", **changes})

    assert gate_of(changed).disarmed_by == (why,)
    with pytest.raises(LiveRefused, match="not armed any more") as refused:
        require_armed(changed)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_live_run_that_decides_with_another_model_than_was_armed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = a_state(tmp_path)
    settings = load(config, {"run.state_dir": state}, {})
    arming = an_arming(settings, model=MODEL, code="0.0.1+old")
    GoliveStore(state).write(GoliveState(arming=arming), an_entry())
    story = [a_run_opened(mode="live"), a_model_activated(model=MODEL)]
    a_stored_run(settings, story, created_ns=WireClock().now_ns() + 1, mode="live")
    show_gate(None, config, state, as_json=False)
    as_armed = capsys.readouterr().out

    story.append(a_model_activated(model="rf-20240401-promoted"))
    a_stored_run(settings, story, created_ns=WireClock().now_ns() + 10**10, mode="live")
    show_gate(None, config, state, as_json=True)
    told_ = told(capsys)
    show_gate(None, config, state, as_json=False)
    as_swapped = capsys.readouterr().out

    assert "NOT the one that was armed" not in as_armed
    assert "the code was 0.0.1+old and is" in as_armed
    assert told_["live"]["model"] == "rf-20240401-promoted"
    assert "NOT the one that was armed: live decides with rf-20240401-promoted" in as_swapped


@pytest.mark.parametrize(
    ("auc", "changes", "said"),
    [
        (0.6, {}, "an AUC of 0.60 half took 167 bars or fewer, and nine of ten 285"),
        (0.6, {"health.policy": "last_n"}, "100 outcomes at least"),
        (0.6, {"risk.trade_unknown_model": "always"}, "trades before its skill is shown"),
    ],
)
def test_an_arming_says_how_long_nothing_is_opened_at_first(
    tmp_path: Path, auc: float, changes: dict[str, object], said: str
) -> None:
    settings = settings_of(tmp_path, **{"data.symbols": ["BTC/USDT", "ETH/USDT"], **changes})

    assert said in at_first(settings, auc)


def test_another_key_disarms(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    arming = an_arming(settings, account="0123456789ab")
    GoliveStore(tmp_path).write(GoliveState(arming=arming), an_entry())

    assert gate_of(settings).disarmed_by == ("it was armed with another key",)


def test_a_state_that_cannot_be_read_arms_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    GoliveStore(tmp_path).write(GoliveState(arming=an_arming(settings)), an_entry())
    (tmp_path / "golive" / "state.json").write_text("{")

    with pytest.raises(CheckFailed, match="remove it, and check and arm anew"):
        require_armed(settings)


def test_what_was_started_on_an_arming_that_is_gone_stays_halted(tmp_path: Path) -> None:
    settings, store = settings_of(tmp_path), GoliveStore(tmp_path)
    arming = an_arming(settings)
    live: Any = SimpleNamespace(sites=[SimpleNamespace(arming=arming)])
    paper: Any = SimpleNamespace(sites=[SimpleNamespace(arming=None)])

    store.write(GoliveState(arming=arming), an_entry())
    assert disarmed(live, settings) == ""
    store.write(GoliveState(), an_entry())
    assert "it was never armed, or was disarmed" in disarmed(live, settings)
    assert disarmed(paper, settings) == ""
    (tmp_path / "golive" / "state.json").write_text("{")
    assert "cannot be read" in disarmed(live, settings)


def test_when_all_is_met_the_refusal_says_to_arm(tmp_path: Path) -> None:
    config, state = a_state(tmp_path)

    with pytest.raises(LiveRefused, match="everything it asks for is met, type `tradingd golive a"):
        require_armed(load(config, {"run.state_dir": state}, {}))


def test_an_override_is_of_the_model_in_use_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = a_state(tmp_path)
    settings = load(config, {"run.state_dir": state}, {})
    now_ns = WireClock().now_ns()
    later = [a_run_opened(), a_model_activated(model="newer")]
    a_stored_run(settings, later, created_ns=now_ns + 10**9)
    with pytest.raises(UsageRefused, match="reason"):
        override_skill(" ", None, config, state, as_json=True)

    override_skill("the rails, not the model", None, config, state, as_json=True)

    made = told(capsys)
    assert (made["model"], made["reason"]) == ("newer", "the rails, not the model")
    (skill,) = [each for each in gate_of(settings).items if each.id == "skill"]
    assert (skill.met, skill.is_overridden) == (True, True)
    (noted,) = GoliveStore(state).entries()
    assert (noted.what, noted.reason, noted.detail) == ("override", made["reason"], ("newer",))


def test_what_is_never_live_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    several = CONFIG + 'exchange = "binance"\nalso = {kraken = []}\n'
    config = tmp_path / "config.toml"
    config.write_text(several)
    with pytest.raises(LiveRefused, match="live trading is on one exchange"):
        arm_bot("alpha", None, False, config, tmp_path / "state", as_json=True)
    with pytest.raises(UsageRefused, match="the exchange in the box needs none of this"):
        check_exchange("synthetic", False, config, tmp_path / "state", as_json=True)
    with pytest.raises(UsageRefused, match="a key that is not there"):
        check_exchange("binance", False, config, tmp_path / "state", as_json=True)


def test_limits_are_told_in_every_currency_that_capital_is_in() -> None:
    settings = load(
        None,
        {
            "data.symbols": ("BTC/USDT", "ETH/BTC"),
            "risk.allotted": {"USDT": 10_000, "BTC": "0.2"},
            "risk.max_daily_loss_ratio": 0.0,
            "execution.stop_loss_ratio": 0.0,
            "golive.canary_days": 0,
        },
        {},
    )

    limits = limits_of(settings)

    assert "one position: 1000 USDT + 0.02 BTC at most" in limits
    assert "one order: 2500 USDT at most" in limits
    assert "daily loss: no limit" in limits
    assert "stop: none rests behind a position" in limits
    assert "at first: full size at once" in limits
