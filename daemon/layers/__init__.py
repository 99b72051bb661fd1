"""The seven layers, each of which turns the events of the one before into those of the next.

Belongs here: decisions, synchronous and without clock, files or network. No layer imports another:
what they say to each other stands in `daemon.core.events`, who hears whom in the route table of
`daemon.app`.
"""
