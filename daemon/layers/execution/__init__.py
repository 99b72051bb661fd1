"""Layer 6: turns approved orders into durable intents, and a venue's reports into what happened.

Belongs here: what is sent when, and what an answer means. `reports` reads answers, `working` makes
child orders of what was approved, `protection` keeps a stop behind every position, `intents` names
and words an order. Talking to a venue belongs to venues, money to the book.
"""

from daemon.layers.execution.handler import Execution

__all__ = ["Execution"]
