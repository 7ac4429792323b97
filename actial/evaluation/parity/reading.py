"""What a kit's rules make of a completion."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "no rule reads it"


@dataclass(frozen=True, slots=True)
class Reading:
    """A kit's answer."""

    letter: str | None
    """None where none of its rules reads one."""
    rule: str
    """The rule that read it, in a few words."""
    by_judge: bool = False
    """Whether the kit, as it is run by default, would now ask a language model, and where that fails draw a letter at random."""
