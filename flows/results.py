"""Where a finished pipeline is looked at."""

from pathlib import Path

SCORES = Path("outputs/evaluate/scores.md")
REPORT = Path("runs/report/index.html")
RESULTS = REPORT.with_name("results")
"""Its tables and charts, one by one."""
GALLERY = Path("runs/gallery/index.html")
EXPORTS = Path("runs/export")
