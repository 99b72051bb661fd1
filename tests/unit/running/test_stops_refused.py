"""Where an exchange takes no stops, a configuration that wants them trades no real money there."""

from pathlib import Path
from typing import Any

import pytest

from daemon.cli.golive_arming import arm_bot
from daemon.cli.queries import check_config
from daemon.config import Settings, load
from daemon.core.errors import LiveRefused
from daemon.running.golive.gate import gate_of, refuse_unarmed
from daemon.running.world.live_account import stop_fault
from daemon.running.world.shadow import refuse_shadow
from daemon.venues.capabilities import CAPABILITIES, STOP

KEY = {f"TRADINGD__EXCHANGE__{each}": f"canary-{each}" for each in ("API_KEY", "API_SECRET")}
REFUSED = r"takes no stop orders from us and execution.stop_loss_ratio is 0.05: .* closed again"


def settings_on(exchange: str, folder: Path, **changes: Any) -> Settings:
    told = {"data.exchange": exchange, "run.state_dir": folder, "run.mode": "live", **changes}
    return load(None, told, KEY)


@pytest.mark.parametrize("exchange", [*sorted(CAPABILITIES), "mexc"])
def test_stops_are_missed_only_where_they_are_wanted_and_not_taken(
    exchange: str, tmp_path: Path
) -> None:
    row = CAPABILITIES.get(exchange)
    can = row is None or STOP in row.kinds  # one without a row is for paper, which has stops

    assert bool(stop_fault(settings_on(exchange, tmp_path))) is not can
    none = settings_on(exchange, tmp_path, **{"execution.stop_loss_ratio": 0})
    assert stop_fault(none) == ""


def test_live_shadow_and_arming_are_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    settings = settings_on("gate", tmp_path)
    config = tmp_path / "config.toml"
    config.write_text('[data]\nexchange = "gate"\n')

    for refuse in (refuse_unarmed, refuse_shadow):
        with pytest.raises(LiveRefused, match=REFUSED) as refused:
            refuse(settings)
        assert refused.value.exit_code == 77
    with pytest.raises(LiveRefused, match=REFUSED):
        arm_bot("tradingd", None, False, config, tmp_path, as_json=True)
    (item,) = [each for each in gate_of(settings).items if each.id == "stops"]
    assert not item.met
    assert "gate takes no stop orders" in item.measured


def test_without_stops_what_comes_next_is_asked_for(tmp_path: Path) -> None:
    settings = settings_on("gate", tmp_path, **{"execution.stop_loss_ratio": 0})

    with pytest.raises(LiveRefused, match="live trading on gate is not armed"):
        refuse_unarmed(settings)


def test_a_check_of_the_configuration_warns_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[data]\nexchange = "okx"\n')

    check_config(config, tmp_path)

    assert "warning: live is refused: okx takes no stop orders" in capsys.readouterr().err
