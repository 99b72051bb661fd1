"""What leads a database of an earlier version to today's: statements, in order, one tuple per step.

Belongs here: the steps as SQL text. The tables as they are today, and taking the steps, belong to
`schema`. A step is never changed once it has landed, and it only adds: a table, an index, or a
column with a default, so that an older program that still has the file open can go on. Whoever
adds a step changes the tables in `schema` alike, new columns last; a test compares the two.
"""

from typing import TypeAlias

Steps: TypeAlias = tuple[tuple[str, ...], ...]

FIRST_VERSION = 1
JOURNAL_STEPS: Steps = ()
BARS_STEPS: Steps = (
    (
        "ALTER TABLE bar ADD COLUMN is_final INTEGER DEFAULT 1 NOT NULL",
        "ALTER TABLE bar ADD COLUMN suspicion TEXT",
        (
            "CREATE TABLE quarantine (id INTEGER NOT NULL, market TEXT NOT NULL, "
            "symbol TEXT NOT NULL, timeframe_ns INTEGER NOT NULL, open_ns INTEGER, "
            "reason TEXT NOT NULL, "
            "detail TEXT NOT NULL, raw TEXT NOT NULL, source TEXT NOT NULL, origin TEXT NOT NULL, "
            "seen_ns INTEGER NOT NULL, accepted_ns INTEGER, PRIMARY KEY (id)) STRICT"
        ),
        (
            "CREATE UNIQUE INDEX quarantine_once "
            "ON quarantine (market, symbol, timeframe_ns, reason, raw)"
        ),
    ),
)
