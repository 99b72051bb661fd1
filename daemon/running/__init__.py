"""The running daemon: turns a request into a world, a session and its tasks, until it stops.

Belongs here: everything that starts, drives and ends one run at the edge. What is decided belongs
to the core and the layers, typing and printing to `cli`.
"""
