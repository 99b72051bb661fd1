from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.pipeline import Pipeline, apply, on
from daemon.running.process.stage_times import StageTimes, percentile
from tests.builders import a_halt_requested, a_health_sample, a_health_tick

MS = 1_000_000


class Machine:
    """A clock that a handler moves by what it takes."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.takes_ns = 0
        self.seen: list[str] = []

    def on_tick(self, event: e.HealthTick) -> Iterator[e.Event]:
        self.seen.append("asked")
        self.now_ns += 7 * MS
        yield a_health_sample(ts_ns=event.ts_ns)
        self.now_ns += 5 * MS

    def apply_sample(self, _event: e.HealthSampled) -> None:
        self.seen.append("applied")
        self.now_ns += 3 * MS

    def tick(self) -> None:
        self.now_ns += self.takes_ns

    def pipeline(self) -> Pipeline:
        return Pipeline([on(e.HealthTick, self.on_tick), apply(e.HealthSampled, self.apply_sample)])


def test_a_timed_pipeline_says_and_does_the_same() -> None:
    plain, timed = Machine(), Machine()

    expected = plain.pipeline().step(a_health_tick())
    made = StageTimes(lambda: timed.now_ns).timed(timed.pipeline()).step(a_health_tick())

    assert made == expected
    assert timed.seen == plain.seen == ["asked", "applied"]


def test_a_handler_that_is_a_generator_is_timed_to_its_end() -> None:
    machine = Machine()
    times = StageTimes(lambda: machine.now_ns)
    pipeline = times.timed(machine.pipeline())
    for _ in range(3):
        pipeline.step(a_health_tick())

    told = times.summary().handlers

    assert list(told) == ["Machine.on_tick", "Machine.apply_sample"]
    assert [each.p99_ms for each in told.values()] == [12.0, 3.0]
    assert [each.calls for each in told.values()] == [3, 3]


def test_one_call_that_was_slow_long_ago_is_remembered_as_the_longest() -> None:
    machine = Machine()
    times = StageTimes(lambda: machine.now_ns)
    pipeline = times.timed(Pipeline([apply(e.HaltRequested, lambda _event: machine.tick())]))
    machine.takes_ns = 900 * MS
    pipeline.step(a_halt_requested())
    machine.takes_ns = MS
    for _ in range(300):
        pipeline.step(a_halt_requested())

    (told,) = times.summary().handlers.values()

    assert (told.p99_ms, told.max_ms, told.calls) == (1.0, 900.0, 301)


def test_a_step_is_told_in_its_parts_and_which_one_it_is_in() -> None:
    machine = Machine()
    times = StageTimes(lambda: machine.now_ns)
    event, doing = a_health_tick(), []
    for part in (times.begin, times.thought, times.committed, times.end):
        part(event)
        doing.append(times.doing)
        machine.now_ns += 4 * MS

    told = times.summary()

    assert doing == [
        "thinking about HealthTick",
        "writing HealthTick into the journal",
        "telling of HealthTick",
        "",
    ]
    assert (told.think.p99_ms, told.commit.p99_ms, told.step.p99_ms) == (4.0, 4.0, 12.0)
    assert list(told.inputs) == ["HealthTick"]


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([], 0.99) == 0.0
    assert percentile([5.0], 0.99) == 5.0
    assert percentile([float(each) for each in range(200)], 0.99) == 198.0
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0
