"""Reports: turns what a run of any mode wrote down into figures, tables and one page."""
