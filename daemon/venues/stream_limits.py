"""What exchanges allow on one stream connection: a table, and what holds where it is silent.

Belongs here: numbers by ccxt id and where they come from. Who keeps them is in `ccxt_shards` and
`ccxt_pace`; the budget of requests is in `budget`.
"""

from __future__ import annotations

from msgspec import Struct


class StreamLimits(Struct, frozen=True):
    """Of one connection; None is what the exchange does not say."""

    streams: int | None = None
    streams_per_message: int = 100
    messages_per_s: float | None = None  # pings and pongs count among them


UNTOLD = StreamLimits()
# Binance: "WebSocket Streams" of its spot API: 1,024 streams, 5 messages a second with pings and
# pongs; that a message may name 200 is ours, a few kB each.
BINANCE = StreamLimits(streams=1_024, streams_per_message=200, messages_per_s=5)
LIMITS = {
    "binance": BINANCE,
    "binanceus": BINANCE,
    # Bitget: "Websocket API": 1,000 channels, 10 messages a second, 240 subscription messages an
    # hour. ccxt sends one message for each candle stream, so 100 leave room to come back.
    "bitget": StreamLimits(streams=100, messages_per_s=10),
    # Bitfinex: "Public Channels": 25 channels at the same time.
    "bitfinex": StreamLimits(streams=25),
    # Bybit: "Connect" of v5: ten topics in a message of spot; of a connection it counts
    # characters, which nothing here comes near.
    "bybit": StreamLimits(streams_per_message=10),
    # KuCoin: its FAQ: 300 topics, 100 messages in 10 s.
    "kucoin": StreamLimits(streams=300, messages_per_s=10),
    # MEXC: "Websocket Market Streams": 30 subscriptions.
    "mexc": StreamLimits(streams=30),
}


def limits_of(ccxt_id: str) -> StreamLimits:
    """What is known of this exchange; OKX and Gate, among others, name no number of streams."""
    return LIMITS.get(ccxt_id, UNTOLD)
