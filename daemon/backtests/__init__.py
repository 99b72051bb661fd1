"""Backtests: turns recorded bars into a run like any other, with the models it would have had.

Belongs here: wiring research to the core. The simulated venue belongs to `research`.
"""
