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
BARS_STEPS: Steps = ()
