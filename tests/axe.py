"""axe-core, the accessibility checker, fetched by npm into the user's cache when it is first needed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from browser import Tab

VERSION = "4.10.3"


@functools.cache
def axe_source() -> str | None:
    """Its script; None where npm is not there or cannot fetch it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "actial-tests" / f"axe-core-{VERSION}.js"
    if not cache.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        with tempfile.TemporaryDirectory(prefix="axe-") as folder:
            call = [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", f"axe-core@{VERSION}"]
            try:
                subprocess.run(call, check=True, capture_output=True, timeout=90)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                return None
            cache.parent.mkdir(parents=True, exist_ok=True)
            unfinished = cache.with_name(f".{cache.name}.{os.getpid()}")
            shutil.copy(Path(folder) / "node_modules" / "axe-core" / "axe.min.js", unfinished)
            unfinished.replace(cache)
    return cache.read_text(encoding="utf-8")


def violations(tab: Tab, source: str) -> list[str]:
    """What axe finds wrong with the page that a tab shows (WCAG 2 A and AA, and its best practices): rule, remedy, where."""
    tab.patience_s = 120.0  # it looks at every pixel below every word, and other tests may be at work
    tab.value(f"{source}; undefined")
    found: list[dict[str, Any]] = tab.value("axe.run({ resultTypes: ['violations'] }).then((r) => r.violations)")
    return [f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes'][:3]]}" for rule in found]
