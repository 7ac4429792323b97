"""Models and processors: loading, the tiny base, budgets."""
