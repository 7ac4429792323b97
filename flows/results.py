"""Where a finished pipeline is looked at."""

from pathlib import Path

SCORES = Path("outputs/evaluate/scores.md")
REPORT = Path("runs/report/index.html")
GALLERY = Path("runs/gallery/index.html")
EXPORTS = Path("runs/export")
