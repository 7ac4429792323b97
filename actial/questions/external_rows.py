"""One row of a data set from outside as a question: checked, mended where a defect is known, or refused with a reason to count."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actial import ids
from actial.answers import Answer, read_answer
from actial.params_external import External
from actial.prompts import ANSWER_OPEN, IMAGE_MARK, completion_text
from actial.questions.external_files import column_of
from actial.records import LETTERS, Question
from actial.shards import picture_is_whole

MOST_PICTURES = 2
MOST_PIXELS = 64_000_000
MOST_TIMES_AS_LONG = 100
"""Qwen2.5-VL's processor refuses pictures whose sides differ by more than 200 times."""
_TOO_LARGE = f"a picture larger than {MOST_PIXELS // 1_000_000} megapixels, or {MOST_TIMES_AS_LONG} times as long as wide"
SAT_SUFFIX = " in the first frame"
"""Left over in some answers of SAT; the authors' own loader strips it."""
SAT_SPELLINGS = {"action_sequence": "ego_movement", "action_conseq": "action_consequence", "other": "static"}
"""What array/SAT calls the same kind of question otherwise in one of its files, or calls by no name."""
_WHOLE_ANSWERS = ("tag_letter", "tag_text", "tag_lettered", "tag_worded")
"""Rules that read an option and nothing else; a column of answers is no completion to be guessed at."""
_CHAT_MARK = re.compile(r"<\|\w+\|>")
_OPTION = re.compile(r"(?:(?<=\s)|(?<=^)|(?<=\())\(?([A-Z])[.):]\s*(?=\S)", re.MULTILINE)


class RefusedRow(Exception):
    """A row that cannot be asked. The message is the reason, in a few words, for counting."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be asked, with its options in the order of the data set."""

    text: str
    options: tuple[str, ...]
    right: int
    """Place of the right option."""
    kind: str
    """Lower-case word; empty where the data set has none."""
    scene: str
    """What must fall into one split; empty where the data set does not say."""
    pictures: tuple[bytes, ...]
    sizes_px: tuple[tuple[int, int], ...]
    """Width and height of each."""


def outside_question(name: str, number: int, kind: str, scene_id: str, n_pictures: int, text: str, options: tuple[str, ...], truth: str) -> Question:
    """A question that others wrote: nothing is known of cameras, so nothing of what decides it.

    Args:
        name: of the data set or benchmark.
        number: of the row, from 0.
        kind: what it calls this kind of question, in lower-case words; empty where it does not say.
        truth: letter; empty where the answer is no option.
    """
    view_ids = tuple(ids.view_id(scene_id, i) for i in range(n_pictures))
    shown = ids.group_id(*view_ids)
    kind = f"{name}_{kind}" if kind else name
    return Question(
        question_id=ids.question_id(shown, f"{kind}_{number}"),
        kind=kind,
        family_id=shown,
        view_ids=view_ids,
        text=text,
        options=options,
        labels=options,
        truth=truth,
        deciding_quantity="",
        deciding_value=float("nan"),
        margin=float("nan"),
        scene_id=scene_id,
        tied_class="",
        source=name,
    )


def row_id(cells: Mapping[str, Any], settings: External) -> str:
    """What the data set calls a row; empty where it has no column for that."""
    return _word(cells, settings, "id")


def read_row(cells: Mapping[str, Any], settings: External) -> Row:
    """Check a row; text comes as bytes.

    Raises:
        RefusedRow: it cannot be asked.
    """
    text, options = _asked(cells, settings)
    refuse_chat_marks(text, *options)
    answer = _cell(cells, settings, "answer")
    right = right_option(answer if _is_place(answer) else _mended(decoded(answer, "answer"), settings), options)
    pictures = encoded_pictures(_cell(cells, settings, "images"), MOST_PICTURES)
    kind = lower_case_words(_word(cells, settings, "kind"))
    kind = SAT_SPELLINGS.get(kind, kind) if settings.format == "sat" else kind
    return Row(text, options, right, kind, _word(cells, settings, "scene"), pictures, tuple(map(size_px, pictures)))


