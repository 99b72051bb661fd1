"""A disk that is nearly full: the whole command, with a limit that no disk of today keeps."""

from pathlib import Path

from tests.e2e.command import SMALL, Tradingd

FULL = (
    SMALL
    + """
[process]
disk_warn_megabytes = 100000000
disk_stop_megabytes = 100000000
"""
)


def test_a_disk_without_room_opens_nothing_and_the_journal_knows_why(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, FULL)

    lines = tradingd.run("--market", "synthetic", "--bars", "60")
    parity = tradingd.query("parity", "--allow-no-orders")

    events = [line["event"] for line in lines]
    denied = {line["reason"] for line in lines if line["event"] == "order.denied"}
    assert events.count("disk.low") == 1
    assert "order.submitted" not in events
    assert "disk_low" in denied
    assert parity["identical"]
