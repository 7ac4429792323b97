"""How far a long loop over views has come: a bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

LINE_EVERY_S = 10.0


class ViewProgress:
    """Shows views (or captures) a second and the time left. Use as a context manager. `name` is of what is being done."""

    def __init__(self, n: int, done: int, unit: str = "view", name: str = "render_views") -> None:
        self.n, self.done, self.unit, self.name = n, done, unit, name
        self.set_aside = 0
        self._first = done
        self._start_s = self._line_s = time.monotonic()
        self._bar = tqdm(total=n, initial=done, unit=unit, desc=name, smoothing=0.05) if sys.stderr.isatty() else None

    def __enter__(self) -> ViewProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, n: int, set_aside: bool = False, note: str = "") -> None:
        """Count `n` more; `set_aside`: they belong to something that had to be refused; `note`: what else to show."""
        self.done += n
        self.set_aside += n if set_aside else 0
        told = ", ".join(filter(None, [f"{self.set_aside:,} set aside" if self.set_aside else "", note]))
        if self._bar is not None:
            self._bar.set_postfix_str(told, refresh=False)
            self._bar.update(n)
            return
        now_s = time.monotonic()
        if now_s - self._line_s >= LINE_EVERY_S or self.done >= self.n:
            self._line_s = now_s
            rate = (self.done - self._first) / max(now_s - self._start_s, 1e-9)
            left_s = (self.n - self.done) / rate if rate else float("nan")
            parts = [f"{self.done:,} of {self.n:,} {self.unit}s", told, f"{rate:.1f} {self.unit}s/s", f"{left_s:.0f} s left"]
            print(f"{self.name}: {', '.join(filter(None, parts))}", flush=True)
