"""From a completion to the option it chooses: named rules in a fixed order, tried on ever wider parts of the text.

1. the body of the last `<answer>` of the conclusion (what follows the last `</think>`);
2. the conclusion itself, where it carries no tag: as a whole, by the phrases that declare an answer, by its one line that is an option,
   by the letter it starts with;
3. the last `<answer>` inside the thought, where the conclusion is blank or the thought never ends (nothing else in an unfinished thought counts).

A rule that finds two different options stops the reading: ambiguous is `Unparsed`, never a guess. Letters count only if they are options.
Everything is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from actial.answers.parts import (
    AMBIGUOUS,
    BOXED,
    CLAUSE_END,
    DECLARED,
    DECORATION,
    EMPTY_TAG,
    NOT_FOUND,
    Unparsed,
    answering_part,
    is_asserted,
)
from actial.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from actial.records import LETTERS, Mode


@dataclass(frozen=True, slots=True)
class Answer:
    """An option that was read out of a completion."""

    letter: str
    rule: str


NOT_AN_OPTION, DISAGREE = Unparsed("not an option"), Unparsed("letter and text disagree")

Reading = Answer | Unparsed


def read_answer(completion: str, options: Sequence[str]) -> Reading:
    """The option that a completion chooses.

    Args:
        completion: what the model wrote, special tokens removed.
        options: option texts in the order shown, 1 to 26; option i has the letter LETTERS[i].

    Raises:
        ValueError: there are no options, or more than letters.
    """
    if not 1 <= len(options) <= len(LETTERS):
        raise ValueError(f"a question has 1 to {len(LETTERS)} options, not {len(options)}")
    part = answering_part(completion)
    if isinstance(part, Unparsed):
        return part
    choice = _Choice(options)
    reading = choice.read_body(part.text) if part.is_body else _read_conclusion(choice, part.text)
    return Answer(reading.letter, part.rule(reading.rule)) if isinstance(reading, Answer) else reading


def is_well_formed(completion: str, mode: Mode) -> bool:
    """Whether a completion keeps the form its mode asks for: every tag once, in order, with something in it, nothing outside but white space.

    think: `<think>…</think><answer>…</answer>`; direct: `<answer>…</answer>`; describe: some text without tags.
    """
    text = completion.strip()
    tags = (ANSWER_OPEN, ANSWER_CLOSE) if mode == "direct" else (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
    if mode == "describe":
        return bool(text) and not any(tag in text for tag in tags)
    if any(text.count(tag) != 1 for tag in tags) or (mode == "direct" and (THINK_OPEN in text or THINK_CLOSE in text)):
        return False
    between = _between(text, tags)
    outside, inside = between[0::2], between[1::2]
    return not any(part.strip() for part in outside) and all(part.strip() for part in inside)


def thought_of(completion: str) -> str:
    """What stands between the tags of thinking; nothing where a completion does not keep the form of mode think."""
    return completion.partition(THINK_OPEN)[2].partition(THINK_CLOSE)[0] if is_well_formed(completion, "think") else ""


def _between(text: str, tags: Sequence[str]) -> list[str]:
    """The stretches of text before, between and after tags that come in this order; something outside where the order is another."""
    parts = []
    for tag in tags:
        before, found, text = text.partition(tag)
        parts.append(before if found else tag)
    return [*parts, text]


def _renamed(reading: Reading, prefix: str) -> Reading:
    return Answer(reading.letter, f"{prefix}_{reading.rule}") if isinstance(reading, Answer) else reading


def _read_conclusion(choice: _Choice, text: str) -> Reading:
    """The conclusion has no tag: rules whole_*, boxed, declared, line, leading."""
    reading = choice.read_whole(text)
    if reading is not None:
        return _renamed(reading, "whole")
    return choice.read_declared(text) or choice.read_lines(text) or choice.read_leading(text) or NOT_FOUND


# ------------------------------------------------------------------------------------------------ rules

_LETTERED = re.compile(r"(?:(?:option|choice|answer)\s{0,3}:?\s{0,3})?[(\[]?\s{0,3}([A-Za-z])\s{0,3}(?:[)\].:,]{1,2}|$)(?=\s|$)", re.IGNORECASE)
_LETTER_IS_RIGHT = re.compile(r"\b(?:option|choice|answer)\s{1,3}[(\[]?([A-Za-z])[)\]]?\s{1,3}is\s{1,3}(?:the\s{1,3})?(?:correct|right|true)\b", re.IGNORECASE)
_LETTER_AT = re.compile(r"[(\[]?\s{0,3}([A-Za-z])\s{0,3}(?![A-Za-z0-9'’\-])[)\]*_`\"'”’.:,;!]{0,4}")
_WORD_AFTER = re.compile(r"\s{0,3}([A-Za-z]{1,20})")
_LONE_CAPITAL = re.compile(r"(?<![A-Za-z0-9'’\-])([A-Z])(?![A-Za-z0-9'’\-])")
_ARTICLE = re.compile(r"\s{1,3}(?!(?:or|and)\b)[A-Za-z]|['’]")
"""What follows a capital A or I that is a word and no letter of an option."""
_OR_LETTER = re.compile(
    r"\s{0,3}(?:,|/|and|or|&)\s{0,3}(?:(?:or|maybe|perhaps|possibly|even)\s{0,3}){0,2}(?:option\s{0,3}|choice\s{0,3})?[(\[*]{0,3}([A-Z])\b(?!['’])"
)
_REFUTED = re.compile(r"\s{0,3}(?:is|was|would\s{1,3}be|cannot\s{1,3}be|seems|looks)\s{1,3}(?:wrong|incorrect|false|not|unlikely)\b", re.IGNORECASE)
_ENUMERATED = re.compile(r"(?<![A-Za-z0-9'’\-])([A-Z])[).:]\s")
_DENIED = re.compile(r"\b(?:not|no|never|neither|nor|without|unlike|or)\b|n['’]t\b", re.IGNORECASE)
_GOES_ON = frozenset(("because", "since", "as", "which", "so", "for", "with", "and", "given", "due"))
"""Words after the letter A that leave it a letter; before other words it may be an article."""


class _Choice:
    """The options of one question, and the rules that read a stretch of text against them."""

    def __init__(self, options: Sequence[str]) -> None:
        self.letters = LETTERS[: len(options)]
        self.options = frozenset(option.strip() for option in options)
        self.longest = 100 + 3 * max(map(len, options))
        self.by_text: dict[str, list[str]] = {}
        self.by_joined: dict[str, list[str]] = {}
        for letter, option in zip(self.letters, options, strict=False):
            if normal := _normal(option):
                self.by_text.setdefault(normal, []).append(letter)
                self.by_joined.setdefault(_joined(normal), []).append(letter)

    def read_body(self, body: str) -> Reading:
        """What stands in a tag: rules tag_letter, tag_text, tag_lettered, tag_worded, boxed, declared, line, tag_phrase."""
        if not body.strip():
            return EMPTY_TAG
        reading = self.read_whole(body)
        if reading is not None:
            return _renamed(reading, "tag")
        return self.read_declared(body) or self.read_lines(body) or self._read_phrase(body) or NOT_AN_OPTION

    def read_whole(self, text: str) -> Reading | None:
        """The stretch is an option and nothing else: rules letter, text; with other case, marks or punctuation lettered, worded. None where it is not."""
        bare = text.strip(DECORATION)
        if len(bare) > self.longest:
            return None
        bare = unicodedata.normalize("NFKC", bare).strip(DECORATION)
        normal = _normal(bare)
        by_text = self.by_text.get(normal) or self.by_joined.get(_joined(normal), [])
        if len(bare) == 1 and bare.upper() in self.letters:
            letter = bare.upper()
            return Answer(letter, "letter" if text.strip() == letter else "lettered") if by_text in ([], [letter]) else AMBIGUOUS
        if by_text:
            return Answer(by_text[0], "text" if text.strip() in self.options else "worded") if len(by_text) == 1 else AMBIGUOUS
        return self._read_lettered(bare)

    def _read_lettered(self, bare: str) -> Reading | None:
        """`(B)`, `B.`, `option B`, or a letter followed by its own option's text."""
        match = _LETTERED.match(bare)
        if match is None or (letter := match[1].upper()) not in self.letters:
            return None
        rest = _normal(bare[match.end() :])
        if not rest:
            return Answer(letter, "lettered")
        named = self.by_text.get(rest)
        if named is None:
            return None
        return Answer(letter, "lettered") if letter in named else DISAGREE

    def read_declared(self, text: str) -> Reading | None:
        """The last box or declaration ("the answer is B", "option B is correct") that is neither a question nor taken back."""
        declarations = [*BOXED.finditer(text), *DECLARED.finditer(text), *_LETTER_IS_RIGHT.finditer(text)]
        for match in sorted(declarations, key=lambda m: m.start(), reverse=True):
            reading = self._read_box(match[1]) if match.re is BOXED else self._read_declaration(text, match)
            if reading is not None:
                return reading
        return None

    def _read_box(self, content: str) -> Reading:
        reading = self.read_whole(content)
        return NOT_AN_OPTION if reading is None else Answer(reading.letter, "boxed") if isinstance(reading, Answer) else reading

    def _read_declaration(self, text: str, match: re.Match[str]) -> Reading | None:
        if not is_asserted(text, match.start(), match.end()):
            return None
        if match.re is not _LETTER_IS_RIGHT:
            return self._read_from(text, match.end())
        return Answer(match[1].upper(), "declared") if match[1].upper() in self.letters else NOT_AN_OPTION

    def _read_from(self, text: str, start: int) -> Reading | None:
        """What a declaration's verb is followed by: an option's whole text, or a letter."""
        end = CLAUSE_END.search(text, start, start + 400)
        clause, line = text[start : end.start() if end else start + 400], text[start : start + 400].split("\n", 1)[0]
        for stretch in (line, clause):
            whole = self.read_whole(stretch)
            if whole is not None and not self._lists_options(line):
                return Answer(whole.letter, "declared") if isinstance(whole, Answer) else whole
        match = _LETTER_AT.match(text, start)
        if match is None:
            return None
        written, after = match[1], match.end()
        word = _WORD_AFTER.match(text, after)
        bare = match[0].strip() == written
        article = bare and word is not None and word[1].lower() not in _GOES_ON | {"or"}
        if (written.islower() and bare and word is not None) or (written.upper() in "AI" and article):
            return None
        if written.upper() not in self.letters:
            return NOT_AN_OPTION
        other = _OR_LETTER.match(text, after) or _OR_LETTER.match(text, match.end(1))
        if (other and other[1] in self.letters and other[1] != written.upper()) or self._lists_options(line):
            return AMBIGUOUS
        if _REFUTED.match(text, match.end(1)) or _REFUTED.match(text, after):
            return None
        named = self.by_text.get(_normal(clause[match.end() - start :]))
        if named is not None and written.upper() not in named:
            return DISAGREE
        return Answer(written.upper(), "declared")

    def _lists_options(self, line: str) -> bool:
        """Whether a line repeats two options or more as the question lists them: `A. left B. right`."""
        starts = {m[1]: f"{_normal(line[m.end() :])} " for m in _ENUMERATED.finditer(line)}
        return sum(after.startswith(f"{text} ") for text, owners in self.by_text.items() for letter, after in starts.items() if letter in owners) > 1

    def read_lines(self, text: str) -> Reading | None:
        """Rule line: of all lines, those that are an option and nothing else name the same one."""
        found = [r for line in text.splitlines() if (r := self.read_whole(line)) is not None]
        if any(isinstance(r, Unparsed) for r in found):
            return next(r for r in found if isinstance(r, Unparsed))
        letters = {r.letter for r in found if isinstance(r, Answer)}
        if len(letters) > 1:
            return AMBIGUOUS
        return Answer(letters.pop(), "line") if letters else None

    def read_leading(self, text: str) -> Reading | None:
        """Rule leading: the text starts with `B.`, `(B)`, `B,` or `B:`, and no other option's letter stands alone in it."""
        bare = text.strip(DECORATION)
        match = _LETTERED.match(bare)
        if match is None or match[1].upper() not in self.letters or match[1].islower():
            return None
        letter, rest = match[1], bare[match.end() :]
        if self._letters_in(rest) - {letter}:
            return AMBIGUOUS
        named = {owner for owners in self._named_in(rest).values() for owner in owners}
        return DISAGREE if named and letter not in named else Answer(letter, "leading")

    def _read_phrase(self, body: str) -> Reading | None:
        """Rule tag_phrase: a tag's short body contains the words of exactly one option, and nothing in it denies them."""
        normal = _normal(body)
        if len(normal.split()) > 16:
            return None
        found = self._named_in(body)
        first = _LONE_CAPITAL.match(body.strip(DECORATION))  # even an A: it may be the letter
        letters = {owner for owners in found.values() for owner in owners} | self._letters_in(body) | ({first[1]} & set(self.letters) if first else set())
        if len(letters) > 1:
            return AMBIGUOUS
        if not found:
            return None
        around = f" {normal} ".replace(f" {next(iter(found))} ", " ")
        return None if _DENIED.search(around) else Answer(letters.pop(), "tag_phrase")

    def _letters_in(self, text: str) -> set[str]:
        """Letters of options that stand alone in a text."""
        return {m[1] for m in _LONE_CAPITAL.finditer(text) if m[1] in self.letters and not (m[1] in "AI" and _ARTICLE.match(text, m.end()))}

    def _named_in(self, text: str) -> dict[str, list[str]]:
        """The options whose words stand in a text, with the letters that have them; not where they are part of a longer option or of a compound word."""
        normal = f" {_normal(_COMPOUND.sub(lambda compound: self._loosened(compound[0]), text))} "
        named = {}
        for option in sorted(self.by_text, key=len, reverse=True):
            if f" {option} " in normal:
                named[option] = self.by_text[option]
                normal = normal.replace(f" {option} ", " | ")
        return named

    def _loosened(self, compound: str) -> str:
        """`counter-clockwise` where an option has it, and `left-hand`, as words; `anti-clockwise` as one word, which is no `clockwise`."""
        words = _normal(compound)
        is_known = words.split()[-1] in _SIDEWAYS or any(f" {words} " in f" {option} " for option in self.by_text)
        return compound if is_known else compound.replace("-", "")


_COMPOUND = re.compile(r"(?<!\w)[^\W\d_]+(?:-[^\W\d_]+)+")
_SIDEWAYS = frozenset(("hand", "handed", "side", "ward", "wards"))
_WORDS = re.compile(r"(?<!\w)[+-]?\d+(?:\.\d+)?(?!\w)|[^\W_]+(?:'[^\W_]+)*")


def _normal(text: str) -> str:
    """Casefolded words, without punctuation; a sign before a number and a decimal point are kept."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("−", "-").replace("’", "'")
    return " ".join(_WORDS.findall(text))


def _joined(normal: str) -> str:
    """The same without spaces between words: counterclockwise is counter-clockwise. Numbers stay apart."""
    return normal if any(c.isdigit() for c in normal) else normal.replace(" ", "")
