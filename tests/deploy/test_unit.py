import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from daemon.config import load
from daemon.core.errors import ExchangeUnreachable, LiveRefused, ModelRefused, UsageRefused
from daemon.running.live import DRAIN_WITHIN_S

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "tradingd.service"
DROP_INS = DEPLOY / "tradingd.service.d"
PROGRAM = "/opt/tradingd/venv/bin/tradingd"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def values(*files: Path) -> dict[str, list[str]]:
    """Every assignment of the unit, in order; an empty one clears a list, as systemd does."""
    found = defaultdict[str, list[str]](list)
    for file in files:
        for line in file.read_text().splitlines():
            if assignment := re.fullmatch(r"(\w+)=(.*)", line):
                if assignment[2]:
                    found[assignment[1]].append(assignment[2])
                else:
                    found[assignment[1]].clear()
    return found


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"s": 1, "min": 60}[unit]


def a_copy(folder: Path, *files: Path) -> Path:
    """The unit with its drop-ins in one file, and with a program that exists on this machine."""
    unit = folder / "tradingd.service"
    text = "\n".join(file.read_text() for file in files)
    unit.write_text(text.replace(PROGRAM, "/bin/true"))
    return unit


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    return analyze("verify", "--man=no", "--recursive-errors=no", unit)


def exposure(unit: Path, threshold: int) -> subprocess.CompletedProcess[str]:
    done = analyze("security", "--offline=true", f"--threshold={threshold}", unit)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot score a unit file offline (systemd 250 can)")
    return done


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    done = verify(a_copy(tmp_path, UNIT))

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("drop_in", sorted(DROP_INS.iterdir()), ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_drop_in(tmp_path: Path, drop_in: Path) -> None:
    done = verify(a_copy(tmp_path, UNIT, drop_in))

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_find_a_misspelt_directive(tmp_path: Path) -> None:
    unit = a_copy(tmp_path, UNIT)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))

    assert "WatchDogSec" in verify(unit).stderr


@needs_systemd
def test_the_unit_exposes_no_more_than_promised(tmp_path: Path) -> None:
    done = exposure(a_copy(tmp_path, UNIT), threshold=11)

    assert done.returncode == 0, done.stdout


@needs_systemd
def test_the_lockdown_exposes_even_less(tmp_path: Path) -> None:
    done = exposure(a_copy(tmp_path, UNIT, DROP_INS / "50-lockdown.conf"), threshold=9)

    assert done.returncode == 0, done.stdout


def test_a_restart_is_tried_only_where_it_can_help() -> None:
    prevented = set(map(int, values(UNIT)["RestartPreventExitStatus"][0].split()))

    assert prevented == {UsageRefused.exit_code, LiveRefused.exit_code, ModelRefused.exit_code}
    assert ExchangeUnreachable.exit_code not in prevented


def test_the_unit_sets_only_variables_that_the_configuration_knows() -> None:
    assigned = " ".join(values(UNIT)["Environment"]).split()
    environ = dict(each.split("=", 1) for each in assigned)

    settings = load(None, {}, environ)

    assert str(settings.run.state_dir) == values(UNIT)["WorkingDirectory"][0]
    assert settings.run.state_dir.name == values(UNIT)["StateDirectory"][0]


def test_a_stop_leaves_time_for_the_orders_in_flight() -> None:
    allowed_s = seconds(values(UNIT)["TimeoutStopSec"][0])

    assert allowed_s > DRAIN_WITHIN_S + 10


def test_the_unit_starts_what_its_documentation_installs() -> None:
    (started,) = values(UNIT)["ExecStart"]
    readme = (DEPLOY / "README.md").read_text()

    assert started == f"{PROGRAM} run --speed 1 --config /etc/tradingd/config.toml"
    assert "install -D -m 0644 config.toml /etc/tradingd/config.toml" in readme
    assert "git clone REPOSITORY /opt/tradingd" in readme


def test_credentials_are_named_as_the_configuration_reads_them(tmp_path: Path) -> None:
    loaded = values(DROP_INS / "10-credentials.conf")["LoadCredentialEncrypted"]
    for number, each in enumerate(loaded):
        file = tmp_path / each.partition(":")[0]
        file.write_text(f"secret {number}")
        file.chmod(0o400)

    settings = load(None, {}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert settings.exchange.api_key is not None
    assert settings.exchange.api_secret is not None
