"""How Actial fails: a user's mistake is one sentence and exit code 2; everything else is a bug and raises."""

from __future__ import annotations

import sys
from collections.abc import Callable

PREFIX = "actial: error: "
"""What the one sentence starts with on standard error; doors above a stage find it in the log by this."""

USER_ERROR_CODE = 2
"""Exit code of a user's mistake, as argparse has it."""


class UserError(Exception):
    """A user's mistake. The message names the key, file or row, the value, the limit and the remedy, in one sentence."""


class UnreadablePicture(UserError):
    """A picture whose bytes do not decode. Callers set the row aside and count it."""


class RefusedCapture(UserError):
    """A capture that is not readable, or too poor to ask about. Callers with many captures set it aside and count it.

    Args:
        sentence: with the capture's folder or file, the number and the limit.
        reason: the same in a few words, for counting.
    """

    def __init__(self, sentence: str, reason: str = "files not readable") -> None:
        super().__init__(sentence)
        self.reason = reason


class RefusedAsset(Exception):
    """An asset that is broken, unsafe or too poor to ask about. It is always set aside and counted.

    Args:
        reason: in a few words, for counting.
        why: the same as a sentence about "it", with the number and the limit.
    """

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason, self.why = reason, why


def exit_on_user_error(main: Callable[[], int | None]) -> int:
    """Run `main`; print a `UserError` as one line on standard error.

    Returns:
        The exit code: what `main` returned (None counts as 0), or 2 after a `UserError`.
    """
    try:
        return main() or 0
    except UserError as error:
        sentence = " ".join(str(error).split())
        print(f"{PREFIX}{sentence}", file=sys.stderr, flush=True)
        return USER_ERROR_CODE
