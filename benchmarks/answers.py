"""A million hostile strings through the readers of answers, and the time of every rule's worst text by length. `python benchmarks/answers.py`.

Strings are drawn from pieces that the rules look for (tags, letters, declarations, numbers, units, LaTeX), from whole characters of Unicode, and from both.
Each is read as an option and as a number; what is neither a reading nor a stated reason is a bug and ends the run. Times are CPU seconds. Where reading is
linear in the length, 8 times the text takes 8 times as long: the exponent is 1; a quadratic rule has 2.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from actial.answers import Answer, Unparsed, is_well_formed, read_answer
from actial.answers.numbers import Number, read_number

SEED, BATCH = 7, 1000
OPTIONS = (
    ("left", "right", "none"),
    ("It moved to the left.", "It moved to the right.", "It did not move."),
    ("clockwise", "counter-clockwise", "not around"),
    ("-84", "+84", "+0", "+38.5"),
    ("B", "A", "C"),
    tuple(f"{i} m" for i in range(26)),
)
UNITS = ("deg", "m", "cm", "m2", "s", "count", "plain")
SIGNS = {"left": 1, "right": -1}
PIECES = [
    *(
        "<answer>",
        "</answer>",
        "<think>",
        "</think>",
        "<answer",
        "</ans",
        "< / answer >",
        "<ANSWER>",
        "<",
        ">",
        "/",
        "\\boxed{",
        "}",
        "\\text{",
        "$",
        "^\\circ",
    ),
    *(
        "A",
        "B",
        "C",
        "b",
        "Z",
        "A.",
        "(B)",
        "B)",
        "**",
        "*",
        "`",
        '"',
        "'",
        "’",
        "_",
        "option ",
        "answer",
        "the answer is ",
        "Answer: ",
        "I would choose ",
        "is correct",
    ),
    *(" ", " ", " ", "\n", "\n\n", "\t", ".", ",", ":", ";", "!", "?", "-", "–", "−", "+", "=", "≈", "±", "~", "&", "(", ")", "[", "]", "{", "#"),
    *("left", "right", "none", "clockwise", "counter-", "moved to the left", "not ", "n't ", "or ", "and ", "to ", "if ", "maybe ", "at least ", "more than "),
    *("0", "1", "2", "12", "3.5", ".5", "1,234", "1.234,5", "1e9", "1e999", "-30", "½", "²", "one", "two", "ninety", "hundred", "a hundred and ", "forty-five"),
    *("m", " m", "cm", " feet", " ft", " inches", "°", " degrees", " rad", "m^2", " square meters", "%", " s", " px", "picture ", "images "),
    *("é", "Ｂ", "（", "答案", "\u0000", "\u00a0", "\u202f", "\u2028", "\u0301", "\ud800", "🤖", "ﷺ", "١٢"),
]
WORST = {  # by rule: what a text is made of that keeps the rule busy
    "tags": "<answer>",
    "tags, closed": "<answer></answer>",
    "tags, closing": "</answer></think>",
    "tags, half": "<  / ",
    "tag_letter": " ",
    "tag_text": "left",
    "tag_worded": "a'b",
    "tag_lettered": "B. ",
    "tag_phrase": "counter-clockwise ",
    "compound words": "left-",
    "lines": "\n",
    "line": "A. left\n",
    "leading": "A ",
    "whole_*": "**_`",
    "boxed": "\\boxed{B}",
    "boxed, open": "\\boxed{",
    "declared": "the answer is ",
    "declared, letters": "the answer is B or ",
    "declared, options": "I'd go with option ",
    "declared, correct": "option B is correct ",
    "declared, boxes": "the answer is \\boxed{x} ",
    "taken back": "if not. ",
    "numbers": "7",
    "numbers, several": "7 ",
    "numbers, signs": "+-1.1",
    "numbers, dots": "1.",
    "numbers, thousands": "1,234 ",
    "numbers, exponents": "1e9 ",
    "numbers, compound": "5 feet 3 inches ",
    "numbers, ranges": "2-3 m to ",
    "numbers, words": "a hundred and ",
    "numbers, names": "pictures 1 and 2 and ",
    "numbers, equals": "= 1 ",
    "numbers, refused": "not 1 m ",
    "numbers, declared": "the answer is 3 m? ",
    "numbers, areas": "square m",
    "numbers, roughly": "approx.",
    "numbers, LaTeX": "\\text{ m ",
    "numbers, circles": " ^ \\circ",
    "numbers, spaces": "1\u202f234",
}
FRAMES = ("{}", "<answer>{}</answer>", "B. {}", "<answer>{}", "7 {}")
LENGTHS = tuple(1024 * 2**i for i in range(7))
ENDS = (8 * 1024, 64 * 1024)
SHOWN = f"{LENGTHS[0] // 1024} to {LENGTHS[-1] // 1024} kB, doubled each time"
EXPONENT = 1.4
"""Most that the exponent may be: memory's caches and a busy machine add some to 1."""
WORST_S_PER_KB = 0.1


