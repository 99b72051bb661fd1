"""Our books against the exchanges': read, compared, adopted by rule, told in words."""
