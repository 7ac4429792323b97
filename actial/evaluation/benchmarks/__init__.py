"""One file a benchmark: load, chance, protocol."""
