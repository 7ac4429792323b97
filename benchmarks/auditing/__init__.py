"""What `benchmarks/audit.py` audits beside our own questions."""
