"""What is plugged into the core from outside: clocks, feeds and venues of each exchange."""
