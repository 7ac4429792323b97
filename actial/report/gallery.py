"""The browser of test questions: the pictures, the scene from above, the truth and what decides it, and what every model wrote."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence

from actial.errors import UnreadablePicture
from actial.ids import question_of
from actial.records import LETTERS, Question, Verdict
from actial.report.outputs import STAND_INS, in_order
from actial.report.page import Html, data_uri, join, missing, tag
from actial.report.sketch import top_down
from actial.rng import seed_for
from actial.shards import ViewStore

MAX_PICTURE_PX = 448
"""Larger pictures are shrunk to this for the page."""


def sample_of(test: Sequence[Question], asked: Collection[str], n: int) -> list[Question]:
    """At most `n` of the questions that were asked (of all, where none was), drawn by a hash of their ids, in their own order."""
    candidates = [q for q in test if q.question_id in asked] or test
    kept = {q.question_id for q in sorted(candidates, key=lambda q: seed_for(0, q.question_id))[:n]}
    return [q for q in candidates if q.question_id in kept]


def question_browser(questions: Sequence[Question], test: Sequence[Question], verdicts: Mapping[str, Sequence[Verdict]], views: ViewStore | None) -> Html:
    """Filters, list and one article a question; the script shows one article at a time.

    Args:
        questions: those to show.
        test: all of the test split.
        verdicts: by question id, stand-ins left out.
    """
    if not questions:
        return missing("There are no test questions yet: the stage build_qa has not run.")
    plain = {question_id: [v for v in of_question if v.condition == "plain"] for question_id, of_question in verdicts.items()}
    asked = [f"{model}/{mode}" for model, mode in sorted({(v.model, v.mode) for q in questions for v in plain.get(q.question_id, ())}, key=in_order)]
    n_asked = sum(q.question_id in verdicts for q in test)
    n_gone = len(verdicts) - n_asked
    said = f"{len(questions):,} of {len(test):,} test questions"
    if len(questions) < (n_asked or len(test)):
        said += ", drawn by a hash of their ids"
    said += f"; {n_asked:,} were asked." if asked else "."
    stale = f"{n_gone:,} questions that models answered are no longer among the test questions: build_qa is newer than evaluate."
    keys = join([tag("kbd", "←"), " ", tag("kbd", "→"), " previous and next, ", tag("kbd", "/"), " search. Every question has its own address."])
    return join(
        [
            tag("p", said, " ", keys, class_="faint"),
            None if asked else missing("No model has answered them yet: the stage evaluate has not run."),
            missing(stale) if n_gone else None,
            _filters(sorted({q.kind for q in questions}), sorted({q.cue for q in questions}), asked),
            tag(
                "div",
                tag("ol", *(_entry(q, asked, plain.get(q.question_id, ())) for q in questions), class_="list", aria_label="Questions"),
                tag("div", *(_article(q, verdicts.get(q.question_id, ()), views) for q in questions), class_="shown"),
                class_="browser",
            ),
            tag("noscript", tag("p", "Pictures and filters need JavaScript; everything else is below.", class_="missing")),
        ]
    )


def shown_verdicts(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Verdicts by question id, without the stand-ins, in the order of training; a sampled completion counts to its question."""
    by_question: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda v: in_order((v.model, v.mode))):
        if verdict.model not in STAND_INS:
            by_question.setdefault(question_of(verdict.question_id), []).append(verdict)
    return by_question


def pictures(view_ids: Iterable[str], views: ViewStore) -> dict[str, str]:
    """Each view's picture once, as the address of a PNG; a picture that cannot be read is left out (the page says so in its place)."""
    encoded = {}
    for view_id in sorted(set(view_ids)):
        try:
            picture = views.picture(view_id)
        except UnreadablePicture:
            continue
        picture.thumbnail((MAX_PICTURE_PX, MAX_PICTURE_PX))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        encoded[view_id] = data_uri("png", buffer.getvalue())
    return encoded


def pair_of_pictures(view_ids: Sequence[str], views: ViewStore | None) -> Html:
    """The pictures in their order (filled in by the script), and the sketch from above where both cameras are known."""
    figures = [
        tag("figure", tag("img", data_view=view_id, alt=f"Picture {i}: {view_id}"), tag("figcaption", tag("b", i), f" {view_id}"))
        for i, view_id in enumerate(view_ids, start=1)
    ]
    if views is not None and len(view_ids) > 1 and all(v in views for v in view_ids):
        sketch = top_down(*(views[v] for v in view_ids))
        if sketch is not None:
            figures.append(tag("figure", sketch, tag("figcaption", "From above; camera 1 looks up the page")))
    return tag("div", *figures, class_="pair")


def outcome(verdict: Verdict) -> str:
    """right, wrong, or unread (no answer could be read, which counts as wrong)."""
    return "right" if verdict.correct else "unread" if verdict.answer is None else "wrong"


