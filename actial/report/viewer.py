"""The browser of test questions: filters, a list, and one question at a time. All it shows is data in the page, which `viewer.js` lays out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actial.records import LETTERS, Question, Verdict
from actial.report.gallery import outcome
from actial.report.outputs import in_order
from actial.report.packing import packed_block
from actial.report.page import Html, data_block, join, missing, tag
from actial.report.sketch import top_down
from actial.report.strata import families, ranges
from actial.report.strata import in_order as range_order
from actial.shards import ViewStore

BLOCK = 100
"""Questions packed together: to show one, its block is unpacked."""
PLAIN = "plain"
MARK = {"right": "✓", "wrong": "✗", "unread": "?"}


@dataclass(frozen=True)
class Shown:
    """What the browser shows."""

    questions: Sequence[Question]
    verdicts: Mapping[str, Sequence[Verdict]]
    """By question id, stand-ins left out (`gallery.shown_verdicts`)."""
    views: ViewStore | None
    full_picture: Callable[[str], str | None] = lambda view_id: None
    """Address of a view's full picture beside the page, where it was written."""

    def asked(self) -> list[tuple[str, str]]:
        """Models and modes that answered any of the questions plainly."""
        found = {(v.model, v.mode) for q in self.questions for v in self.verdicts.get(q.question_id, ()) if v.condition == PLAIN}
        return sorted(found, key=in_order)


def question_browser(shown: Shown, test: Sequence[Question], note: str = "") -> Html:
    """Its part of the page that stands there without a script.

    Args:
        shown: what it shows.
        test: all questions that there are.
        note: said of the pictures.
    """
    if not shown.questions:
        return missing("There are no test questions yet: the stage build_qa has not run.")
    asked = shown.asked()
    n_asked = sum(q.question_id in shown.verdicts for q in test)
    n_gone = len(shown.verdicts) - n_asked
    said = f"{len(shown.questions):,} of {len(test):,} test questions"
    if len(shown.questions) < (n_asked or len(test)):
        said += ", drawn by a hash of their ids"
    said += f"; {n_asked:,} were asked." if asked else "."
    stale = f"{n_gone:,} questions that models answered are no longer among the test questions: build_qa is newer than evaluate."
    keys = join(
        [tag("kbd", "←"), " ", tag("kbd", "→"), " previous and next, ", tag("kbd", "/"), " search. Every question and every choice has its own address."]
    )
    return join(
        [
            tag("p", said, " ", note, " ", keys, class_="faint"),
            None if asked else missing("No model has answered them yet: the stage evaluate has not run."),
            missing(stale) if n_gone else None,
            _filters(shown, asked),
            tag(
                "div",
                tag("div", tag("ol", aria_label="Questions"), class_="roll", tabindex="0", role="group", aria_label="List of questions"),
                tag("div", class_="shown", id="shown", aria_live="polite"),
                class_="browser",
            ),
            tag("noscript", tag("p", "Questions and pictures need JavaScript; the tables do without.", class_="missing")),
        ]
    )


def browser_data(shown: Shown) -> Html:
    """Its data: an index of all questions, and the questions themselves in blocks."""
    asked = shown.asked()
    of_range, of_family = ranges(shown.questions), families(shown.questions, shown.views)
    columns: dict[str, list[str]] = {
        "kind": [q.kind for q in shown.questions],
        "cue": [q.cue for q in shown.questions],
        "range": [of_range[q.question_id] for q in shown.questions],
        "family": [of_family[q.question_id] for q in shown.questions],
        "held": ["held out" if q.held_out else "seen" for q in shown.questions],
    }
    index = {
        "ids": [q.question_id for q in shown.questions],
        "asked": [list(a) for a in asked],
        "found": [_found(shown.verdicts.get(q.question_id, ()), asked) for q in shown.questions],
        "columns": {name: _coded(values) for name, values in columns.items()},
        "block": BLOCK,
    }
    blocks = [packed_block(f"questions-{i // BLOCK}", _block(shown.questions[i : i + BLOCK], shown)) for i in range(0, len(shown.questions), BLOCK)]
    return join([data_block("index", index), *blocks])


def _coded(values: Sequence[str]) -> dict[str, list[Any]]:
    names = sorted(set(values))
    place = {name: i for i, name in enumerate(names)}
    return {"names": names, "values": [place[value] for value in values]}


def _found(verdicts: Sequence[Verdict], asked: Sequence[tuple[str, str]]) -> str:
    """A letter for each model and mode: r(ight), w(rong), u(nread), - where it was not asked."""
    letters: dict[tuple[str, str], str] = {(v.model, v.mode): outcome(v)[0] for v in verdicts if v.condition == PLAIN}
    return "".join(letters.get(a, "-") for a in asked)


