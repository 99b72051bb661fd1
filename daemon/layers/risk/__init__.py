"""Layer 5: turns a desired position into an approved order that respects every limit, or a denial.

Belongs here: how much may be risked, and when nothing may. `gates` say no, `sizing` says how much,
`verdicts` puts the two in order, `handler` keeps the state they read. How an order reaches a venue
belongs to execution.
"""

from daemon.layers.risk.handler import Risk
from daemon.layers.risk.policy import Policy

__all__ = ["Policy", "Risk"]
