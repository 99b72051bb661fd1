"""The life of one decision, told from a run's journal: found, gathered, and put into words.

Belongs here: reading events and saying what they say. What a journal does not hold is recomputed
by a core that is handed in; nothing here guesses.
"""