_MARK = {"right": "✓", "wrong": "✗", "unread": "?"}


def _filters(kinds: Sequence[str], cues: Sequence[str], asked: Sequence[str]) -> Html:
    select = lambda name, label, choices: tag(
        "label", label, " ", tag("select", *(tag("option", text, value=value) for value, text in choices), id=f"filter-{name}")
    )
    outcomes = [("", "any answer"), ("right", "right"), ("wrong", "wrong"), ("unread", "unparsed")]
    return tag(
        "div",
        select("kind", "Kind", [("", "all"), *((k, k) for k in kinds)]),
        select("cue", "2D cue", [("", "any"), *((c, c) for c in cues)]),
        select("model", "Model", [("", "any"), *((a, a.replace("/", " · ")) for a in asked)]) if asked else None,
        select("outcome", "Answer", outcomes) if asked else None,
        tag("label", "Search ", tag("input", type="search", id="filter-text", placeholder="id, question, completion")),
        tag("span", tag("button", "←", id="previous", type="button", aria_label="Previous question"), class_="step"),
        tag("span", id="place", role="status"),
        tag("span", tag("button", "→", id="next", type="button", aria_label="Next question"), class_="step"),
        class_="filters",
    )


def _entry(question: Question, asked: Sequence[str], verdicts: Sequence[Verdict]) -> Html:
    """A line of the list: id and one mark a model and mode. What the filters look at stands in its attributes."""
    found = {f"{v.model}/{v.mode}": outcome(v) for v in verdicts}
    marks = [tag("span", _MARK[found[a]], class_=found[a], title=f"{a}: {found[a]}") if a in found else tag("span", "·", class_="faint") for a in asked]
    link = tag("a", tag("span", question.question_id.removeprefix("scene-")), tag("span", *marks, class_="marks"), href=f"#{question.question_id}")
    return tag(
        "li", link, data_id=question.question_id, data_kind=question.kind, data_cue=question.cue, data_found=" ".join(f"{k}={v}" for k, v in found.items())
    )


def _article(question: Question, verdicts: Sequence[Verdict], views: ViewStore | None) -> Html:
    tied = f", tied class {question.tied_class}" if question.tied_class else ""
    decides = tag(
        "p",
        "Decided by ",
        tag("code", f"{question.deciding_quantity} = {question.deciding_value:+.4g}"),
        f", {100 * question.margin:.0f} % clear of the nearest boundary. Kind {question.kind}{tied}; 2D cue {question.cue}; source {question.source}.",
        class_="faint",
    )
    return tag(
        "article",
        tag("h3", tag("a", question.question_id, href=f"#{question.question_id}")),
        pair_of_pictures(question.view_ids, views),
        tag("p", question.text, class_="question"),
        tag("ul", *(_option(question, i) for i in range(len(question.options))), class_="options"),
        decides,
        *(_completion(question, v) for v in verdicts if v.condition == "plain"),
        _asked_otherwise(question, [v for v in verdicts if v.condition != "plain"]),
        id=question.question_id,
        class_="one",
    )


def _option(question: Question, i: int) -> Html:
    is_truth = LETTERS[i] == question.truth
    return tag("li", tag("b", f"{LETTERS[i]}. "), question.options[i], tag("span", " ✓ truth", class_="right") if is_truth else None)


def _completion(question: Question, v: Verdict) -> Html:
    kind = outcome(v)
    said = f"no answer: {v.rule}" if v.answer is None else f"{v.answer} ({question.label_of(v.answer)}), read by rule {v.rule}"
    condition = "" if v.condition == "plain" else f" · {v.condition}, where {question.label_of(v.truth)} is right"
    head = tag("div", tag("b", v.model), f" · {v.mode}{condition} ", tag("span", f"{_MARK[kind]} {said}", class_=kind), tag("small", f" {v.n_tokens} tokens"))
    return tag("div", head, tag("pre", v.completion) if v.completion else tag("p", "(nothing written)", class_="faint"), class_="completion")


def _asked_otherwise(question: Question, verdicts: Sequence[Verdict]) -> Html | None:
    """Answers under controls, and the sampled ones as a line of marks, folded away."""
    if not verdicts:
        return None
    sampled: dict[str, list[Verdict]] = {}
    for v in verdicts:
        if v.condition == "sampled":
            sampled.setdefault(v.model, []).append(v)
    lines = []
    for model, found in sampled.items():
        marks = [tag("span", f"{v.answer or '?'} ", class_=outcome(v), title=v.completion) for v in found]
        lines.append(tag("p", tag("b", model), f" · sampled, {sum(v.correct for v in found)} of {len(found)} right: ", *marks))
    controls = [_completion(question, v) for v in verdicts if v.condition != "sampled"]
    return tag("details", tag("summary", "Under controls, and sampled"), *controls, *lines)