def strings(n: int, seed: int) -> Iterator[str]:
    """Hostile strings: pieces, pieces around a short answer in tags, characters, or one piece many times."""
    for first in range(0, n, BATCH):
        generator = np.random.Generator(np.random.PCG64([seed, first]))
        for sort in generator.integers(0, 10, BATCH)[: n - first]:
            if sort == 0:
                yield "".join(chr(c) for c in generator.integers(0, 0x3000, int(generator.integers(0, 120))))
            elif sort == 1:
                yield PIECES[int(generator.integers(len(PIECES)))] * int(generator.integers(1, 200))
            elif sort < 5:
                yield f"{_drawn(generator, 20)}<answer>{_drawn(generator, 4)}</answer>{_drawn(generator, 3)}"
            else:
                yield _drawn(generator, 60)


def _drawn(generator: np.random.Generator, most: int) -> str:
    return "".join(PIECES[i] for i in generator.integers(0, len(PIECES), int(generator.integers(0, most))))


def read(text: str, options: tuple[str, ...], unit: str) -> tuple[Answer | Unparsed, Number | Unparsed]:
    """Everything that this project reads out of a completion."""
    for mode in ("think", "direct", "describe"):
        is_well_formed(text, mode)
    return read_answer(text, options), read_number(text, unit, SIGNS)


def fuzz(n: int, seed: int) -> tuple[Counter[str], float, float]:
    """Read n strings.

    Returns:
        How often each rule or reason came out, CPU seconds of all, and the most that a string took per kB (strings below 1 kB count as one).

    Raises:
        AssertionError: what came out is no reading.
    """
    outcomes: Counter[str] = Counter()
    total_s = worst_s = 0.0
    for text, options, unit in zip(strings(n, seed), itertools.cycle(OPTIONS), itertools.cycle(UNITS)):
        start_s = time.process_time()
        answer, number = read(text, options, unit)
        taken_s = time.process_time() - start_s
        total_s, worst_s = total_s + taken_s, max(worst_s, taken_s / max(1.0, len(text) / 1024))
        assert isinstance(answer, Unparsed) or answer.letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)], text
        assert isinstance(number, Unparsed) or math.isfinite(number.value), text
        outcomes[f"option: {answer.rule if isinstance(answer, Answer) else answer.reason}"] += 1
        outcomes[f"number: {number.rule if isinstance(number, Number) else number.reason}"] += 1
    return outcomes, total_s, worst_s


def seconds_by_length(unit: str, frame: str, lengths: tuple[int, ...]) -> list[float]:
    """CPU seconds that texts of these lengths take, the better of two."""
    return [min(_seconds(frame.format(unit * (length // len(unit)))) for _ in range(2)) for length in lengths]


def _seconds(text: str) -> float:
    start_s = time.process_time()
    read(text, OPTIONS[0], "m")
    return time.process_time() - start_s


def exponent(lengths: tuple[int, ...], seconds: list[float]) -> float:
    """Of the power law between two lengths; times below 0.3 ms count as that."""
    return math.log(max(seconds[1], 3e-4) / max(seconds[0], 3e-4)) / math.log(lengths[1] / lengths[0])


def worst_frame(unit: str, lengths: tuple[int, ...], frames: Sequence[str] = FRAMES) -> tuple[float, str]:
    """The largest exponent of a text in any of the frames, and the frame."""
    return max((exponent(lengths, seconds_by_length(unit, frame, lengths)), frame) for frame in frames)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=1_000_000)
    args = parser.parse_args()
    outcomes, total_s, worst_s = fuzz(args.strings, SEED)
    rate = f"{args.strings / total_s:,.0f} strings/s of CPU, each read as an option and as a number"
    print(f"{args.strings:,} strings: no crash; {rate}; at worst {worst_s * 1000:.1f} ms per kB, limit {WORST_S_PER_KB * 1000:.0f} ms", flush=True)
    print("  " + ", ".join(f"{name} {n:,}" for name, n in outcomes.most_common()))
    missed = worst_s > WORST_S_PER_KB
    print(f"worst texts: exponent of time by length, {ENDS[0] // 1024} to {ENDS[1] // 1024} kB, limit {EXPONENT}; milliseconds for {SHOWN}")
    for rule, unit in WORST.items():
        slope, frame = worst_frame(unit, ENDS)
        missed |= slope > EXPONENT
        print(f"  {rule:22} {slope:5.2f}  {' '.join(f'{s * 1000:7.1f}' for s in seconds_by_length(unit, frame, LENGTHS))}  in {frame}", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
