"""The parts of `benchmarks/learning.py`, and the rows it has made so far: `results.jsonl`, one line a seed and arm."""
