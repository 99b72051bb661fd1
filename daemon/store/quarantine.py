"""The quarantine: keeps what was told of a slot and is not believed, until somebody decides.

Belongs here: rows of it in the bar store. Why a candle is not believed belongs to layer 1, and what
an operator may do about it to the data commands.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import bindparam, func, insert, literal_column, or_, select, update

from daemon.store.bars import BarStore
from daemon.store.schema import QUARANTINE, text_of

_C = QUARANTINE.c
_KEY = (
    or_(bindparam("any_market") == literal_column("''"), _C.market == bindparam("market")),
    or_(bindparam("any_symbol") == literal_column("''"), _C.symbol == bindparam("symbol")),
    or_(
        bindparam("any_timeframe") == literal_column("0"),
        _C.timeframe_ns == bindparam("timeframe_ns"),
    ),
)
_COLUMNS = tuple(column for column in _C)
_INSERT = text_of(
    insert(QUARANTINE)
    .prefix_with("OR IGNORE")
    .values({column.name: bindparam(column.name) for column in _C if column.name != "id"})
)
_OPEN = text_of(
    select(*_COLUMNS).where(*_KEY, _C.accepted_ns.is_(None)).order_by(_C.open_ns, _C.id)
)
_COUNTS = text_of(
    select(_C.market, _C.symbol, _C.timeframe_ns, _C.reason, func.count())
    .where(*_KEY, _C.accepted_ns.is_(None))
    .group_by(_C.market, _C.symbol, _C.timeframe_ns, _C.reason)
)
_ACCEPT = text_of(
    update(QUARANTINE).where(_C.id == bindparam("row")).values(accepted_ns=bindparam("accepted"))
)


class Quarantined(Struct, frozen=True, kw_only=True):
    """One candle as it came: `open_ns` is the slot it speaks of, if that can be read, `origin` the
    place of a file or the exchange, `seen_ns` when it was told, in market time.
    """

    market: str
    symbol: str
    timeframe_ns: int
    open_ns: int | None
    reason: str
    detail: str
    raw: str
    source: str
    origin: str
    seen_ns: int
    accepted_ns: int | None = None
    id: int = 0


class Quarantine:
    """The rows of one bar store that are not believed; the same candle is kept once."""

    def __init__(self, store: BarStore) -> None:
        self._store = store

    def add(self, rows: Iterable[Quarantined]) -> int:
        """Keep rows in one transaction; how many of them were not there yet. BarStoreBroken."""
        values = [
            (
                *(row.market, row.symbol, row.timeframe_ns, row.open_ns, row.reason, row.detail),
                *(row.raw, row.source, row.origin, row.seen_ns, row.accepted_ns),
            )
            for row in rows
        ]
        if not values:
            return 0
        with self._store.writing() as connection:
            return max(0, connection.exec_driver_sql(_INSERT, values).rowcount)

    def waiting(
        self, market: str = "", symbol: str = "", timeframe_ns: int = 0
    ) -> list[Quarantined]:
        """Rows that nobody has decided about, oldest slot first; an empty name means any."""
        with self._store.rows(_OPEN, *_key(market, symbol, timeframe_ns)) as rows:
            return [_row(row) for row in rows]

    def counts(
        self, market: str = "", symbol: str = "", timeframe_ns: int = 0
    ) -> dict[tuple[str, str, int], dict[str, int]]:
        """How many rows wait, per series and reason."""
        found: dict[tuple[str, str, int], dict[str, int]] = {}
        with self._store.rows(_COUNTS, *_key(market, symbol, timeframe_ns)) as rows:
            for market_, symbol_, length_ns, reason, count in rows:
                found.setdefault((market_, symbol_, length_ns), {})[reason] = count
        return found

    def mark_accepted(self, ids: Sequence[int], accepted_ns: int) -> None:
        """An operator believes these rows; they stay, and wait no longer. BarStoreBroken."""
        with self._store.writing() as connection:
            connection.exec_driver_sql(_ACCEPT, [(accepted_ns, each) for each in ids])


def _key(market: str, symbol: str, timeframe_ns: int) -> tuple[object, ...]:
    return market, market, symbol, symbol, timeframe_ns, timeframe_ns


def _row(row: tuple[object, ...]) -> Quarantined:
    names = [column.name for column in _COLUMNS]
    return Quarantined(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]
