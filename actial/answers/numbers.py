"""From a completion to a number in a stated unit: angles, lengths, areas, counts.

The part of the completion that must hold the answer is found as for options (`parts`). In it one number must be told: numbers that differ, ranges and
bounds ("at least 2") are ambiguous. Those written in a unit of the asked sort come before bare ones, digits before words; a bare number is taken to be in
the asked unit. What follows an equals sign is the outcome of what stands before. Everything is linear in the length of the text.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from actial.answers.parts import AMBIGUOUS, BOXED, CLAUSE_END, DECLARED, EMPTY_TAG, NOT_FOUND, Unparsed, answering_part, is_asserted
from actial.answers.quantities import JOINED, UNITS, Quantity, plain, quantities

Unit = Literal["deg", "m", "cm", "m2", "s", "count", "plain"]
"""What a question asks for: degrees, metres, centimetres, square metres, seconds, how many, or a number without a unit."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that was read out of a completion."""

    value: float
    """In the unit that was asked for."""
    rule: str


NOT_A_NUMBER, ANOTHER_UNIT = Unparsed("not a number"), Unparsed("another unit")


def read_number(completion: str, unit: Unit, signs: Mapping[str, int] | None = None) -> Number | Unparsed:
    """The number that a completion answers with.

    Args:
        completion: what the model wrote, special tokens removed.
        unit: what the question asks for. A number in another unit of that sort is converted; one of another sort does not count.
        signs: words that give a number its sign, in lower case, as {"left": 1, "right": -1}. None: sides say nothing.
    """
    part = answering_part(completion)
    if isinstance(part, Unparsed):
        return part
    text = _Text(part.text, unit, signs or {})
    reading = text.read_body() if part.is_body else text.read_conclusion()
    return Number(reading.value, part.rule(reading.rule)) if isinstance(reading, Number) else reading


_ASKED: dict[str, tuple[str, float]] = {unit: UNITS[unit] for unit in ("deg", "m", "cm", "s")} | {"m2": UNITS["m^2"]}
_BARE = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_ROUGHLY = r"(?:about|approximately|approx|roughly|around|nearly|almost|exactly|estimated (?:at|to be)|a total of|there (?:are|is)|[~≈=])"
_AROUND = re.compile(rf"(?:[\s*_`\"'“”‘.()\[\]{{}}]|{_ROUGHLY}(?![A-Za-z]))*", re.IGNORECASE)
"""What may stand around a number without changing it."""
_BOUND = re.compile(
    r"(?:\b(?:more|less|fewer|greater|larger|smaller|longer|shorter) than|\bat (?:least|most)|\bup to|\bover|\bunder|(?:^|\s)[<>≤≥]=?) ?$", re.IGNORECASE
)
_BOUND_AFTER = re.compile(r" ?(?:\+|(?:or|and) (?:more|less|fewer|over|above|up)\b)", re.IGNORECASE)
_REFUSED = re.compile(r"(?:\bnot|n't|\bnever|\brather than|\binstead of) (?:be |about |exactly |just )?$", re.IGNORECASE)
_LONE_SIGN = re.compile(r"(?:^|[\n=:(]|\bis) ?[+-] $")
_EQUALS = re.compile(r"[=≈] ?(?:about |approximately |roughly )?$", re.IGNORECASE)
_STOP = re.compile(r"[.!?](?=\s|$)|\n")
_SIDE = re.compile(r"[a-z]+(?:-[a-z]+)?", re.IGNORECASE)


