"""How far a long loop over views has come: a bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

LINE_EVERY_S = 10.0


class ViewProgress:
    """Shows views (or captures) a second and the time left. Use as a context manager."""

    def __init__(self, n: int, done: int, unit: str = "view") -> None:
        self.n, self.done, self.unit = n, done, unit
        self._first = done
        self._start_s = self._line_s = time.monotonic()
        self._bar = tqdm(total=n, initial=done, unit=unit, desc="render_views", smoothing=0.05) if sys.stderr.isatty() else None

    def __enter__(self) -> ViewProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, n: int) -> None:
        self.done += n
        if self._bar is not None:
            self._bar.update(n)
            return
        now_s = time.monotonic()
        if now_s - self._line_s >= LINE_EVERY_S or self.done >= self.n:
            self._line_s = now_s
            rate = (self.done - self._first) / max(now_s - self._start_s, 1e-9)
            left_s = (self.n - self.done) / rate if rate else float("nan")
            print(f"render_views: {self.done:,} of {self.n:,} {self.unit}s, {rate:.1f} {self.unit}s/s, {left_s:.0f} s left", flush=True)
