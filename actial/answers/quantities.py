"""Numbers and their units as people and models write them in a text: digits or words, thousands, decimal commas, LaTeX, several units of one sort.

Everything is linear in the length of the text.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace

_SORTS: dict[str, dict[str, float]] = {
    "angle": {"deg degs degree degrees °": 1.0, "rad rads radian radians": math.degrees(1)},
    "length": {
        "m meter meters metre metres": 1.0,
        "mm millimeter millimeters millimetre millimetres": 1e-3,
        "cm cms centimeter centimeters centimetre centimetres": 1e-2,
        "dm decimeter decimeters decimetre decimetres": 0.1,
        "km kilometer kilometers kilometre kilometres": 1e3,
        "in inch inches": 0.0254,
        "ft foot feet": 0.3048,
        "yd yds yard yards": 0.9144,
    },
    "area": {"m^2": 1.0, "cm^2": 1e-4, "ft^2": 0.3048**2},
    "time": {"s sec secs second seconds": 1.0, "ms milliseconds": 1e-3, "min mins minute minutes": 60.0, "h hour hours": 3600.0},
    "share": {"% percent": 1.0},
    "picture": {"px pixel pixels": 1.0},
}
UNITS = {word: (sort, factor) for sort, units in _SORTS.items() for words, factor in units.items() for word in words.split()}
"""Of each unit its sort, and how many of the sort's first unit it is."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it stands in a text."""

    value: float
    """In its sort's first unit (degrees, metres, square metres, seconds); nan where the digits write no one number."""
    sort: str | None
    """`angle`, `length`, …; None for a bare number."""
    factor: float
    """How many of the sort's first unit its unit is."""
    half_step: float
    """Half of its last digit's worth, in the sort's first unit."""
    start: int
    end: int
    """Where it stands, with its unit."""
    in_words: bool
    is_name: bool = False
    """Whether it tells pictures or steps apart: picture 2."""

    def is_another(self, other: Quantity) -> bool:
        """Whether two say different things. In another unit the same may be rounded."""
        apart = abs(self.value - other.value)
        rounding = max(1e-9 * abs(self.value), 0.0 if self.factor == other.factor and self.sort == other.sort else other.half_step)
        return not apart <= rounding  # nan is different from all


def plain(text: str) -> str:
    """A text in which signs, spaces and units are written in one way."""
    text = _THIN_SPACE.sub(",", text).translate(_SIGNS)
    for pattern, instead in _LATEX if "\\" in text or "{" in text else ():
        text = pattern.sub(instead, text)
    return _SPACES.sub(" ", text)


def quantities(text: str) -> list[Quantity]:
    """Every number of a plain text, in order."""
    read = [q for match in _DIGITS.finditer(text) if (q := _in_digits(text, match))]
    read += [q for match in _WORDS.finditer(text) if (q := _in_words(text, match))]
    return _shared(text, _named(text, _compounded(text, _apart(sorted(read, key=lambda q: q.start)))))


# ------------------------------------------------------------------------------------------------ one number

_ALIKE = (("−–—‐‑", "-"), ("º˚", "°"), ("$\u00a0\u2009\u202f\t\r", " "))
_SIGNS = str.maketrans({"²": "^2", "’": "'", "～": "~", "⁄": "/", "½": "1/2"} | {sign: one for signs, one in _ALIKE for sign in signs})
_THIN_SPACE = re.compile(r"(?<=[0-9])[\u202f\u2009](?=[0-9]{3}(?![0-9]))")
_SPACES = re.compile(r"  +")
_LATEX = (
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s?\{([^{}\n]{0,60})\}"), r" \1 "),
    (re.compile(r"\s?\^\s?(?:\{\s?\\circ\s?\}|\\circ\b)|\\(?:degree|circ)\b"), "°"),
    (re.compile(r"\^\{\s?2\s?\}"), "^2"),
    (re.compile(r"\\(?:approx|sim|simeq)\b"), "≈"),
    (re.compile(r"\\pm\b"), "±"),
    (re.compile(r"\\(?:times|cdot)\b"), "×"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,;: !]"), " "),
)
_DIGITS = re.compile(r"(?<![A-Za-z0-9_])(?<![0-9][.,])((?<![0-9)\]°])[+-])?(\.?[0-9][0-9.,]*)(?:[eE]([+-]?[0-9]{1,3})(?![A-Za-z0-9]))?")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_CONTINENTAL = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]+)|[0-9]+,[0-9]+")
"""Dots between thousands, where there are two or a comma follows; a comma before the decimals. `1,500` is taken for thousands, as prompts are English."""
_LONGEST_DIGITS = 40

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_ONES = {word: i for i, word in enumerate(_SMALL.split())}
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * i for i, word in enumerate(_ROUND.split(), start=2)}
_BELOW_TEN = "one|two|three|four|five|six|seven|eight|nine"
_BELOW_HUNDRED = rf"(?:(?P<tens>{'|'.join(_TENS)})(?:[ -](?P<unit>{_BELOW_TEN}))?|(?P<ones>{'|'.join(_ONES)}))"
_WORDS = re.compile(rf"\b(?:(?P<hundreds>{_BELOW_TEN}|an?)[ -]hundred(?:(?: and)? {_BELOW_HUNDRED})?|{_BELOW_HUNDRED.replace('P<', 'P<b_')})\b", re.IGNORECASE)
_THE_ONE = re.compile(r"\b(?:the|this|that|no|which|each|every|another|other|any|first|second|last|only|left|right) $", re.IGNORECASE)
_ONE_THAT = re.compile(r" (?:of|is|that|which|on|by|in|at|with|another)\b", re.IGNORECASE)
"""What makes of a word `one` no number."""
_MINUS = re.compile(r"\b(?:minus|negative) $", re.IGNORECASE)

