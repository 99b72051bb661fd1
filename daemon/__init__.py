"""tradingd: an event-driven trading daemon that turns closed bars into explained orders."""

__version__ = "0.1.0"
