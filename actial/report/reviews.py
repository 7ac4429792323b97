"""What people said who answered questions without being told the truth (`actial review`), and how far that agrees with the computed answers.

A review is a file in `data/reviews`, for its author to commit. It names the questions and pictures it is about by checksum: about any others it says nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from actial.errors import UserError
from actial.json_files import write_json
from actial.report.page import Html, join, missing, table, tag
from actial.shards import ViewStore, view_folders
from actial.stats import wilson_interval

NAMED = 20
"""Rows of a table that names single questions; the rest stand in the review's file."""
NOT_ANSWERABLE = "cannot be answered"


@dataclass(frozen=True)
class Reviewed:
    """What a person said to one question."""

    question_id: str
    view_ids: tuple[str, ...]
    kind: str
    scene_id: str
    truth: str
    """What the computed answer means, as a label."""
    answer: str | None
    """What the person's means; None where the question cannot be answered, they said."""
    note: str
    """Why not, in their words; may be empty."""


@dataclass(frozen=True)
class Review:
    """What one person said to the questions drawn for them."""

    reviewer: str
    split: str
    questions_sha256: str
    """Of the split's file."""
    pictures_sha256: str
    """Of the pictures of the questions answered, see `pictures_sha256`."""
    answers: tuple[Reviewed, ...]


@dataclass(frozen=True)
class Agreement:
    """How far people agree with the computed answers to some questions."""

    n_answered: int
    n_agree: int
    interval: tuple[float, float] | None
    """95 %, of n_agree / n_answered, with scenes as clusters; None where nothing was answered."""
    n_not_answerable: int


def reviews_folder(outputs: Path) -> Path:
    """Where the reviews are that belong to a folder of outputs."""
    return outputs.parent / "data" / "reviews"


def review_file(folder: Path, review: Review) -> Path:
    """Where a review stands."""
    return folder / f"{review.split}-{review.questions_sha256[:12]}-{review.reviewer}.json"


def write_review(folder: Path, review: Review) -> Path:
    """Write a review; returns its file."""
    path = review_file(folder, review)
    write_json(path, asdict(review))
    return path


def read_review(path: Path) -> Review:
    """A review.

    Raises:
        UserError: the file is none.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        review = Review(**row | {"answers": tuple(Reviewed(**answer | {"view_ids": tuple(answer["view_ids"])}) for answer in row["answers"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is no review ({error}): restore it with git, or move it out of {path.parent}") from None
    return review


def standing_reviews(outputs: Path, splits: Collection[str]) -> tuple[list[Review], list[str]]:
    """The reviews of the questions that are in `outputs` now, and why others say nothing about them.

    Raises:
        UserError: a file is no review.
    """
    standing, notices = [], []
    for path in sorted(reviews_folder(outputs).glob("*.json")):
        review = read_review(path)
        questions, views = outputs / "build_qa" / f"{review.split}.parquet", view_folders(outputs)
        if review.split not in splits or not questions.exists() or not views:
            notices.append(f"{path} is about split {review.split}, which is not here")
        elif review.questions_sha256 != file_sha256(questions):
            notices.append(f"{path} is about other questions than {questions} holds now")
        elif review.pictures_sha256 != pictures_sha256(ViewStore(*views), pictures_of(review.answers)):
            notices.append(f"{path} is about other pictures than {' and '.join(map(str, views))} hold now")
        else:
            standing.append(review)
    return standing, notices


def file_sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pictures_of(answers: Iterable[Reviewed]) -> list[str]:
    """The views that were shown, in order."""
    return [view_id for answer in answers for view_id in answer.view_ids]


def pictures_sha256(views: ViewStore, view_ids: Iterable[str]) -> str:
    """Of the stored pictures of views, in order, in hexadecimal digits; a view that is not there counts as an empty one."""
    digest = hashlib.sha256()
    for view_id in view_ids:
        digest.update(hashlib.sha256((views.picture_bytes(view_id) if view_id in views else None) or b"").digest())
    return digest.hexdigest()


def agreement(answers: Sequence[Reviewed]) -> Agreement:
    """Between people and computed answers; what cannot be answered, they said, is counted beside it."""
    answered = [answer for answer in answers if answer.answer is not None]
    agree = [answer.answer == answer.truth for answer in answered]
    return Agreement(len(answered), sum(agree), wilson_interval(agree, [answer.scene_id for answer in answered]), len(answers) - len(answered))


AGREEMENT_HEADER = ("kind", "answered", "as computed", "95 % interval", NOT_ANSWERABLE)


def agreement_rows(answers: Sequence[Reviewed]) -> list[list[str]]:
    """Rows of a table by kind, and of all."""
    kinds = sorted({answer.kind for answer in answers})
    parts = [(kind, [answer for answer in answers if answer.kind == kind]) for kind in kinds]
    return [[name, *_in_words(agreement(part))] for name, part in [*parts, ("all", answers)]]


def _in_words(found: Agreement) -> list[str]:
    if found.interval is None:
        return ["0", "none answered", "none answered", str(found.n_not_answerable)]
    low, high = found.interval
    return [f"{found.n_answered:,}", f"{found.n_agree / found.n_answered:.1%}", f"{low:.1%} to {high:.1%}", f"{found.n_not_answerable:,}"]


def said_of(reviews: Sequence[Review]) -> str:
    """Who answered what, in a sentence or two."""
    of_split = [f"{len(review.answers):,} of `{review.split}` by {review.reviewer}" for review in reviews]
    return (
        f"Questions put to people, drawn evenly over kinds, without their answers (`actial review`): {', '.join(of_split)}. The share of their answers "
        "that are the computed ones has a Wilson interval with scenes as clusters; questions that cannot be answered, they said, are counted apart."
    )


def otherwise_rows(reviews: Sequence[Review]) -> tuple[list[list[str]], list[list[str]]]:
    """The questions that cannot be answered, they said: question, who said so, their note; and those answered otherwise: question, who, computed, answered."""
    said = [(review.reviewer, answer) for review in reviews for answer in review.answers]
    ill_posed = [[a.question_id, reviewer, a.note or "no note"] for reviewer, a in said if a.answer is None]
    otherwise = [[a.question_id, reviewer, a.truth, a.answer] for reviewer, a in said if a.answer is not None and a.answer != a.truth]
    return ill_posed, otherwise


OTHERWISE_TABLES = (
    ("Cannot be answered, they said", ("question", "by", "why")),
    ("Answered otherwise than computed", ("question", "by", "computed", "answered")),
)
"""Title and header of the tables of `otherwise_rows`."""


def reviews_section(reviews: Sequence[Review], notices: Sequence[str]) -> Html:
    """What people said, for the report."""
    notes = [missing(f"Not shown: {notice}.") for notice in notices]
    if not reviews:
        return join([missing("Nobody has answered questions without being told the truth: `actial review` asks a person a hundred."), *notes])
    answers = [answer for review in reviews for answer in review.answers]
    parts: list[Html | None] = [tag("p", said_of(reviews).replace("`", "")), table(AGREEMENT_HEADER, agreement_rows(answers), numeric=[1, 2, 3, 4])]
    for (title, header), rows in zip(OTHERWISE_TABLES, otherwise_rows(reviews), strict=True):
        parts.append(table(header, rows[:NAMED], caption=f"{title}: {len(rows):,}") if rows else None)
    return join([*parts, *notes])
