"""lmms-eval's rules (its release 0.7.3; but for BLINK the same at commit 75571cf). It asks no judge for these tasks: what its rules do not read is wrong.

Before any of them it takes `<think>…</think>` and `<analysis>…</analysis>` out (`--reasoning_tags`, its default; lmms_eval/api/reasoning.py).
Known faults are theirs and kept: in CV-Bench, and until 0.7.2 in BLINK, the first character decides, so that "The answer is B" is T and "<answer>B" nothing; in
3DSRBench the first letter of a chain of thought wins; in BLINK "Both chairs" is B and "the answer: a lamp" A.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from actial.evaluation.parity.reading import NOTHING, Reading

_TAGS = (("<think>", "</think>"), ("<analysis>", "</analysis>"))
_FIRST = re.compile(r"[(\s]*([a-z])", re.IGNORECASE)
_IN_ORDER = {
    "a letter at the start": re.compile(r"^([A-D])(?:[.\s)]|$)"),
    "the letter behind 'answer'": re.compile(r"[Aa]nswer[:\s]+([A-D])"),
    "the letter behind 'the answer is'": re.compile(r"[Tt]he answer is[:\s]+([A-D])"),
    "the letter behind 'my answer is'": re.compile(r"[Mm]y answer is[:\s]+([A-D])"),
    "the first letter in brackets": re.compile(r"\(([A-D])\)"),
    "the first letter before a full stop": re.compile(r"([A-D])\."),
    "the first letter that stands alone": re.compile(r"\b([A-D])\b"),
}
_SHORT_LINE_CHARS = 4
_BACKTICKS = (re.compile(r"``([^`]*)``"), re.compile(r"`([^`]*)`"), re.compile(r"\{([^}]*)\}"))
_WORD = re.compile(r"\b[a-f]\b(?!\s[a-z])", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """A completion without what stands in its tags of reasoning; behind the last closing one where none opens."""
    for begin, end in _TAGS:
        while (start := text.find(begin)) >= 0 and (stop := text.find(end, start)) >= 0:
            text = text[:start] + text[stop + len(end) :]
        if begin not in text:
            text = text.rsplit(end, 1)[-1]
    return text.strip()


def by_first_letter(text: str) -> Reading:
    """CV-Bench, and BLINK until 0.7.2 (tasks/cv_bench/utils.py, tasks/blink/utils.py)."""
    found = _FIRST.match(without_thoughts(text))
    return Reading(found[1].upper(), "the first character") if found else Reading(None, NOTHING)


def by_statement(text: str, letters: Collection[str]) -> Reading:
    """BLINK since 0.7.3 (tasks/blink/utils.py): a first line that is a letter; the last letter behind "answer"; the last in brackets; the first character.

    Args:
        letters: those of the row's options; nothing else is read.
    """
    text, among = without_thoughts(text), f"([{''.join(letters)}])"
    line = text.split("\n", 1)[0].strip()
    if len(line) <= _SHORT_LINE_CHARS and (alone := re.fullmatch(rf"\(?{among}\)?[\s.:,)]*", line, re.IGNORECASE)):
        return Reading(alone[1].upper(), "the first line, a letter")
    if said := re.findall(rf"answers?(?:\s+is)?\s*[-:]?\s*\(?{among}(?![a-z])", text, re.IGNORECASE):
        return Reading(said[-1].upper(), "the letter behind the last 'answer'")
    if bracketed := re.findall(rf"\({among}\)", text):
        return Reading(bracketed[-1], "the last letter in brackets")
    if first := re.match(rf"[(\s]*{among}", text, re.IGNORECASE):
        return Reading(first[1].upper(), "the first character, an option's letter")
    return Reading(None, NOTHING)


def by_patterns(text: str) -> Reading:
    """3DSRBench (tasks/3dsrbench/utils.py): the first pattern that is found anywhere."""
    text = without_thoughts(text)
    for rule, pattern in _IN_ORDER.items():
        if found := pattern.search(text):
            return Reading(found[1], rule)
    return Reading(None, NOTHING)


def by_backticks(text: str) -> Reading:
    """MMSI-Bench (tasks/mmsi_bench/utils.py): the first letter A to F that is a word before no word, in backticks and braces where there are any."""
    text = without_thoughts(text)
    for pattern in _BACKTICKS:
        if inside := pattern.search(text):
            text = inside[1]
    found = _WORD.search(text)
    return Reading(found[0].upper(), "the first lone letter A to F") if found else Reading(None, NOTHING)
