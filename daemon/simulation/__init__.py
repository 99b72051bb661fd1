"""Orders under faults: the shipped order path against a model of an exchange, in virtual time.

Belongs here: models of what is outside (clock, network, exchange, disk) and the judge of a run.
Nothing of the order path itself: `ours` only plugs together what ships.
"""
