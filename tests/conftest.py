"""Shared by all tests: only what pytest itself must know, no fixtures that act by themselves."""

from hypothesis import settings

# Speed differs between machines; a slow one has not found a bug.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
