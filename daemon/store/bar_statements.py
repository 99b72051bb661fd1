"""The statements of the bar store as text: written with SQLAlchemy, made once, run by the driver.

Belongs here: what is asked of the tables of bars and gaps. Using the answers belongs to `bars`.
"""

from sqlalchemy import bindparam, delete, func, insert, select, tuple_

from daemon.store.schema import BAR, GAP, text_of

_KEY = (
    BAR.c.market == bindparam("market"),
    BAR.c.symbol == bindparam("symbol"),
    BAR.c.timeframe_ns == bindparam("timeframe_ns"),
)
_IN_RANGE = (*_KEY, BAR.c.open_ns >= bindparam("since_ns"), BAR.c.open_ns < bindparam("until_ns"))
_NUMBERS = (BAR.c.open_ns, BAR.c.open, BAR.c.high, BAR.c.low, BAR.c.close, BAR.c.volume)
_ROW = (
    *(BAR.c.open_ns, BAR.c.revision, *_NUMBERS[1:]),
    *(BAR.c.received_ns, BAR.c.source, BAR.c.quality, BAR.c.is_final, BAR.c.suspicion),
)
RANGE = text_of(select(*_ROW).where(*_IN_RANGE).order_by(BAR.c.open_ns, BAR.c.revision))
RANGE_NUMBERS = text_of(select(*_NUMBERS).where(*_IN_RANGE).order_by(BAR.c.open_ns, BAR.c.revision))
TAIL = text_of(
    select(*_ROW)
    .where(*_KEY, BAR.c.open_ns < bindparam("until_ns"))
    .order_by(BAR.c.open_ns.desc(), BAR.c.revision.desc())
)
SPAN = text_of(
    select(
        func.min(BAR.c.open_ns), func.max(BAR.c.open_ns), func.count(BAR.c.open_ns.distinct())
    ).where(*_KEY)
)
_SERIES = (BAR.c.market, BAR.c.symbol, BAR.c.timeframe_ns)
# Each series is found by one step in the index from the series before: many bars cost nothing.
NEXT_SERIES = text_of(
    select(*_SERIES)
    .where(tuple_(*_SERIES) > tuple_(*(bindparam(column.name) for column in _SERIES)))
    .order_by(*_SERIES)
)
# Two seeks, where min and max of one SELECT would be a walk over all rows.
EDGES = text_of(
    select(
        select(func.min(BAR.c.open_ns)).where(*_KEY).scalar_subquery(),
        select(func.max(BAR.c.open_ns)).where(*_KEY).scalar_subquery(),
    )
)
STAMP = text_of(
    select(
        *(func.count(), func.min(BAR.c.open_ns), func.max(BAR.c.open_ns)),
        *(func.sum(BAR.c.revision), func.max(BAR.c.received_ns), func.total(BAR.c.close)),
    ).where(*_IN_RANGE)
)
ROWS = text_of(select(func.count()).select_from(BAR).where(*_KEY))
INSERT = text_of(insert(BAR))
_GAP_KEY = (
    GAP.c.market == bindparam("market"),
    GAP.c.symbol == bindparam("symbol"),
    GAP.c.timeframe_ns == bindparam("timeframe_ns"),
)
_GAP_END = GAP.c.first_open_ns + GAP.c["count"] * GAP.c.timeframe_ns
_FOUND = (
    select(func.count(BAR.c.open_ns.distinct()))
    .where(
        BAR.c.market == GAP.c.market,
        BAR.c.symbol == GAP.c.symbol,
        BAR.c.timeframe_ns == GAP.c.timeframe_ns,
        BAR.c.open_ns >= GAP.c.first_open_ns,
        BAR.c.open_ns < _GAP_END,
    )
    .scalar_subquery()
)
GAPS = text_of(
    select(GAP.c.first_open_ns, GAP.c["count"], GAP.c.cause, _FOUND)
    .where(*_GAP_KEY)
    .order_by(GAP.c.first_open_ns)
)
GAPS_BESIDE = text_of(
    select(GAP.c.first_open_ns, GAP.c["count"], GAP.c.cause).where(
        *_GAP_KEY,
        GAP.c.first_open_ns <= bindparam("until_ns"),
        bindparam("first_ns") <= _GAP_END,
    )
)
DELETE_GAP = text_of(
    delete(GAP).where(*_GAP_KEY, GAP.c.first_open_ns == bindparam("first_open_ns"))
)
INSERT_GAP = text_of(insert(GAP))
