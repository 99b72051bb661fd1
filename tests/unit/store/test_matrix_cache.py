"""The cache says what the store says, to the bit, whatever happened to either."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon.core.bars import Bar
from daemon.store.bar_pruning import BarPruning
from daemon.store.bars import BarStore, SeriesKey
from daemon.store.matrix_cache import PIECE_BARS, MatrixCache
from tests.builders import a_bar

MINUTE_NS = 60_000_000_000
START_NS = PIECE_BARS * MINUTE_NS * 800  # where a piece begins
KEY = ("m", "BTC/USDT", MINUTE_NS)
BARS = 2_500


def bar_at(n: int, close: float = 42_000.5, received_ns: int = 1) -> Bar:
    open_ns = START_NS + n * MINUTE_NS
    return a_bar(
        open_ns=open_ns,
        close_ns=open_ns + MINUTE_NS,
        close=close + n / 7,
        received_ns=received_ns,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BarStore]:
    opened = BarStore.open(tmp_path / "bars.db")
    opened.append("m", MINUTE_NS, [bar_at(n) for n in range(BARS)])
    yield opened
    opened.close()


@pytest.fixture
def cache(tmp_path: Path) -> MatrixCache:
    return MatrixCache.beside(tmp_path / "bars.db", 10)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*.npy"))


def check(cache: MatrixCache, store: BarStore, *span: int) -> None:
    for said, true in zip(
        cache.read_arrays(store, *KEY, *span), store.read_arrays(*KEY, *span), strict=True
    ):
        assert said.dtype == true.dtype
        assert said.tobytes() == true.tobytes()


def test_the_second_reading_comes_from_a_file_and_is_the_same(
    store: BarStore, cache: MatrixCache, tmp_path: Path
) -> None:
    check(cache, store)
    (path,) = files(tmp_path)
    table = np.load(path)
    table["ohlcv"][7, 3] = 1.0  # only who reads the file can see this
    np.save(path, table)

    _, ohlcv = cache.read_arrays(store, *KEY)

    assert ohlcv[7, 3] == 1.0


def test_any_part_of_a_piece_is_cut_from_the_same_file(
    store: BarStore, cache: MatrixCache, tmp_path: Path
) -> None:
    for first, last in ((0, BARS), (100, 200), (BARS - 1, BARS + 5), (0, 1)):
        check(cache, store, START_NS + first * MINUTE_NS, START_NS + last * MINUTE_NS)
    check(cache, store, START_NS + 100, START_NS + 3 * MINUTE_NS + 1)
    check(cache, store, START_NS + BARS * MINUTE_NS)
    check(cache, store, 0, START_NS)

    assert len(files(tmp_path)) == 1


def test_a_revision_a_new_bar_and_a_prune_are_seen_at_once(
    store: BarStore, cache: MatrixCache, tmp_path: Path
) -> None:
    check(cache, store)
    store.append("m", MINUTE_NS, [bar_at(5, close=7.0, received_ns=2)])
    check(cache, store)
    store.append("m", MINUTE_NS, [bar_at(BARS)])
    check(cache, store)
    with BarPruning(tmp_path / "bars.db") as pruning:
        pruning.prune(SeriesKey(*KEY), START_NS + 10 * MINUTE_NS)
    check(cache, store)

    assert len(files(tmp_path)) == 4


def test_a_broken_file_is_made_again(store: BarStore, cache: MatrixCache, tmp_path: Path) -> None:
    check(cache, store)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[: len(whole) // 2], b"no array at all"):
        path.write_bytes(broken)

        check(cache, store)

        assert path.read_bytes() == whole


def test_the_folder_never_grows_over_its_bound_and_the_oldest_goes(
    store: BarStore, tmp_path: Path
) -> None:
    cache = MatrixCache(tmp_path / "cache", 2 * BARS * 48 + 1_000)
    for n in range(4):
        store.append("m", MINUTE_NS, [bar_at(5, close=float(n), received_ns=2 + n)])
        check(cache, store)

    assert len(files(tmp_path)) == 2
    assert sum(each.stat().st_size for each in files(tmp_path)) <= 2 * BARS * 48 + 1_000


def test_without_room_nothing_is_kept(store: BarStore, tmp_path: Path) -> None:
    check(MatrixCache.beside(tmp_path / "bars.db", 0), store)

    assert not (tmp_path / "cache").exists()