class _Text:
    """A part of a completion, and the numbers in it."""

    def __init__(self, text: str, unit: Unit, signs: Mapping[str, int]) -> None:
        self.written, self.text = text.strip(), plain(text)
        self.unit, self.signs = unit, signs
        self.sort, self.factor = _ASKED.get(unit, ("", 1.0))
        self.found = [q for q in quantities(self.text) if not q.is_name and not _REFUSED.search(self.text, max(0, q.start - 24), q.start)]
        self.starts = [q.start for q in self.found]

    def read_body(self) -> Number | Unparsed:
        """What stands in a tag: rules tag_number, tag_quantity, boxed, declared, tag_phrase."""
        if not self.written:
            return EMPTY_TAG
        return self._read_whole("tag") or self._read_declared() or self._read(0, len(self.text), "tag_phrase") or NOT_A_NUMBER

    def read_conclusion(self) -> Number | Unparsed:
        """A conclusion without a tag: rules whole_number, whole_quantity, boxed, declared, line, only."""
        return self._read_whole("whole") or self._read_declared() or self._read_lines() or self._read_only() or NOT_FOUND

    def _read_whole(self, where: str) -> Number | Unparsed | None:
        """The text is a number and nothing else: rule number; with a unit, or marks around it, quantity."""
        return self._read_alone(0, len(self.text), f"{where}_{'number' if _BARE.fullmatch(self.written) else 'quantity'}")

    def _read_declared(self) -> Number | Unparsed | None:
        """The last box or declaration ("the answer is about 2 m") that is neither a question nor taken back."""
        declarations = [*BOXED.finditer(self.text), *DECLARED.finditer(self.text)]
        for match in sorted(declarations, key=lambda m: m.start(), reverse=True):
            if match.re is BOXED:
                return self._read(*match.span(1), "boxed") or NOT_A_NUMBER
            if is_asserted(self.text, match.start(), match.end()):
                longest = min(len(self.text), match.end() + 400)
                stop = CLAUSE_END.search(self.text, match.end(), longest)
                reading = self._read_leading(match.end(), stop.start() if stop else longest, "declared")
                if reading is not None:
                    return reading
        return None

    def _read_lines(self) -> Number | Unparsed | None:
        """Rule line: of all lines, those that are a number and nothing else write the same one."""
        found, start = set(), 0
        for line in self.text.split("\n"):
            found.add(self._read_alone(start, start + len(line), "line"))
            start += len(line) + 1
        readings = found - {None}
        return AMBIGUOUS if len(readings) > 1 else next(iter(readings), None)

    def _read_only(self) -> Number | Unparsed | None:
        """Rule only: the one number of all sentences that are no questions."""
        stops = ((q, _STOP.search(self.text, q.end, q.end + 300)) for q in self.found)
        return self._read_some([q for q, stop in stops if not (stop and stop[0] == "?")], "only")

    def _read_alone(self, start: int, end: int, rule: str) -> Number | Unparsed | None:
        """A stretch that is one number and nothing else. None where it is not."""
        inside = self._inside(start, end)
        if len(inside) != 1 or not (_AROUND.fullmatch(self.text, start, inside[0].start) and _AROUND.fullmatch(self.text, inside[0].end, end)):
            return None
        return self._read(start, end, rule)

    def _read_leading(self, start: int, end: int, rule: str) -> Number | Unparsed | None:
        """The number that a clause begins with and what is joined to it, or else the one number of the clause."""
        inside = self._inside(start, end)
        if inside and _AROUND.fullmatch(self.text, start, inside[0].start) and self._is_asked(inside[0]):
            joined = [inside[0]]
            for q in inside[1:]:
                if not JOINED.fullmatch(self.text, joined[-1].end, q.start):
                    break
                joined.append(q)
            return self._read_some(joined, rule)
        return self._read(start, end, rule)

    def _read(self, start: int, end: int, rule: str) -> Number | Unparsed | None:
        """The one number of a stretch. None where there is none."""
        return self._read_some(self._inside(start, end), rule)

    def _inside(self, start: int, end: int) -> list[Quantity]:
        return self.found[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def _is_asked(self, q: Quantity) -> bool:
        return q.sort in (None, self.sort)

    def _read_some(self, inside: list[Quantity], rule: str) -> Number | Unparsed | None:
        """What numbers of one stretch say, if they say one thing."""
        candidates = self._candidates(inside)
        if not candidates:
            return ANOTHER_UNIT if inside else None
        outcomes = [i for i, q in enumerate(candidates) if _EQUALS.search(self.text, max(0, q.start - 20), q.start)]
        told = [candidates[i] for i in outcomes] + candidates[outcomes[-1] + 1 :] if outcomes else candidates
        if any(told[0].is_another(q) for q in told) or self._is_bound(told[0]):
            return AMBIGUOUS
        return self._signed(told[0], rule)

    def _is_bound(self, q: Quantity) -> bool:
        return bool(_BOUND.search(self.text, max(0, q.start - 24), q.start) or _BOUND_AFTER.match(self.text, q.end))

    def _candidates(self, inside: list[Quantity]) -> list[Quantity]:
        """The numbers that may be the answer: in a unit of the asked sort with what is joined to them, else bare digits, else words."""
        if asked := [q for q in inside if self.sort and q.sort == self.sort]:
            return asked
        bare = [q for q in inside if q.sort is None]
        return [q for q in bare if not q.in_words] or bare

    def _signed(self, q: Quantity, rule: str) -> Number | Unparsed:
        """A number in the asked unit, with the sign that a declared side in its clause gives it."""
        value = q.value / self.factor if q.sort else q.value
        if self.unit != "count" and _LONE_SIGN.search(self.text, max(0, q.start - 6), q.start):
            return AMBIGUOUS  # a bullet, or a minus
        sides = {self.signs[word] for word in _SIDE.findall(self._clause_of(q).lower()) if word in self.signs} if self.signs else set()
        if len(sides) > 1:
            return AMBIGUOUS
        for side in sides:
            if value and (value < 0 or self.text[q.start] == "+") and math.copysign(1, value) != side:
                return AMBIGUOUS
            value = math.copysign(value, side)
        return Number(value + 0.0, rule)

    def _clause_of(self, q: Quantity) -> str:
        """The words around a number, up to where its clause ends."""
        before = CLAUSE_END.split(self.text[max(0, q.start - 200) : q.start])[-1]
        end = CLAUSE_END.search(self.text, q.end, q.end + 200)
        return before + self.text[q.end : end.start() if end else q.end + 200]
