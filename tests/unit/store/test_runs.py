"""The state directory: runs are found by id or as the last, and nothing in it is half written."""

import contextlib
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.core.errors import UsageRefused
from daemon.core.timeframes import NS_PER_S, parse_time
from daemon.store import runs
from daemon.store.runs import ExchangeSpec, RunExists, RunSpec

STARTED_NS = parse_time("2024-01-01T00:00:07.5Z")
EXCHANGE = ExchangeSpec(
    rest="http://127.0.0.1:8081", stream="ws://127.0.0.1:8081/stream", key="k", instance="i-1"
)


def a_spec(started_ns: int = STARTED_NS) -> RunSpec:
    return RunSpec(
        run=runs.run_id_for(started_ns, "synthetic", 42),
        created_ns=started_ns,
        mode="paper",
        market="synthetic",
        symbols=("BTC/USDT", "ETH/USDT"),
        timeframe="1h",
        seed=42,
        config_hash="5f2e",
        edge=0.12,
        bars=600,
        options={"speed": "max"},
    )


def test_a_run_id_is_its_second_and_a_hash_of_what_made_it() -> None:
    first = runs.run_id_for(STARTED_NS, "synthetic", 42)

    assert first.startswith("20240101T000007-")
    assert len(first) == len("20240101T000007-3fa2")
    assert first == runs.run_id_for(STARTED_NS, "synthetic", 42)
    assert first != runs.run_id_for(STARTED_NS, "synthetic", 43)
    assert first != runs.run_id_for(STARTED_NS + 1, "synthetic", 42)


def test_a_new_run_is_the_last_and_remembers_what_it_was_asked(tmp_path: Path) -> None:
    spec = a_spec()

    paths = runs.new_run(tmp_path / "state", spec)

    assert runs.resolve(tmp_path / "state", "last") == paths
    assert runs.resolve(tmp_path / "state", spec.run) == paths
    assert runs.read_spec(paths) == spec
    assert paths.folder == tmp_path / "state" / "runs" / spec.run
    assert paths.journal.parent == paths.exchange_of("embedded-b").parent == paths.folder
    assert paths.bars.parent == paths.models.parent == tmp_path / "state"


@pytest.mark.parametrize("said", [None, "", "20230101T000007-3fa2\n", "half of a na"])
def test_a_run_that_a_kill_kept_from_being_the_last_is_so_once_it_is_gone_on_with(
    tmp_path: Path, said: str | None
) -> None:
    older, newer = (runs.new_run(tmp_path, a_spec(STARTED_NS + s * NS_PER_S)) for s in (0, 9))
    last = tmp_path / "runs" / "last"
    last.unlink() if said is None else last.write_text(said)

    runs.name_last(newer)
    found = runs.resolve(tmp_path, "last")
    runs.name_last(older)

    assert found == runs.resolve(tmp_path, "last") == newer


def test_the_last_run_is_the_newest_and_older_ones_stay(tmp_path: Path) -> None:
    specs = [a_spec(STARTED_NS + n * NS_PER_S) for n in range(3)]

    for spec in specs:
        runs.new_run(tmp_path, spec)

    assert runs.resolve(tmp_path, "last").run == specs[-1].run
    assert runs.resolve(tmp_path, specs[0].run).run == specs[0].run
    assert runs.all_runs(tmp_path) == [spec.run for spec in reversed(specs)]


def test_a_run_begun_after_the_clock_was_set_back_is_the_newest_all_the_same(
    tmp_path: Path,
) -> None:
    runs.new_run(tmp_path, a_spec())
    hour_ns = 3_600 * NS_PER_S

    back = runs.new_run(tmp_path, a_spec(runs.moment_for(tmp_path, STARTED_NS - hour_ns)))
    assert runs.newest_daemon_run(tmp_path) == back
    at_once = runs.new_run(tmp_path, a_spec(runs.moment_for(tmp_path, STARTED_NS)))
    assert runs.newest_daemon_run(tmp_path) == at_once
    assert runs.moment_for(tmp_path, STARTED_NS + hour_ns) == STARTED_NS + hour_ns


