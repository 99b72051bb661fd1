"""Logs: turns committed events and the edge's own remarks into JSON lines or columns.

Belongs here: names, fields and forms of lines. What happened belongs to the events.
"""
