"""`actial review`: a person answers questions without being told the truth, on a page of this machine."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from actial.errors import UserError
from actial.records import Question
from actial.report.reviews import Review, agreement, file_sha256, read_review, review_file, reviews_folder
from actial.review.draw import drawn
from actial.review.server import ReviewServer
from actial.review.session import Session
from actial.shards import ViewStore, picture_is_whole, view_folders
from actial.tables import read_questions

LOGS = Path("runs/review")
"""Answers, in a folder for each file of questions."""
_REVIEWER = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Asked:
    """What is asked, and of whom."""

    split: str
    n_questions: int
    seed: int
    reviewer: str
    port: int


def review(asked: Asked, outputs: Path) -> int:
    """Serve the page until it is stopped (Ctrl-C), then say what was kept.

    Returns:
        0.

    Raises:
        UserError: there are no such questions, none can be shown, the reviewer's name is no name, or the answers belong to somebody else.
    """
    server = open_review(asked, outputs)
    session = server.session
    print(f"review: {session.n_said} of {len(session.questions)} questions answered by {asked.reviewer}; Ctrl-C stops, the same command goes on", flush=True)
    print(f"review: open {server.url}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        session.close()
    print(_told(server), flush=True)
    return 0


def open_review(asked: Asked, outputs: Path) -> ReviewServer:
    """Draw the questions, take up the answers there are, and listen.

    Raises:
        UserError: as `review`.
    """
    if not _REVIEWER.fullmatch(asked.reviewer):
        raise UserError(f"--reviewer is {asked.reviewer!r}; it becomes part of a file's name: 1 to 40 letters, digits, - and _")
    if asked.n_questions < 1:
        raise UserError(f"--questions is {asked.n_questions}; it must be at least 1")
    path = outputs / "build_qa" / f"{asked.split}.parquet"
    questions = read_questions(path)
    views = ViewStore(*view_folders(outputs))
    chosen = drawn(questions, asked.n_questions, asked.seed, lambda question: _can_be_shown(question, views))
    if not chosen:
        raise UserError(f"{path} holds no question whose pictures can be shown: name another split with --split, or run `actial run` again")
    sha256 = file_sha256(path)
    session = Session(LOGS / sha256[:12] / "answers.jsonl", chosen, views, asked.reviewer)
    kept_in = reviews_folder(outputs)
    _refuse_anothers(review_file(kept_in, session.review(views, asked.split, sha256)), session)
    try:
        return ReviewServer(session, views, asked.split, sha256, kept_in, asked.port)
    except OSError as error:
        session.close()
        raise UserError(f"port {asked.port} of 127.0.0.1 cannot be used ({error.strerror}): name another with --port, or 0 for any that is free") from None


def _can_be_shown(question: Question, views: ViewStore) -> bool:
    return bool(question.options) and all(view_id in views and picture_is_whole(views.picture_bytes(view_id)) for view_id in question.view_ids)


def _refuse_anothers(path: Path, session: Session) -> None:
    """A review of the same name that was not made of this log is somebody else's."""
    if path.exists() and not {a.question_id for a in read_review(path).answers} <= session.said_ids():
        session.close()
        raise UserError(f"{path} holds answers that {session.log} does not: choose another name with --reviewer, or move that file away")


def _told(server: ReviewServer) -> str:
    session, review = server.session, server.review()
    kept = f"review: {session.n_said} of {len(session.questions)} questions answered, kept in {session.log}"
    if not review.answers:
        return f"{kept}\nreview: not ended yet: the page's last button writes the review and shows the results"
    return f"{kept}\n{in_words(review)}\nreview: commit {review_file(server.kept_in, review)}; `actial report` and `actial export --to hf` show it"


def in_words(review: Review) -> str:
    """How far somebody agrees, in a line."""
    found = agreement(review.answers)
    if found.interval is None:
        return f"review: {found.n_not_answerable} questions cannot be answered, {review.reviewer} said, and no other was answered"
    low, high = found.interval
    return (
        f"review: {found.n_agree} of {found.n_answered} answers are the computed ones ({found.n_agree / found.n_answered:.1%}; 95 % interval {low:.1%} to "
        f"{high:.1%}); {found.n_not_answerable} questions cannot be answered, {review.reviewer} said"
    )
