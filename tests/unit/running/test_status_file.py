"""The status file: whole for whoever reads, and no reason to stop when it cannot be written."""

import json
import stat
from pathlib import Path

from daemon.running.process.status_file import StatusFile


def test_a_status_is_replaced_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    file = StatusFile(path, lambda _event, **_fields: None)

    file.write({"state": "starting"})
    file.write({"state": "running"})

    assert json.loads(path.read_bytes()) == {"state": "running"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


def test_one_that_cannot_be_written_is_said_once_until_it_works_again(tmp_path: Path) -> None:
    said: list[str] = []
    path, wall = tmp_path / "status.json", tmp_path / ".status.json.new"
    file = StatusFile(path, lambda event, **_fields: said.append(event))

    for is_walled in (True, True, False, True):
        if is_walled and not wall.exists():
            wall.mkdir()  # whoever may write everywhere cannot write this either
        elif not is_walled:
            wall.rmdir()
        file.write({"is_walled": is_walled})

    assert said == ["status.failed", "status.failed"]
    assert json.loads(path.read_bytes()) == {"is_walled": False}
