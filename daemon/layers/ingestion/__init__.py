"""Layer 1: turns what an exchange says about its candles into closed bars without gaps.

Belongs here: which candles are believed, in which order they go out, and what is said about those
that are missing. Speaking to an exchange belongs to `daemon.venues`.
"""

from daemon.layers.ingestion.feed import Feed
from daemon.layers.ingestion.feed_config import FeedConfig, FeedCounts, Transport, transport_of
from daemon.layers.ingestion.gate import Refusal, accept
from daemon.layers.ingestion.history import History, load_history

__all__ = [
    "Feed",
    "FeedConfig",
    "FeedCounts",
    "History",
    "Refusal",
    "Transport",
    "accept",
    "load_history",
    "transport_of",
]
