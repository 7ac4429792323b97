"""Do answers hang together more than their accuracy explains? On families that need no cameras: two kinds ask one bit, and contradict where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from toy_evaluation import toy_questions

from actial.evaluation.families import AskedFamily, family_scores
from actial.evaluation.score import verdict_of
from actial.records import Question
from actial.rng import generator_for

N = 240
OTHER = {"left": "right", "right": "left"}


def differ(labels: Mapping[str, str | None]) -> bool | None:
    return None if None in labels.values() else len(set(labels.values())) > 1


@pytest.fixture(scope="module")
def asked() -> tuple[list[AskedFamily], dict[str, Question]]:
    like = toy_questions(1)[0]
    questions, families = {}, []
    for i in range(N):
        names = [f"scene-{i // 2:06d}.v{i % 2}.{kind}" for kind in ("lateral", "orbit")]
        for name in names:
            labels = ("left", "right") if generator_for(1, name).random() < 0.5 else ("right", "left")
            truth = "AB"[labels.index(("left", "right")[i % 3 == 0])]
            questions[name] = replace(like, question_id=name, scene_id=f"s{i // 2}", kind=name.rsplit(".", 1)[1], labels=labels, options=labels, truth=truth)
        families.append(AskedFamily("pair", f"s{i // 2}", tuple(names), differ))
    return families, questions


def scored(asked: tuple[list[AskedFamily], dict[str, Question]], label: Callable[[int, Question], str | None]) -> dict:
    families, questions = asked
    said = [label(i // 2, q) for i, q in enumerate(questions.values())]
    texts = ["" if word is None else f"<answer>{q.letter_of(word)}</answer>" for word, q in zip(said, questions.values(), strict=True)]
    verdicts = [verdict_of(q, "sft", "direct", text, 0, "") for q, text in zip(questions.values(), texts, strict=True)]
    return family_scores(families, questions, {("sft", "direct"): verdicts}, 7)["sft"]["direct"]["pair"]


def test_one_idea_of_the_scene_shows_though_it_is_often_wrong(asked) -> None:
    """Right about seven families of ten, and always of one mind. Without it, both would agree in 0.7 x 0.7 + 0.3 x 0.3 of families."""
    sure = generator_for(2, "ideas").random(N) < 0.7
    found = scored(asked, lambda i, q: q.label_of(q.truth) if sure[i] else OTHER[q.label_of(q.truth)])
    assert found["consistent"] == 1 and found["accuracy"] == pytest.approx(0.7, abs=0.08)
    p = found["accuracy"]
    assert found["expected"] == pytest.approx(p**2 + (1 - p) ** 2, abs=0.03)
    assert found["excess"] == pytest.approx(1 - found["expected"]) and found["low"] > 0.3


def test_answers_that_know_nothing_of_each_other_have_no_excess(asked) -> None:
    generator = generator_for(3, "independent")
    found = scored(asked, lambda i, q: q.label_of(q.truth) if generator.random() < 0.7 else OTHER[q.label_of(q.truth)])
    assert found["low"] < 0 < found["high"] and abs(found["excess"]) < 0.09


def test_a_bias_that_makes_answers_agree_is_no_understanding(asked) -> None:
    """Left is said nine times of ten, whatever is shown: the answers agree often, and no more often than that explains."""
    generator = generator_for(4, "biased")
    found = scored(asked, lambda i, q: "left" if generator.random() < 0.9 else "right")
    assert found["consistent"] > 0.75 and found["low"] < 0 < found["high"]


def test_whoever_says_one_thing_or_nothing_has_exactly_none(asked) -> None:
    always, never = scored(asked, lambda i, q: "left"), scored(asked, lambda i, q: None)
    assert (always["consistent"], always["excess"]) == (1, 0) and (never["consistent"], never["excess"]) == (0, 0)


def test_options_that_differ_from_question_to_question_are_exchanged_by_rank(asked) -> None:
    """As angles do: what is kept is whether an answer is right."""
    families, questions = asked
    named = {
        name: replace(q, labels=tuple(f"{label} {i}" for label in q.labels), options=tuple(f"{label} {i}" for label in q.labels))
        for i, (name, q) in enumerate(questions.items())
    }
    right = lambda family: [
        AskedFamily(f.sort, f.scene_id, f.question_ids, lambda labels: len({x and x.split()[0] for x in labels.values()}) > 1) for f in family
    ]
    sure = generator_for(2, "ideas").random(N) < 0.7
    found = scored((right(families), named), lambda i, q: q.label_of(q.truth) if sure[i] else next(x for x in q.labels if x != q.label_of(q.truth)))
    assert found["expected"] == pytest.approx(0.58, abs=0.08) and found["low"] > 0.3
