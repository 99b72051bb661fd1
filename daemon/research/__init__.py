"""Everything that happens off the clock: labels, walk-forward, training and the verdict on it."""