def lower_case_words(text: str) -> str:
    """A text as part of an id: `Multi-view_Reasoning` is `multi_view_reasoning`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def refuse_chat_marks(*parts: str) -> None:
    """
    Raises:
        RefusedRow: a text holds marks of a chat template.
    """
    if any(_CHAT_MARK.search(part) for part in parts):
        raise RefusedRow("marks of a chat template in the text")


# ------------------------------------------------------------------------------------------------ cells


def _cell(cells: Mapping[str, Any], settings: External, what: str) -> Any:
    place = settings.column(what)
    if place is None:
        return None
    name = column_of(place, list(cells))
    value: Any = cells[name] if name is not None else None
    for step in place.removeprefix(name or "").split(".")[1:]:
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


def decoded(value: Any, what: str) -> str:
    """The text of a cell.

    Args:
        what: what the column holds, for the reason.

    Raises:
        RefusedRow: it is missing, no text, or not UTF-8.
    """
    if value is None:
        raise RefusedRow(f"no {what}")
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise RefusedRow("text that is not UTF-8") from None
    if isinstance(value, str | int):
        return str(value).strip()
    raise RefusedRow(f"{what} that is no text")


def _word(cells: Mapping[str, Any], settings: External, what: str) -> str:
    value = _cell(cells, settings, what)
    return "" if value is None else decoded(value, what)


# ------------------------------------------------------------------------------------------------ question and answer


def _asked(cells: Mapping[str, Any], settings: External) -> tuple[str, tuple[str, ...]]:
    text = decoded(_cell(cells, settings, "question"), "question").replace(IMAGE_MARK, "").strip()
    if settings.format == "lettered":
        text, options = lettered_options(text)
    else:
        value = _cell(cells, settings, "options")
        if not isinstance(value, list):
            raise RefusedRow("no options" if value is None else "options that are no list")
        options = tuple(_mended(decoded(option, "option"), settings) for option in value)
    if not text:
        raise RefusedRow("no question")
    refuse_options(options)
    return text, options


def refuse_options(options: Sequence[str]) -> None:
    """
    Raises:
        RefusedRow: options that nobody could choose between, by letter or by text.
    """
    if not 2 <= len(options) <= len(LETTERS) or not all(options):
        raise RefusedRow("fewer than two options, more than 26, or an empty one")
    read = [read_answer(completion_text("direct", option), options) for option in options]
    if any(not isinstance(r, Answer) or r.letter != LETTERS[i] for i, r in enumerate(read)):
        raise RefusedRow("options that cannot be told apart")


def lettered_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question and the options of a text that lists them behind A, B, C, …, one after the other, each to its line's end or to the next letter.

    What stands below the last option (how to answer) is left out.

    Raises:
        RefusedRow: it lists none.
    """
    marks = list(_OPTION.finditer(text))
    for start in reversed(range(len(marks))):
        listed = [marks[start]] if marks[start][1] == "A" else []
        for mark in marks[start + 1 :] if listed else []:
            if mark[1] == LETTERS[len(listed)]:
                listed.append(mark)
        if len(listed) > 1:
            ends = [*(mark.start() for mark in listed[1:]), len(text)]
            options = tuple(text[mark.end() : end].split("\n", 1)[0].strip(" \t\r,;") for mark, end in zip(listed, ends, strict=True))
            return re.sub(r"\n\s*(?:options|choices)\s*:\s*$", "", text[: listed[0].start()].rstrip(), flags=re.IGNORECASE).strip(), options
    raise RefusedRow("no lettered options in the text")


def _mended(text: str, settings: External) -> str:
    return text.replace(IMAGE_MARK, "").removesuffix(SAT_SUFFIX).strip() if settings.format == "sat" else text.replace(IMAGE_MARK, "").strip()


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def right_option(value: str | int, options: Sequence[str]) -> int:
    """Place of the right option, which a data set gives by its place from 0, its letter or its text.

    Raises:
        RefusedRow: it is none of the options.
    """
    if isinstance(value, int):
        if not 0 <= value < len(options):
            raise RefusedRow("an answer that is no option")
        return value
    read = read_answer(value if ANSWER_OPEN in value else completion_text("direct", value), options)
    if not isinstance(read, Answer) or read.rule not in _WHOLE_ANSWERS:
        raise RefusedRow("an answer that is no option")
    return LETTERS.index(read.letter)


# ------------------------------------------------------------------------------------------------ pictures


def encoded_pictures(value: Any, most: int) -> tuple[bytes, ...]:
    """Encoded pictures of a cell: bytes, or in Hugging Face Image form, one or a list.

    Raises:
        RefusedRow: there is none, there are more than `most`, or one is given by its path alone.
    """
    cells = value if isinstance(value, list) else [value]
    found = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in cells if cell is not None]
    if not found:
        raise RefusedRow("no picture")
    if len(found) > most:
        raise RefusedRow(f"more than {most} pictures")
    pictures = tuple(data for data in found if isinstance(data, bytes))
    if len(pictures) < len(found):
        raise RefusedRow("a picture without bytes, given by its path")
    return pictures


def size_px(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that opens.

    Raises:
        RefusedRow: it does not, or is of no size that a model takes.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            width_px, height_px = picture.size
    except Image.DecompressionBombError:
        raise RefusedRow(_TOO_LARGE) from None
    except (OSError, SyntaxError, ValueError):
        raise RefusedRow("a picture that cannot be read") from None
    if width_px * height_px > MOST_PIXELS or max(width_px, height_px) > MOST_TIMES_AS_LONG * min(width_px, height_px):
        raise RefusedRow(_TOO_LARGE)
    if not picture_is_whole(data):
        raise RefusedRow("a picture that cannot be read")
    return width_px, height_px
