"""The pages of a review: one question at a time without its answer, and at the end what agrees with the computed answers and what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files

from actial.records import LETTERS, Question
from actial.report.gallery import pair_of_pictures
from actial.report.packing import picture_blocks
from actial.report.page import Html, asset, data_uri, join, missing, page, table, tag
from actial.report.reviews import AGREEMENT_HEADER, NOT_ANSWERABLE, Review, agreement_rows
from actial.report.thumbnails import thumbnails
from actial.review.session import Said, Session
from actial.shards import ViewStore

_FILL = 'fillPictures(document.getElementById("main"));'


def asking_page(reviewer: str, split: str, n: int) -> str:
    """The page that asks; its script fetches one question at a time."""
    keys = [
        ("1 2 3 …", "or the letter: answer"),
        ("x", "this question cannot be answered"),
        ("u", "take the last answer back"),
    ]
    legend = tag("p", *(join([tag("kbd", key), f" {what}  "]) for key, what in keys), class_="faint keys")
    note = tag(
        "form",
        tag("label", "What is wrong with it? You may leave this empty. ", tag("input", id="note", autocomplete="off", maxlength="500")),
        tag("div", tag("button", "Cannot be answered", type="submit"), tag("button", "Back to the options", type="button", id="cancel"), class_="row"),
        id="why",
        hidden=True,
    )
    main = join(
        [
            tag("div", tag("progress", id="bar", max=n, value=0), tag("span", id="place", role="status"), class_="progress"),
            tag(
                "div",
                tag("div", id="pair", class_="asked"),
                tag("p", id="text", class_="question"),
                tag("div", id="options", class_="choices", role="group", aria_label="Options"),
                tag("button", tag("kbd", "x"), " Cannot be answered", type="button", id="ill-posed", class_="quiet"),
                note,
                id="one",
                hidden=True,
            ),
            tag("div", tag("p", id="done-text"), id="done", hidden=True),
            tag(
                "div",
                tag("button", tag("kbd", "u"), " Take back", type="button", id="undo", class_="quiet"),
                tag("button", "End here and show the results", type="button", id="finish", class_="quiet"),
                tag("a", "Results so far", href="/results", id="results", hidden=True),
                class_="row",
            ),
            tag("p", id="message", role="alert", class_="wrong"),
            legend,
            tag("noscript", tag("p", "Answering needs JavaScript.", class_="missing")),
        ]
    )
    lead = tag("p", f"{n:,} questions of split {split}, asked of {reviewer}. Every answer is kept at once: stop whenever you like.", class_="faint")
    return page(
        "Look and answer",
        [("ask", "Question", main)],
        lead=lead,
        script=_own("ask.js"),
        style=_own("ask.css"),
        policy="default-src 'none'; img-src data:; connect-src 'self'",
    )


def state_of(session: Session, views: ViewStore) -> dict[str, object]:
    """What the page is told: how far the review is, and the current question without its answer, its ids or its kind."""
    place = session.current()
    state: dict[str, object] = {
        "n": len(session.questions),
        "n_said": session.n_said,
        "place": place,
        "can_undo": session.undoable() is not None,
        "can_finish": any(q.question_id in session.waiting_to_be_final() for q in session.questions),
        "has_results": session.is_final,
    }
    if place is not None:
        asked = session.questions[place]
        state |= {"text": asked.text, "options": list(asked.options), "pictures": [_picture(views, view_id) for view_id in asked.view_ids]}
    return state


def results_page(session: Session, review: Review, views: ViewStore, kept_in: str) -> str:
    """What was said against what was computed, of the answers that are final."""
    final = session.final()
    otherwise = [(q, said) for q, said in final if said.letter not in (None, q.truth)]
    ill_posed = [(q, said) for q, said in final if said.letter is None]
    shown, _ = thumbnails((view_id for q, _ in [*otherwise, *ill_posed] for view_id in q.view_ids), views)
    left = len(session.questions) - session.n_said
    shown_by = tag("code", "actial report"), " and ", tag("code", "actial export --to hf")
    lead = join(
        [
            tag("p", f"{review.reviewer} answered {len(final):,} questions of split {review.split}. Kept in ", tag("code", kept_in), "."),
            tag("p", "Commit that file: ", *shown_by, " show it, as long as questions and pictures are these.", class_="faint"),
            tag("p", tag("a", f"Go on with the other {left:,}", href="/")) if left else None,
        ]
    )
    sections = [
        ("agreement", "Agreement", table(AGREEMENT_HEADER, agreement_rows(review.answers), numeric=[1, 2, 3, 4])),
        ("confusion", "What was computed, what was answered", _confusion(review)),
        ("otherwise", f"Answered otherwise: {len(otherwise):,}", _articles(otherwise, views, "Every answer was the computed one.")),
        ("ill-posed", f"Cannot be answered: {len(ill_posed):,}", _articles(ill_posed, views, "Every question could be answered.")),
    ]
    return page("What you said", sections, lead=lead, data=picture_blocks(shown), script=asset("pictures.js") + _FILL, style=_own("ask.css"))


def _confusion(review: Review) -> Html:
    tables = []
    for kind in sorted({answer.kind for answer in review.answers}):
        counts = Counter((answer.truth, answer.answer or NOT_ANSWERABLE) for answer in review.answers if answer.kind == kind)
        labels = [*sorted({label for pair in counts for label in pair} - {NOT_ANSWERABLE}), NOT_ANSWERABLE]
        rows = [
            [truth, *(_count(counts[truth, answer], truth == answer) for answer in labels)]
            for truth in labels[:-1]
            if any(counts[truth, answer] for answer in labels)
        ]
        tables.append(table(["computed", *labels], rows, caption=kind, numeric=list(range(1, len(labels) + 1))))
    return join(tables)


def _count(n: int, is_right: bool) -> Html | str:
    return tag("b", n, class_="right" if is_right else "wrong") if n else "·"


def _articles(questions: Sequence[tuple[Question, Said]], views: ViewStore, none: str) -> Html:
    return join([_article(question, said, views) for question, said in questions]) if questions else missing(none)


def _article(question: Question, said: Said, views: ViewStore) -> Html:
    options = []
    for letter, option in zip(LETTERS, question.options, strict=False):
        marks = [tag("span", " ✓ computed", class_="right") if letter == question.truth else None, " ← your answer" if letter == said.letter else None]
        options.append(tag("li", tag("b", f"{letter}. "), option, *marks))
    return tag(
        "article",
        tag("h3", question.question_id),
        pair_of_pictures(question.view_ids, views),
        tag("p", question.text, class_="question"),
        tag("ul", *options, class_="options"),
        tag("p", f"Your note: {said.note}") if said.note else None,
        tag("p", "Decided by ", tag("code", f"{question.deciding_quantity} = {question.deciding_value:+.4g}"), f"; 2D cue {question.cue}.", class_="faint"),
        class_="one",
    )


def _picture(views: ViewStore, view_id: str) -> str:
    data = views.picture_bytes(view_id) or b""
    return data_uri("png" if data.startswith(b"\x89PNG") else "jpeg", data)


def _own(name: str) -> str:
    return (files("actial.review") / name).read_text(encoding="utf-8")
