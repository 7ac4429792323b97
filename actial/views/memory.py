"""How much memory a process holds, and how much each of several may."""

from __future__ import annotations

from pathlib import Path

import psutil

SHARE = 0.8
"""Of the machine's memory, for all workers together."""
LEAST_MB = 1024
"""Blender with BlenderProc takes 450 MB before the first picture."""


def held_mb(pid: int) -> int:
    """Resident memory of a process; 0 where it has just ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0


def share_mb(n_workers: int) -> int:
    """What each of so many workers may hold: an equal part of 80 % of the memory that this machine, or the container, has."""
    return max(LEAST_MB, int(SHARE * _memory_bytes() / 1e6 / n_workers))


def _memory_bytes() -> int:
    return min([psutil.virtual_memory().total, *_cgroup_limits()])


def _cgroup_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Limits (bytes) of the control groups that this process is in, of either version; none outside Linux."""
    if not groups.exists():
        return []
    limits = []
    for _, controllers, own in (line.split(":", 2) for line in groups.read_text().splitlines()):
        if controllers not in ("", "memory"):
            continue
        top, name = (root, "memory.max") if controllers == "" else (root / "memory", "memory.limit_in_bytes")
        folder = top / own.strip("/")
        files = [f for f in (p / name for p in (folder, *folder.parents) if p.is_relative_to(top)) if f.exists()]
        limits += [int(text) for text in (f.read_text().strip() for f in files) if text != "max"]
    return limits
