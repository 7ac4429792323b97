"""VLMEvalKit's rules (open-compass/VLMEvalKit at e8e78f0), as `--judge exact_matching` runs them.

`by_options` is its reading of multiple choice in general (vlmeval/utils/matching_util.py: `can_infer`), `by_tail` that of its newer spatial benchmarks
(vlmeval/dataset/utils/spatial_bench/matching_func.py: `can_match_option`). Known faults are theirs and kept: "The answer is below" is B, "A chair" at the end
of a text is A, "<answer>Front" is F. Left out is what its files do to a text on the way: pandas reads an option `None` as no option, a column of numbers
with gaps as 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from actial.evaluation.parity.reading import NOTHING, Reading

NO_ANSWER = "Z"
"""Its letter for a refusal: never right."""
EMPTY = "nan"
"""What an empty completion becomes in its table."""
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_FAILED_CALL = "Failed to obtain answer via API"
_AS_SPACE = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_LAST_WORDS = 4
_ANSWER_IS = re.compile(r"answer\s+is\s+\**([a-d])", re.IGNORECASE)


def after_thought(text: str) -> str:
    """What is left of a completion where the environment sets SPLIT_THINK."""
    return text.split("</think>")[-1].strip() if "</think>" in text else text


def by_options(text: str, options: Mapping[str, str]) -> Reading:
    """A letter that stands alone among the last words, or behind "answer is"; else the one option whose text a short completion holds.

    Args:
        options: text by letter.
    """
    text = text or EMPTY
    if _FAILED_CALL not in text:
        reading = _by_letter(text, options)
        if reading is not None:
            return reading
    lower = text.lower()
    if len(lower) <= 2 * sum(map(len, options.values())):
        held = [letter for letter, option in options.items() if option.lower() in lower]
        if len(held) == 1:
            return Reading(held[0], "the only option whose text the completion holds")
    return Reading(None, NOTHING, by_judge=True)


def _by_letter(text: str, options: Mapping[str, str]) -> Reading | None:
    if any(refusal in text for refusal in _REFUSALS):
        return Reading(NO_ANSWER, "a refusal")
    words = text.translate(_AS_SPACE).split()
    alone = [letter for letter in options if letter in words]
    if len(alone) == 1 and words.index(alone[0]) >= len(words) - _LAST_WORDS:
        return Reading(alone[0], "the only letter that stands alone, among the last four words")
    if not alone and NO_ANSWER in words:
        return Reading(NO_ANSWER, "the letter Z")
    said = _ANSWER_IS.search(text)
    if said and said[1].upper() in options:
        return Reading(said[1].upper(), "the character behind the first 'answer is'")
    return None


# ------------------------------------------------------------------------------------------------ its spatial benchmarks

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff"))
_TAIL_CHARS, _TAIL_LINES = 800, 6
_OPEN, _SHUT = r"[(\[{（【]?\s*", r"\s*[)\]}}）】]?"
"""At most one bracket around a letter."""
_TAG, _TAG_END = re.compile(r"<\s*answer\b[^>]*>\s*([a-j])", re.IGNORECASE), re.compile(r"<\s*/\s*answer\s*>", re.IGNORECASE)
_BEFORE = {f"the letter before </{tag}>": re.compile(rf"(?<![a-z]){_OPEN}([a-f]){_SHUT}\s*</\s*{tag}\s*>", re.IGNORECASE) for tag in ("answer", "think")}
_THOUGHT_TAG = re.compile(r"<(?:(/)\s*|\s*)think\s*>", re.IGNORECASE)
_OPTION_LINE = re.compile(r"[*_>\-\s]*(?:option|选项)\s+[a-j]\s*[:：]", re.IGNORECASE)
_LONE = re.compile(r"[*_`>（）\[\]【】()]*\s*([a-f])\s*[*_`（）\[\]【】()]*", re.IGNORECASE)
_LABEL = re.compile(r"([a-f])\s*[.．:：)\]】、\-]\s+", re.IGNORECASE)
_IN_LINE = re.compile(r"(?<![A-Za-z])[*_`（\[{(]*\s*([A-F])\s*[*_`）\]})]*(?=$|[\s.,:;!?)\]】》」』，。；、：）])")
_PHRASE = re.compile(
    r"(?:final\s*answer|the\s*answer\s*is|answer(?:\s*is)?|correct\s*answer|答案|最终答案|结论|所以|因此|我选(?:择)?|选择|选)"
    rf"\s*[:：>＝=]?\s*{_OPEN}([a-f]){_SHUT}(?:\b|[.)、。])",
    re.IGNORECASE,
)
_CAPITAL = re.compile(rf"(?<![A-Za-z]){_OPEN}([A-F]){_SHUT}(?![A-Za-z])")


def by_tail(text: str) -> Reading:
    """The first letter in `<answer>`, else one before a closing tag, else in the last lines, else behind a phrase, else the only capital that stands alone.

    Letters are A to F (in a tag A to J), whatever the options. What it does not read is wrong, without a judge.
    """
    text = (text or EMPTY).strip().translate(_INVISIBLE)
    ends = [end.start() for end in _TAG_END.finditer(text)]
    if ends and (tagged := _TAG.search(text, 0, ends[-1])):
        return Reading(tagged[1].upper(), "the first character in <answer>")
    tail = text[-_TAIL_CHARS:]
    for rule, pattern in _BEFORE.items():
        if closed := pattern.search(tail):
            return Reading(closed[1].upper(), rule)
    for stretch in (_conclusion(text), tail):
        if letter := _in_last_lines(stretch):
            return Reading(letter, "a letter in one of the last six lines")
    if said := _PHRASE.search(text):
        return Reading(said[1].upper(), "the letter behind 'answer' or another phrase")
    kept = "\n".join(line for line in text.splitlines() if not _OPTION_LINE.match(line))
    found = set(_CAPITAL.findall(kept))
    return Reading(found.pop(), "the only capital that stands alone") if len(found) == 1 else Reading(None, NOTHING)


def _conclusion(text: str) -> str:
    """What follows the last `</think>`; without any, the last `<think>`; without either, all."""
    tags = list(_THOUGHT_TAG.finditer(text))
    last = [tag for tag in tags if tag[1]] or tags
    return text[last[-1].end() :].strip() if last else text


def _in_last_lines(text: str) -> str | None:
    for line in reversed([line.strip() for line in text.splitlines()[-_TAIL_LINES:]]):
        if not line or _OPTION_LINE.match(line):
            continue
        if found := _LONE.fullmatch(line) or _LABEL.match(line):
            return found[1].upper()
        letters = set(_IN_LINE.findall(line))
        if len(letters) == 1:
            return letters.pop()
    return None
