"""The gate between paper and real orders: from what paper trading has shown to a yes or a no."""
