"""Where settings come from, and where a finished pipeline is looked at."""

from pathlib import Path

INSTALLED_PROFILES = Path(__file__).resolve().parents[1] / "profiles"
"""Those that came with these programs: of a checkout its own, else what a wheel put beside them."""

SCORES = Path("outputs/evaluate/scores.md")
REPORT = Path("runs/report/index.html")
RESULTS = REPORT.with_name("results")
"""Its tables and charts, one by one."""
GALLERY = Path("runs/gallery/index.html")
EXPORTS = Path("runs/export")
