"""Whatever a training's process does, its caller gets a model's id or an error, and it is gone."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.core.errors import ModelRefused, TradingdError
from daemon.core.jobs import CandidateJob, TrainingJob, TrainingProgress
from daemon.running.models.training_process import TrainingTimedOut, train

HEAR = "import sys, os, json, signal, time, subprocess\njob = json.loads(sys.stdin.readline())\n"


def a_job(**changes: object) -> TrainingJob:
    told: dict[str, object] = {
        "bars_db": "", "registry": "", "market": "synthetic", "series": (), "timeframe": "1h",
        "features": {}, "features_file": "", "since_ns": 0, "until_ns": 1, "settings": {},
        "seed": 1, "created_ns": 0, "candidate": CandidateJob(),
    }  # fmt: skip
    return TrainingJob(**told | changes)  # type: ignore[arg-type]


async def trained_by(script: str, *, within_s: float | None = None) -> str:
    command = (sys.executable, "-c", HEAR + script)
    return await train(a_job(), lambda _line: None, within_s=within_s, command=command)


async def test_the_last_line_names_the_model_and_the_others_are_progress() -> None:
    lines: list[TrainingProgress] = []
    script = (
        "print(json.dumps({'done': 1, 'total': 2, 'what': job['market']}), flush=True)\n"
        "print(json.dumps({'model': 'rf-1'}))"
    )

    model = await train(a_job(), lines.append, command=(sys.executable, "-c", HEAR + script))

    assert model == "rf-1"
    assert lines == [TrainingProgress(done=1, total=2, what="synthetic")]


async def test_what_it_says_of_the_data_is_a_refusal() -> None:
    with pytest.raises(ModelRefused, match="12 bars are too few"):
        await trained_by("print(json.dumps({'error': '12 bars are too few'})); sys.exit(78)")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended with -9"),
        (
            (
                "sys.stderr.write('Fatal Python error: Aborted\\n\\nStack:\\n  <no frame>')\n"
                "sys.stderr.flush()\nos.abort()"
            ),
            "ended with -6: Fatal Python error: Aborted$",
        ),
        ("raise MemoryError('no room for an array')", "MemoryError: no room for an array"),
        ("print('\\x00 this is no JSON')", "spoke nonsense"),
        ("print('{}')", "ended with 0"),
        ("print('[' * 100_000)", "spoke nonsense"),
        ("print('x' * 3_000_000)", "spoke nonsense"),
        ("sys.exit(0)", "ended with 0"),
        ("sys.stdin.close(); os.close(1); time.sleep(0.01); sys.exit(3)", "ended with 3"),
    ],
)
async def test_a_process_that_dies_or_speaks_nonsense_is_an_error(script: str, told: str) -> None:
    with pytest.raises(TradingdError, match=told):
        await trained_by(script)


async def test_a_command_that_cannot_be_started_is_an_error() -> None:
    job = a_job(candidate=None)

    with pytest.raises(OSError, match="No such file"):
        await train(job, lambda _line: None, command=("/no/such/python",))


async def test_one_that_takes_too_long_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )

    with pytest.raises(TrainingTimedOut, match="within 1 s"):
        await trained_by(script, within_s=1.0)

    await eventually(lambda: all(map(is_gone, pids.read_text().split())))


async def test_a_cancelled_training_ends_its_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"open({str(pid)!r}, 'w').write(str(os.getpid()) + ' ')\ntime.sleep(600)"
    training = asyncio.ensure_future(trained_by(script))
    await eventually(lambda: pid.exists() and pid.read_text().endswith(" "))

    training.cancel()
    await asyncio.gather(training, return_exceptions=True)

    assert is_gone(pid.read_text())


async def test_where_memory_is_bounded_its_death_names_the_bound() -> None:
    job = a_job(candidate=CandidateJob(memory_megabytes=64))
    command = (sys.executable, "-c", HEAR + "raise MemoryError('no room')")

    with pytest.raises(TradingdError, match=r"no room \(retraining.memory_megabytes is 64\)"):
        await train(job, lambda _line: None, command=command)


async def test_it_knows_no_secret_of_ours() -> None:
    script = "print(json.dumps({'error': ' '.join(sorted(os.environ))}))"

    with pytest.raises(ModelRefused) as caught:
        await trained_by(script)

    said = str(caught.value).partition(": ")[2].split()
    assert set(said) <= {"LC_CTYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONPATH"}


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)


def is_gone(pid: str) -> bool:
    """Not there, or dead and not yet fetched by whoever inherited it."""
    try:
        os.kill(int(pid), 0)
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True
