"""The daemon as a process: from its steps, memory and clocks to levels and signs of life."""