def _filters(shown: Shown, asked: Sequence[tuple[str, str]]) -> Html:
    questions = shown.questions
    select = lambda name, label, choices: tag(
        "label", label, " ", tag("select", *(tag("option", text, value=value) for value, text in choices), id=f"filter-{name}")
    )
    either = lambda name, label, values: select(name, label, [("", "any"), *((v, v) for v in values)]) if len(values) > 1 else None
    models, modes = (list(dict.fromkeys(a[i] for a in asked)) for i in (0, 1))
    outcomes = [("", "any answer"), ("right", "right"), ("wrong", "wrong"), ("unread", "unparsed"), ("missed", "not right")]
    if "base" in models and len(models) > 1:
        outcomes += [("gained", "right, base not"), ("lost", "not right, base is")]
    return tag(
        "div",
        select("kind", "Kind", [("", "all"), *((k, k) for k in sorted({q.kind for q in questions}))]),
        either("range", "Size", sorted(set(ranges(questions).values()), key=range_order)),
        either("family", "Shows", sorted(set(families(questions, shown.views).values()))),
        either("held", "Family", ["seen", "held out"] if any(q.held_out for q in questions) else []),
        select("cue", "2D cue", [("", "any"), *((c, c) for c in sorted({q.cue for q in questions}))]),
        select("model", "Model", [("", "any"), *((m, m) for m in models)]) if asked else None,
        either("mode", "Mode", modes),
        select("outcome", "Answer", outcomes) if asked else None,
        tag("label", "Search ", tag("input", type="search", id="filter-text", placeholder="id, question, completion")),
        tag("span", tag("button", "←", id="previous", type="button", aria_label="Previous question"), class_="step"),
        tag("span", id="place", role="status"),
        tag("span", tag("button", "→", id="next", type="button", aria_label="Next question"), class_="step"),
        class_="filters",
    )


# ------------------------------------------------------------------------------------------------ one question


def _block(questions: Sequence[Question], shown: Shown) -> dict[str, Any]:
    sketches = {}
    for view_ids in dict.fromkeys(q.view_ids for q in questions):
        if shown.views is not None and len(view_ids) > 1 and all(v in shown.views for v in view_ids):
            sketches[" ".join(view_ids)] = top_down(*(shown.views[v] for v in view_ids))
    return {"questions": [_question(q, shown) for q in questions], "sketches": {pair: sketch for pair, sketch in sketches.items() if sketch is not None}}


def _question(q: Question, shown: Shown) -> dict[str, Any]:
    tied = f", tied class {q.tied_class}" if q.tied_class else ""
    about = f"Kind {q.kind}{tied}; 2D cue {q.cue}; source {q.source}."
    decided = [f"{q.deciding_quantity} = {q.deciding_value:+.4g}", f", {100 * q.margin:.0f} % clear of the nearest boundary. {about}"]
    verdicts = shown.verdicts.get(q.question_id, ())
    return {
        "text": q.text,
        "options": list(q.options),
        "truth": q.truth,
        "decided": decided if q.deciding_quantity else ["", about],
        "views": [[view_id, shown.full_picture(view_id) or ""] for view_id in q.view_ids],
        "answers": [_answer(q, v) for v in verdicts if v.condition == PLAIN],
        "controls": [_answer(q, v) for v in verdicts if v.condition not in (PLAIN, "sampled")],
        "sampled": _sampled(verdicts),
    }


def _answer(q: Question, v: Verdict) -> list[Any]:
    """Who, outcome, what was read and by which rule, what else is known of it, completion."""
    said = f"no answer: {v.rule}" if v.answer is None else f"{v.answer} ({q.label_of(v.answer)}), read by rule {v.rule}"
    condition = "" if v.condition == PLAIN else f" · {v.condition}, where {_right(q, v)} is right"
    return [v.model, f" · {v.mode}{condition}", outcome(v), said, _noted(v), v.completion]


def _noted(v: Verdict) -> str:
    """Its tokens, how sure the model was, and how much of its thought is true: what the tables of these are made of."""
    sure = [] if v.answer is None or v.answer_logprob is None else [f"sure {100 * math.exp(v.answer_logprob):.0f} %"]
    claims = [] if v.n_claims is None else [f"{v.n_claims_true} of {v.n_claims} claims true, {v.n_claims_near} within a cell"]
    return ", ".join([f"{v.n_tokens:,} tokens", *sure, *claims])


def _right(q: Question, v: Verdict) -> str:
    return q.label_of(v.truth) if v.truth in LETTERS[: len(q.options)] else v.truth


def _sampled(verdicts: Sequence[Verdict]) -> list[list[Any]]:
    """By model: its name, and of each completion the letter read, the outcome and the text."""
    found: dict[str, list[Any]] = {}
    for v in verdicts:
        if v.condition == "sampled":
            found.setdefault(v.model, []).append([v.answer or "?", outcome(v), v.completion])
    return [[model, completions] for model, completions in found.items()]


def file_name(view_id: str, data: bytes) -> str:
    """What a full picture's file is called."""
    return re.sub(r"[^\w.-]", "_", view_id) + (".png" if data.startswith(b"\x89PNG") else ".jpg")
