"""Alerts of a run: from log events to messages that reach a person."""
