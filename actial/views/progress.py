"""How far a long loop over views has come: a bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

LINE_EVERY_S = 10.0


class ViewProgress:
    """Shows views a second and the time left. Use as a context manager."""

    def __init__(self, n_views: int, done: int) -> None:
        self.n_views, self.done = n_views, done
        self._first = done
        self._start_s = self._line_s = time.monotonic()
        self._bar = tqdm(total=n_views, initial=done, unit="view", desc="render_views", smoothing=0.05) if sys.stderr.isatty() else None

    def __enter__(self) -> ViewProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, n_views: int) -> None:
        self.done += n_views
        if self._bar is not None:
            self._bar.update(n_views)
            return
        now_s = time.monotonic()
        if now_s - self._line_s >= LINE_EVERY_S or self.done >= self.n_views:
            self._line_s = now_s
            rate = (self.done - self._first) / max(now_s - self._start_s, 1e-9)
            left_s = (self.n_views - self.done) / rate if rate else float("nan")
            print(f"render_views: {self.done:,} of {self.n_views:,} views, {rate:.1f} views/s, {left_s:.0f} s left", flush=True)
