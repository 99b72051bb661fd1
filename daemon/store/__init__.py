"""What survives a crash: the journal, the bars, the models."""
