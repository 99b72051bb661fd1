"""What the daemon and its training process say to each other, one JSON document a line.

Belongs here: the words between the two processes. Training itself belongs to research.
"""

from msgspec import Struct


class TrainingSeries(Struct, frozen=True):
    """One series of bars: where it lies in the store, and what it is called in the model."""

    market: str
    symbol: str
    name: str


class TrainingJob(Struct, frozen=True, kw_only=True):
    """What the training process is told on its standard input."""

    bars_db: str
    registry: str
    market: str
    series: tuple[TrainingSeries, ...]
    timeframe: str
    features: dict[str, object]
    features_file: str
    since_ns: int
    until_ns: int
    settings: dict[str, int | float | bool | str]
    seed: int
    created_ns: int
    cache_megabytes: int = 0
    candidate: "CandidateJob | None" = None  # None: what is made is used, whatever its verdict


class CandidateJob(Struct, frozen=True, kw_only=True):
    """A model that is made beside a running daemon, and used only if its verdict lets it.

    Without windows it is made and judged as any other; with them on the newest bars alone.
    """

    windows_bars: tuple[int, ...] = ()
    held_out_bars: int = 0
    held_out_folds: int = 0
    memory_megabytes: int = 0  # of address space; 0: as much as there is


class TrainingProgress(Struct, frozen=True, kw_only=True):
    """One line of the training process's standard output; the last one names the model or the
    error.
    """

    done: int = 0
    total: int = 0
    what: str = ""
    model: str | None = None
    error: str | None = None
