"""What readings of completions share: why one failed, the parts of a completion, and where it declares its answer.

The parts are tried in this order: the body of the last `<answer>` of the conclusion (what follows the last `</think>`); the conclusion itself, where it
carries no tag; the last `<answer>` inside the thought, where the conclusion is blank or the thought never ends (nothing else in an unfinished thought
counts). Everything is linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unparsed:
    """No answer could be read."""

    reason: str
    """`nothing written`, `unfinished thought`, `no answer found`, `empty tag`, `not an option`, `ambiguous` or `letter and text disagree`; of numbers
    `not a number` and `another unit`."""


EMPTY, UNFINISHED, NOT_FOUND, EMPTY_TAG = Unparsed("nothing written"), Unparsed("unfinished thought"), Unparsed("no answer found"), Unparsed("empty tag")
AMBIGUOUS = Unparsed("ambiguous")

DECORATION = " \t\r\n*_`\"'“”‘’$"
"""What may stand around an answer without changing it."""

BOXED = re.compile(r"\\boxed\s{0,3}\{\s{0,3}(?:\\text(?:bf)?\s{0,3}\{)?([^{}\n]{0,300})\}")
DECLARED = re.compile(
    r"(?:\b(?:answer|choice|option|conclusion)[\s*\"']{0,4}(?:is\b|would\s{1,3}be\b|should\s{1,3}be\b|must\s{1,3}be\b|:|=)"
    r"|\bI(?:'d|\s{1,3}would|'ll|\s{1,3}will)?\s{1,3}(?:choose|pick|select|go\s{1,3}with)\b)"
    r"\s{0,3}:?[ \t*_`\"'“‘]{0,6}(?:(?:option|choice|letter)\b\s{0,3})?",
    re.IGNORECASE,
)
"""The words that declare an answer, up to where it begins."""
CLAUSE_END = re.compile(r"[.!?;\n](?=\s|$)|\n")
_SENTENCE_BREAK = re.compile(r"[.!?;:\n]")
_SENTENCE_END = re.compile(r"[.!?\n]")
_TAKEN_BACK = re.compile(r"\b(?:not|never|if|whether|unless|suppose|doubt|either|neither|cannot|could|might|maybe|perhaps)\b|n['’]t\b", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<\s{0,3}(/?)\s{0,3}answer\s{0,3}>", re.IGNORECASE)
_CLOSING = "</answer>"
_THINK_OPEN = re.compile(r"<\s{0,3}think\s{0,3}>", re.IGNORECASE)
_THINK_CLOSE = re.compile(r"<\s{0,3}/\s{0,3}think\s{0,3}>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a completion that must hold its answer."""

    text: str
    is_body: bool
    """Whether it is what stands in an `<answer>`; else it is a conclusion without one."""
    places: tuple[str, ...]
    """Where it was found, if not where it should be: `thought`, `open` (its tag was never closed)."""
    start: int
    """Place of its first letter in the completion."""

    def rule(self, name: str) -> str:
        """The name of the rule that read it, with where it was found."""
        return "_".join((*self.places, name))


def answering_part(completion: str) -> Part | Unparsed:
    """The part of a completion that must hold its answer, or why there is none."""
    if not completion.strip():
        return EMPTY
    thought, conclusion = _split_thought(completion)
    if conclusion.strip():
        start = len(completion) - len(conclusion)
        return _last_body(conclusion, (), start) or Part(conclusion, False, (), start)
    return _last_body(thought, ("thought",), 0) or (NOT_FOUND if _THINK_CLOSE.search(completion) else UNFINISHED)


def answer_span(completion: str) -> tuple[int, int] | None:
    """Where in a completion its answer begins and ends, white space left out; None where none stands in an `<answer>`."""
    part = answering_part(completion)
    if isinstance(part, Unparsed) or not part.is_body or not (body := part.text.strip()):
        return None
    start = part.start + part.text.index(body)
    return start, start + len(body)


def is_asserted(text: str, start: int, end: int) -> bool:
    """Whether the sentence around a declaration states it: it is no question, and no word before it takes it back."""
    before = _SENTENCE_BREAK.split(text[max(0, start - 200) : start])[-1]
    stop = _SENTENCE_END.search(text, end, end + 300)
    return _TAKEN_BACK.search(before) is None and not (stop and stop[0] == "?")


def _split_thought(completion: str) -> tuple[str, str]:
    """What stands before and after the last `</think>`. Without one, all is thought where a `<think>` opens, else all is conclusion."""
    ends = [(tag.start(), tag.end()) for tag in _THINK_CLOSE.finditer(completion)]
    if ends:
        return completion[: ends[-1][0]], completion[ends[-1][1] :]
    return (completion, "") if _THINK_OPEN.search(completion) else ("", completion)


def _last_body(text: str, places: tuple[str, ...], start: int) -> Part | None:
    """What stands in the last `<answer>`. None where there is no tag, or only closing ones. `start`: place of `text` in the completion."""
    closed, opened = None, None
    for tag in _ANSWER_TAG.finditer(text):
        if tag[1] and opened is not None:
            closed, opened = (opened, tag.start()), None
        elif not tag[1]:
            opened = tag.end()
    if opened is not None and (text[opened:].strip() or closed is None):
        return Part(_without_cut_tag(text[opened:]), True, (*places, "open"), start + opened)
    return None if closed is None else Part(text[slice(*closed)], True, places, start + closed[0])


def _without_cut_tag(text: str) -> str:
    """A text without the closing tag that it ends in the middle of: `B</ans`."""
    start = text.rfind("<", -len(_CLOSING))
    return text[:start] if start >= 0 and _CLOSING.startswith(text[start:].lower()) else text
