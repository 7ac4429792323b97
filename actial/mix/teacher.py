"""What a teacher is told, and how its replies are judged.

As in the paper the teacher is given the true answer and how the camera moved, and writes the reasoning that leads there. It sees the two pictures, and no
more of what is known about the scene than the names of the parts. Its reply is reasoning with claims in brackets (`claims`), then the option's letter.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from actial.endpoint.asking import Reply
from actial.mix.claims import WORDS, Unclear, checked, grammar, true_of_camera
from actial.mix.verification import FalseClaim
from actial.prompts import IMAGE_MARK, option_lines
from actial.questions.sight import sightings, spoken_names
from actial.records import Message, Question, View

TASK = """You write model reasoning for a course in spatial reasoning. You get two pictures of one scene in which nothing moves but the camera, a question \
about the camera, the right answer, and facts about how the camera moved. Write how someone who sees only the pictures and the question could reason their \
way to that answer: first what the pictures show, then what follows for the camera in three-dimensional space, step by step, then the conclusion. Do not \
merely describe how things shift on the flat picture: say what that means for depth and for the camera's place and aim. Write as if you were finding it \
out; never mention that you know the answer or were given facts.

Write three to eight sentences of plain English in exactly this form, and nothing before or after it:

<reasoning>your reasoning</reasoning><answer>the letter of the right option</answer>

Every statement about sides, directions, sizes, distances or angles must be a claim: words in square brackets, in one of the forms listed here, letter for \
letter, with one of the alternatives where {braces with/strokes} give several. Claims stand within your sentences. An example of the form, about other \
pictures: "Between the two views [the object slides left from the first picture to the second] and the wall goes along with it, which says that the camera \
swung about its own place rather than walked. Hence [the camera turned right]." \
Make at least one claim about the pictures, which you must see in them yourself, and the claim about the camera that answers the question. Each claim is \
checked against measured cameras, and one false claim spoils the text: make few, and only such as are plain to see. "Left" and "right" of a picture are as \
you look at it; the camera's own sides are as it stood at the first picture. Something slides when it appears elsewhere in the second picture.

"""
RULES = f"""
Outside of square brackets use no digits and none of these words: {", ".join(WORDS)}. Square brackets, angle brackets and lists are for nothing else.
"""
AGAIN = "That text cannot be used: {why}. Write the whole text anew, in the same form."

_FORM = re.compile(r"\s*<reasoning>(.*?)</reasoning>\s*<answer>(.*?)</answer>\s*", re.DOTALL)
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "…": "...", "\u00a0": " "})
"""Signs that typesetters' English has, as a keyboard's English has them."""
_TOLD = re.compile(
    r"\b(?:(?:correct|right|true|given|known|provided|stated) (?:answer|facts?|option)|(?:I|we) (?:was|were|am|are) (?:told|given)|ground truth)\b", re.I
)


@dataclass(frozen=True)
class Verdict:
    """What became of a reply."""

    chain: str
    """The chain of thought as it is used; empty where it was rejected."""
    reason: str
    """Why it was rejected, as it is counted; empty where it was not."""
    detail: str
    """The same about this reply."""


def opening(question: Question, first: View, second: View) -> tuple[Message, ...]:
    """The turns that ask for a question's reasoning; their pictures are those of the question, in order."""
    parts = _named_in_both(first, second)
    told = [
        f"Picture 1: {IMAGE_MARK}\nPicture 2: {IMAGE_MARK}\n",
        f"Question: {question.text}\n{option_lines(question)}\n",
        f"The right answer: {question.truth}. {question.options[question.labels.index(question.label_of(question.truth))]}",
        "Facts, each of which may be used as a claim:",
        *(f"  [{claim}]" for claim in true_of_camera(first, second)),
        f"Parts of the object that both pictures show, for X and Y: {', '.join(parts)}." if parts else "No parts of the object have names here.",
    ]
    system = TASK + "\n".join(grammar(with_parts=len(parts) > 1)) + "\n" + RULES
    return Message("system", system), Message("user", "\n".join(told))


def once_more(asked: tuple[Message, ...], reply: Reply, verdict: Verdict) -> tuple[Message, ...]:
    """The turns that tell what was wrong with a reply and ask for another."""
    return *asked, Message("assistant", reply.text.replace(IMAGE_MARK, "")), Message("user", AGAIN.format(why=verdict.detail.replace(IMAGE_MARK, "")))


def judge(reply: Reply, question: Question, first: View, second: View) -> Verdict:
    """Whether a reply's reasoning can be used: it has the form, its answer is the true one, and every claim in it is."""
    if reply.finish == "length":
        return _rejected("cut off", "it was too long and was cut off")
    match = _FORM.fullmatch(reply.text)
    if not match:
        return _rejected("not in the form", "it is not <reasoning>…</reasoning><answer>…</answer> and nothing else")
    if match[2].strip() != question.truth:
        return _rejected("another answer", f"it answers {' '.join(match[2].split())[:40]!r}, the right option is {question.truth}")
    if told := _TOLD.search(match[1]):
        return _rejected("says that it was told", f"it says {told[0]!r}")
    text = " ".join(match[1].translate(_PLAIN).split())
    if not text.isascii() or not text.isprintable():
        return _rejected("not plain English", "it uses signs that plain English does without")
    try:
        return Verdict(checked(text, question.kind, first, second), "", "")
    except Unclear as unclear:
        return _rejected(*unclear.args)
    except FalseClaim as false:
        return _rejected("false claim", str(false))


def prompt_sha() -> str:
    """Twelve hex digits that name what every teacher is told."""
    return hashlib.sha256("\n".join([TASK, *grammar(True), RULES, AGAIN]).encode()).hexdigest()[:12]


def _rejected(reason: str, detail: str) -> Verdict:
    return Verdict("", reason, detail)


def _named_in_both(first: View, second: View) -> list[str]:
    names, there = spoken_names(first.objects, with_shape=True), sightings(second)
    return [names[name] for name in sightings(first) if name in names and name in there]
