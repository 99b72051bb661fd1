"""Doors through which people outside reach a running daemon; they ask, the core decides."""
