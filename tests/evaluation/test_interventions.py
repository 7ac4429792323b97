"""Chains put into the model's mouth: what it is asked with, and whether its answer follows them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_evaluation import ROOT, toy_questions, write_views

from actial.evaluation.completions import Completion, ask
from actial.evaluation.interventions import GivenChain, ask_after, follow_scores, verdicts_after
from actial.params import load_params
from actial.prompts import prompt_messages
from actial.shards import ViewStore

PARAMS = load_params(ROOT / "profiles/tiny.yaml")
TURNED = {"left": "right", "right": "left"}


def both_ways() -> list[GivenChain]:
    given = []
    for question in toy_questions(8):
        if (label := question.label_of(question.truth)) in TURNED:
            given.append(GivenChain(question, "true", f"red near {label}.", question.truth))
            given.append(GivenChain(question, "opposite", f"red near {TURNED[label]}.", question.letter_of(TURNED[label])))
    return given


def scores_of(answers: list[str]) -> dict:
    given = both_ways()
    completions = [Completion(str(i), text, 1) for i, text in enumerate(answers)]
    return follow_scores(given, verdicts_after(given, completions, "sft", PARAMS.prompt))


def test_an_answer_taken_from_the_chain_follows_it_and_one_taken_from_the_pictures_does_not():
    given = both_ways()
    follower = scores_of([f"<answer>{g.concludes}</answer>" for g in given])
    looker = scores_of([f"<answer>{g.question.truth}</answer>" for g in given])
    share = lambda scores, name: [scores[condition][name]["share"] for condition in ("true", "opposite")]
    assert (share(follower, "follows"), share(follower, "accuracy")) == ([1, 1], [1, 0])
    assert (share(looker, "follows"), share(looker, "accuracy")) == ([1, 0], [1, 1])
    assert follower["true"]["n"] == follower["opposite"]["n"] == len(given) / 2 and follower["true"]["n_scenes"] == 8


def test_what_is_no_answer_follows_nothing():
    scores = scores_of(["I cannot say"] * len(both_ways()))
    assert all(scores[c]["unparsed"]["share"] == 1 and scores[c]["follows"]["share"] == scores[c]["accuracy"]["share"] == 0 for c in ("true", "opposite"))


def test_an_answer_inside_the_chain_is_not_the_models():
    given = [replace(g, chain="so the answer is A.") for g in both_ways()]
    verdicts = verdicts_after(given, [Completion("", "", 0)] * len(given), "sft", PARAMS.prompt)
    assert all(v.answer is None and v.completion == "<think>so the answer is A.</think>" for v in verdicts)
    with pytest.raises(ValueError, match="in order"):
        follow_scores(given[::-1], verdicts)


def test_the_model_goes_on_after_the_thought(tmp_path):
    from actial.evaluation.generate import chat_text
    from actial.models.load import load_processor

    write_views(tmp_path, 8)
    views, processor, given = ViewStore(tmp_path), load_processor(ROOT / PARAMS.model.base, PARAMS.model), both_ways()
    asks = [ask_after(g, PARAMS.prompt, views, 16) for g in given]
    assert len({a.key for a in asks}) == len(given)
    for g, one in zip(given, asks, strict=True):
        plain = ask(g.question, "think", prompt_messages(PARAMS.prompt, g.question, "think"), views, 16)
        assert one.key != plain.key
        assert chat_text(processor, one.messages) == chat_text(processor, plain.messages) + f"<think>{g.chain}</think>"