_AREA = re.compile(
    r"(?P<cm>sq\.? ?cm|square (?:cm|centimet(?:er|re)s?)|(?:cm|centimet(?:er|re)s?)(?: ?\^ ?2|2| squared))(?![A-Za-z0-9])"
    r"|(?P<ft>sq\.? ?(?:ft|feet|foot)|square (?:ft|feet|foot)|(?:ft|feet|foot)(?: ?\^ ?2|2| squared))(?![A-Za-z0-9])"
    r"|(?P<m>sq\.? ?(?:m|met(?:er|re)s?)|sqm|square (?:m|met(?:er|re)s?)|(?:m|met(?:er|re)s?)(?: ?\^ ?2|2| squared))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_GAP = re.compile(r"[ \-]?")
_UNIT = re.compile(r"[A-Za-z]{1,12}(?![A-Za-z0-9])|[°%]")
_IN_IS_INCH = re.compile(r"in *(?:$|[.,;)\n])", re.IGNORECASE)


def _in_digits(text: str, match: re.Match[str]) -> Quantity | None:
    """A number in digits; None where they belong to a word."""
    digits = match[2].rstrip(".,")
    end = match.end(2) - len(match[2]) + len(digits) if match[3] is None else match.end()
    value, n_decimals = _value(digits, match[3] or "")
    start, is_minus = _minus_before(text, match.start())
    if text.startswith("'", end) and "'" not in text[max(0, match.start() - 40) : match.start()]:
        value = math.nan  # 5' may be feet or minutes, and is no closing quote
    return _with_unit(text, -value if is_minus or match[1] == "-" else value, 0.5 * 10.0**-n_decimals, start, end, in_words=False)


def _value(digits: str, exponent: str) -> tuple[float, int]:
    """The number that digits, dots and commas write, and its decimals; nan where they write none, or several."""
    if len(digits) > _LONGEST_DIGITS:
        return math.nan, 0
    if not _DECIMAL.fullmatch(digits):
        if _THOUSANDS.fullmatch(digits):
            digits = digits.replace(",", "")
        elif _CONTINENTAL.fullmatch(digits):
            digits = digits.replace(".", "").replace(",", ".")
        else:
            return math.nan, 0
    value = float(f"{digits}e{exponent or 0}")
    return value if math.isfinite(value) else math.nan, len(digits.partition(".")[2])


def _in_words(text: str, match: re.Match[str]) -> Quantity | None:
    """A number in words; None where they belong to a longer one, or `one` is a pronoun."""
    if match[0].lower() == "one" and (_THE_ONE.search(text, max(0, match.start() - 10), match.start()) or _ONE_THAT.match(text, match.end())):
        return None
    hundreds, (tens, unit, ones) = match["hundreds"], (match[name] or match[f"b_{name}"] for name in ("tens", "unit", "ones"))
    n = 100 * _ONES.get(hundreds.lower(), 1) if hundreds else 0
    n += (_TENS[tens.lower()] if tens else 0) + sum(_ONES[word.lower()] for word in (unit, ones) if word)
    start, is_minus = _minus_before(text, match.start())
    return _with_unit(text, -float(n) if is_minus else float(n), 0.5, start, match.end(), in_words=True)


def _minus_before(text: str, start: int) -> tuple[int, bool]:
    """Where a number starts with the word that makes it negative, and whether there is one."""
    word = _MINUS.search(text, max(0, start - 10), start)
    return (word.start(), True) if word else (start, False)


def _with_unit(text: str, value: float, half_step: float, start: int, end: int, in_words: bool) -> Quantity | None:
    """A number with the unit that follows it, if one does. None where it is part of a word, as in `3D` or `2-seater`."""
    gap = _GAP.match(text, end)
    unit_start = gap.end() if gap else end
    area = _AREA.match(text, unit_start)
    word = area or _UNIT.match(text, unit_start)
    name = f"{area.lastgroup}^2" if area else word[0].lower() if word else ""
    if word is None or name not in UNITS or (name == "in" and not _IN_IS_INCH.match(text, unit_start)):
        glued = text[end : end + 2]
        is_word = glued[:1].isalpha() or (glued[:1] == "-" and glued[1:].isalpha())
        return None if is_word else Quantity(value, None, 1.0, half_step, start, end, in_words)
    sort, factor = UNITS[name]
    return Quantity(value * factor, sort, factor, half_step * factor, start, word.end(), in_words)


# ------------------------------------------------------------------------------------------------ several numbers

_AND = re.compile(r" ?(?:and )?")
_ALSO = re.compile(r" ?(?:,|-|and|or|to|&) ?", re.IGNORECASE)
JOINED = re.compile(r" ?(?:-|~|to|or|and|/|,|:|±|\+/-|x|×|\*|\^|by|out of|of) ?", re.IGNORECASE)
"""What stands between two numbers that belong together: a range, a choice, a fraction, a size."""
_OR = re.compile(r" ?(?:-|~|to|or|/|±|\+/-|x|×|\*|by) ?", re.IGNORECASE)
_LABEL = re.compile(r"\b(?:pictures?|images?|photos?|frames?|views?|cameras?|steps?|figures?|fig\.|videos?|scenes?|questions?|options?) ?#?$", re.IGNORECASE)


def _apart(read: list[Quantity]) -> list[Quantity]:
    """Without the digits of a unit, as the 2 of m^2."""
    ends = [0, *itertools.accumulate((q.end for q in read), max)]
    return [q for q, end in zip(read, ends, strict=False) if q.start >= end]


def _compounded(text: str, read: list[Quantity]) -> list[Quantity]:
    """With what is written in two units, as 5 feet 10 inches, as one."""
    found: list[Quantity] = []
    for q in read:
        last = found[-1] if found else None
        if last and last.sort and q.sort == last.sort and 0 <= q.value < last.factor and q.factor < last.factor and _AND.fullmatch(text, last.end, q.start):
            found[-1] = replace(last, value=last.value + math.copysign(q.value, last.value), half_step=q.half_step, end=q.end)
        else:
            found.append(q)
    return found


def _named(text: str, read: list[Quantity]) -> list[Quantity]:
    """With what is a name marked as one: picture 2, pictures 1 and 2."""
    found: list[Quantity] = []
    for q in read:
        listed = found and found[-1].is_name and _ALSO.fullmatch(text, found[-1].end, q.start)
        is_name = q.sort is None and bool(listed or _LABEL.search(text, max(0, q.start - 12), q.start))
        found.append(replace(q, is_name=True) if is_name else q)
    return found


def _shared(text: str, read: list[Quantity]) -> list[Quantity]:
    """With the unit that numbers joined share: 2 to 3 m, 2 m or 3."""
    found = list(read)
    for i in range(len(found) - 2, -1, -1):
        if found[i].sort is None and found[i + 1].sort and JOINED.fullmatch(text, found[i].end, found[i + 1].start):
            found[i] = _in_unit_of(found[i], found[i + 1])
    for i in range(1, len(found)):
        if found[i].sort is None and found[i - 1].sort and _OR.fullmatch(text, found[i - 1].end, found[i].start):
            found[i] = _in_unit_of(found[i], found[i - 1])
    return found


def _in_unit_of(q: Quantity, other: Quantity) -> Quantity:
    if q.is_name:
        return q
    return replace(q, value=q.value * other.factor, sort=other.sort, factor=other.factor, half_step=q.half_step * other.factor)
