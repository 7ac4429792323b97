"""Chains about three pictures: sound wherever cameras stand, read back by other code; whatever is edited to be false is found out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from toy_scenes import REPO, toy_settings, toy_views, write_toy_views

from actial.geometry.arcs import arc_of_three, azimuth_deg
from actial.geometry.poses import look_at, rotated_about
from actial.mix.arc_evidence import reasoned_on_arc
from actial.mix.conversations import Scribe, written_chains
from actial.mix.lengths import token_counter
from actial.mix.reasoning import NoChain
from actial.mix.sentences import in_sentences
from actial.mix.variants import facts_of
from actial.mix.verification import FalseClaim
from actial.mix.verified_arcs import verify_on_arc
from actial.mix.verified_claims import sentences_of
from actial.params import load_params
from actial.params_questions import THREE_VIEW_KINDS
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.questions.three_views import THREE_VIEWS
from actial.records import Question, View
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import read_questions

PARAMS = load_params(REPO / "profiles/single-gpu.yaml")
NTH = ("first", "second", "third")
Views = tuple[View, View, View]


class Told(NamedTuple):
    question: Question
    views: Views
    chain: str


def asked(kind: str, order: str) -> Question:
    """A question whose truth is that order of the pictures on the arc, counter-clockwise."""
    labels, label = THREE_VIEWS[kind].labels, order if kind == "arc_order" else NTH[int(order[2]) - 1]
    truth = "ABCDEF"[labels.index(label)]  # type: ignore[arg-type]  # compared with labels
    return Question("q", kind, "", (), "", THREE_VIEWS[kind].options, labels, truth, "", 0.0, 0.0, "s", "", "")


@pytest.fixture(scope="module")
def told() -> list[Told]:
    """Chains about cameras that stand around toy scenes at random, with the truth of each by its azimuths."""
    generator = generator_for(3, "arcs")
    found: list[Told] = []
    for index in range(150):
        view = toy_views(index % 15)[0]
        center, r_m = view.objects[0].center(), float(np.linalg.norm(view.camera.pose()[:3, 3] - view.objects[0].center()))
        azimuth_rad = generator.uniform(-np.pi, np.pi) + np.radians(generator.uniform(-80, 80, 3))
        eyes = [center + r_m * generator.uniform(0.8, 1.3) * np.array([np.cos(a), np.sin(a), generator.uniform(0.1, 0.6)]) for a in azimuth_rad]
        poses = [look_at(eye, center + generator.normal(size=3) * 0.05 * r_m) for eye in eyes]
        views = tuple(replace(view, camera=replace(view.camera, T_world_cam=tuple(T.ravel()))) for T in poses)
        order = "-".join(str(i + 1) for i in arc_of_three(azimuth_deg(np.array(eyes), center)[None]).order[0])
        for kind in THREE_VIEW_KINDS:
            question = asked(kind, order)
            try:
                chain = in_sentences(reasoned_on_arc(question, views), generator)
            except NoChain as reason:
                assert "contradicts" not in str(reason)
                continue
            found.append(Told(question, views, chain))  # type: ignore[arg-type]  # three views
    return found


def test_evidence_never_comes_to_a_wrong_answer_and_every_chain_is_true(told: list[Told]) -> None:
    assert len(told) > 60 and {t.question.label_of(t.question.truth) for t in told} == {label for kind in THREE_VIEWS.values() for label in kind.labels}
    for question, views, chain in told:
        verify_on_arc(chain, question, views)


def is_false(told: Told, chain: str) -> bool:
    try:
        verify_on_arc(chain, told.question, told.views)
    except FalseClaim:
        return True
    return False


EDITS = {
    r"\bnearer than\b|\babout as far away as\b": "farther away than",
    r"\bfarther away than\b": "nearer than",
    r"\bto its left\b|\bin line with it\b": "to its right",
    r"\bto its right\b": "to its left",
    r"picture's left": "picture's right",
    r"picture's right": "picture's left",
    r"(?<=degrees )counter-clockwise(?!:)": "clockwise",
    r"(?<=degrees )clockwise": "counter-clockwise",
    r"In the (?:second|third) picture": "In the first picture",
    r"(?<=picture )\d": "9",
    r"\.$": ", probably.",
}


def test_every_claim_turned_round_is_found_out(told: list[Told]) -> None:
    """Each word that could be another, each number, and each sentence left out."""
    tried = Counter[str]()
    for row in told[::2]:
        for pattern, other in EDITS.items():
            for match in re.finditer(pattern, row.chain):
                assert is_false(row, row.chain[: match.start()] + other + row.chain[match.end() :]), (match[0], row.chain)
                tried[pattern] += 1
        for match in re.finditer(r"\d+(?= degrees?)", row.chain):
            for step in (-2, 2) if int(match[0]) > 1 else (2,):
                assert is_false(row, f"{row.chain[: match.start()]}{int(match[0]) + step}{row.chain[match.end() :]}"), row.chain
        for match in re.finditer(r"\b([123]), ([123])\b", row.chain):
            assert is_false(row, f"{row.chain[: match.start()]}{match[2]}, {match[1]}{row.chain[match.end() :]}"), row.chain
        sentences = sentences_of(row.chain)
        assert len(sentences) == 6
        for i in range(6):
            assert is_false(row, " ".join(sentences[:i] + sentences[i + 1 :])) and is_false(row, " ".join(sentences[: i + 1] + sentences[i:]))
    assert tried.keys() == EDITS.keys()


def test_a_chain_of_other_pictures_another_order_of_them_or_another_truth_is_false(told: list[Told]) -> None:
    for row, other in zip(told, told[4:], strict=False):
        a, b, c = row.views
        assert is_false(row, other.chain)
        for views in ((b, a, c), (a, c, b), (c, b, a)):
            assert is_false(row._replace(views=views), row.chain)
        wrong = next(letter for letter in "AB" if letter != row.question.truth)
        assert is_false(row._replace(question=replace(row.question, truth=wrong)), row.chain)
        kind = next(kind for kind in THREE_VIEW_KINDS if kind != row.question.kind)
        assert is_false(row._replace(question=asked(kind, "1-2-3")), row.chain)


def test_words_vary_and_facts_are_what_is_seen(told: list[Told]) -> None:
    row = told[0]
    texts = {in_sentences(reasoned_on_arc(row.question, row.views), generator_for(seed, "words")) for seed in range(30)}
    assert len(texts) > 15
    for question, _, chain in told:
        assert facts_of(chain, question.kind) == " ".join(sentences_of(chain)[:3])


def test_nothing_is_told_of_what_three_pictures_do_not_show(told: list[Told]) -> None:
    question, (a, b, c), _ = told[0]
    T = c.camera.pose()
    away, rolled = T.copy(), T.copy()
    away[:3, :3] = rotated_about(np.array([0.0, 0.0, 1.0]), np.pi) @ T[:3, :3]
    rolled[:3, :3] = rotated_about(T[:3, 2], 0.2) @ T[:3, :3]
    above = look_at(a.objects[0].center() + np.array([0.3, 0.0, 4.0]), a.objects[0].center())
    for pose, why in ((away, "not in all three"), (rolled, "rolled"), (above, "above or below"), (b.camera.pose(), "arc unclear")):
        with pytest.raises(NoChain, match=why):
            reasoned_on_arc(question, (a, b, replace(c, camera=replace(c.camera, T_world_cam=tuple(pose.ravel())))))
    with pytest.raises(NoChain, match="no two named parts"):
        reasoned_on_arc(question, (a, b, replace(c, objects=c.objects[:1])))


def test_questions_get_chains_within_the_budget_of_tokens_and_a_teacher_is_asked_about_pairs_alone(tmp_path: Path) -> None:
    write_toy_views(tmp_path / "views", 24)
    build_questions(scan_scenes(tmp_path / "views"), tmp_path / "out", toy_settings(kinds=("lateral", *THREE_VIEW_KINDS)), 7)
    store, questions = ViewStore(tmp_path / "views"), read_questions(tmp_path / "out/train.parquet")
    counter = token_counter(load_params(REPO / "profiles/tiny.yaml").model)
    settings = replace(PARAMS.cold_start_mix, chains=None)
    scribe = Scribe(PARAMS.prompt, settings, store.__getitem__, counter, 7)
    written = written_chains(scribe, questions, len(questions))
    assert {q.kind for q, _ in written.told} == {"lateral", *THREE_VIEW_KINDS} and not written.refused["chains: not verified"]
    assert not written.refused["chains: evidence contradicts the answer"]
    for question, chain in written.told:
        if question.kind in THREE_VIEW_KINDS:
            assert len(chain.split()) < 200 and scribe.fits(question, "think", chain)
    assert set(settings.kinds_with_chains) - set(replace(settings, source="teacher").kinds_with_chains) == set(THREE_VIEW_KINDS)
