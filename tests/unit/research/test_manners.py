"""A training beside a daemon gives way to it, in time and in memory."""

import subprocess
import sys

SCRIPT = """
import os, pathlib, resource
from daemon.research.manners import give_way
before = os.nice(0)
give_way({megabytes})
print(os.nice(0) - before, pathlib.Path("/proc/self/oom_score_adj").read_text().strip(),
      resource.getrlimit(resource.RLIMIT_AS)[0] >> 20)
try:
    bytearray(600 << 20)
except MemoryError:
    print("no room")
"""


def test_one_that_ends_by_an_error_says_it_and_is_not_aborted_by_its_own_watch() -> None:
    script = (
        "import sys\nfrom daemon.research.manners import end_with\n"
        "end_with(sys.stdin.buffer)\nraise MemoryError('no room')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stderr is not None
        said = child.stderr.read()
        code = child.wait(60)

    assert (code, said.splitlines()[-1]) == (1, "MemoryError: no room")


def given_way(megabytes: int) -> list[str]:
    script = SCRIPT.format(megabytes=megabytes)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split("\n")


def test_it_goes_behind_all_others_for_time_and_first_when_memory_is_short() -> None:
    (nicer, oom, _), *_ = (line.split() for line in given_way(0))

    assert nicer == "10"
    assert oom == "1000"


def test_more_memory_than_it_is_allowed_is_an_error_of_its_own() -> None:
    first, *rest = given_way(500)

    assert first.split()[2] == "500"
    assert rest[0] == "no room"
