"""Models around a run: trained in processes of their own, loaded, proven, handed to the core."""
