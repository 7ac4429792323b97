"""The log of a worker, its standard output and error: Blender tells there how far each picture is, fifty lines a view, and nobody wants to read that of a
scene that came out well."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys

PROGRESS = re.compile(rb"^(?:Fra:|Saved: | ?Time: ).*\n|^\s*\n", re.MULTILINE)
"""Lines of Blender's on its progress, and empty ones."""


class WorkerLog:
    """This process's standard output where that is a file, as the supervisor has it."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._read_to = 0

    def drop_progress(self) -> None:
        """Take out what Blender told of its progress since the last call. What a scene in hand told stays, for whoever asks why it came to no end."""
        if not self._is_file:
            return
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # Blender's own buffer
        start, end = self._read_to, os.lseek(self._fd, 0, os.SEEK_END)
        messages = PROGRESS.sub(b"", os.pread(self._fd, end - start, start))
        os.ftruncate(self._fd, start)
        os.lseek(self._fd, start, os.SEEK_SET)  # of standard error, too: the supervisor opened one file for both
        os.write(self._fd, messages)
        self._read_to = start + len(messages)