def test_where_the_exchange_answers_is_added_once_it_is_known(tmp_path: Path) -> None:
    spec = a_spec()
    paths = runs.new_run(tmp_path, spec)

    runs.write_spec(paths, replace(spec, exchange=EXCHANGE))

    assert runs.read_spec(paths).exchange == EXCHANGE


def test_a_result_is_there_once_the_run_has_ended(tmp_path: Path) -> None:
    paths = runs.new_run(tmp_path, a_spec())
    before = runs.read_result(paths)

    runs.write_result(paths, {"run": paths.run, "round_trips": 3, "auc": None})

    assert before is None
    assert runs.read_result(paths) == {"run": paths.run, "round_trips": 3, "auc": None}


def test_the_same_run_cannot_be_made_twice(tmp_path: Path) -> None:
    runs.new_run(tmp_path, a_spec())

    with pytest.raises(RunExists, match="is there already"):
        runs.new_run(tmp_path, a_spec())


def test_files_of_a_run_are_for_its_owner_and_leave_no_scraps(tmp_path: Path) -> None:
    paths = runs.new_run(tmp_path, a_spec())
    runs.write_result(paths, {})

    modes = {
        each.name: stat.S_IMODE(each.stat().st_mode)
        for each in (paths.folder, *paths.folder.iterdir(), tmp_path / "runs" / "last")
    }

    assert modes == {paths.run: 0o700, "run.json": 0o600, "result.json": 0o600, "last": 0o600}


def test_without_any_run_the_last_one_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageRefused, match=r"there is no run in .* yet"):
        runs.resolve(tmp_path, "last")


def test_an_unknown_run_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    spec = a_spec()
    runs.new_run(tmp_path, spec)

    with pytest.raises(UsageRefused, match=f"no run 20200101T000000-0000 .* newest are {spec.run}"):
        runs.resolve(tmp_path, "20200101T000000-0000")


@pytest.mark.parametrize("text", ["", "..", "../../etc", "LAST", "20240101T000007-3FA2", "a/b"])
def test_what_is_no_run_id_never_becomes_a_path(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageRefused, match="is not a run id"):
        runs.resolve(tmp_path, text)


def test_damaged_files_of_a_run_are_named(tmp_path: Path) -> None:
    paths = runs.new_run(tmp_path, a_spec())
    paths.spec.write_text("{")
    paths.result.write_text("[1]")

    with pytest.raises(UsageRefused, match=r"run\.json is not readable"):
        runs.read_spec(paths)
    with pytest.raises(UsageRefused, match=r"result\.json is not readable"):
        runs.read_result(paths)


def test_an_option_that_may_be_a_secret_is_not_written(tmp_path: Path) -> None:
    spec = replace(a_spec(), options={"exchange_secret": "hunter2hunter2"})

    with pytest.raises(AssertionError, match="may be a secret"):
        runs.new_run(tmp_path, spec)


def test_a_run_that_is_made_at_once_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    spec = replace(a_spec(), mode="backtest")

    with contextlib.suppress(RuntimeError), runs.placed(tmp_path, spec, is_last=True) as paths:
        paths.journal.write_bytes(b"half")
        raise RuntimeError

    assert runs.all_runs(tmp_path) == []
    assert list((tmp_path / "runs").iterdir()) == []

    with runs.placed(tmp_path, spec, is_last=True) as paths:
        paths.journal.write_bytes(b"whole")

    assert runs.resolve(tmp_path, "last").journal.read_bytes() == b"whole"


def test_the_same_run_made_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    spec = replace(a_spec(), mode="backtest")
    for content in (b"first", b"second"):
        with runs.placed(tmp_path, spec, is_last=False) as paths:
            paths.journal.write_bytes(content)

    assert runs.resolve(tmp_path, spec.run).journal.read_bytes() == b"second"


def test_a_backtest_is_the_last_run_but_never_the_newest_of_a_daemon(tmp_path: Path) -> None:
    daemon = a_spec()
    backtest = replace(a_spec(STARTED_NS + NS_PER_S), mode="backtest")
    runs.new_run(tmp_path, daemon)
    with runs.placed(tmp_path, backtest, is_last=True):
        pass

    assert runs.resolve(tmp_path, "last").run == backtest.run
    assert runs.newest_daemon_run(tmp_path).run == daemon.run
