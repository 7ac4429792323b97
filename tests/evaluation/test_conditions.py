"""Controls: what is shown, and what is right there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_evaluation import ROOT, toy_questions
from toy_scenes import toy_settings, write_toy_views

from actial.evaluation.conditions import BENCHMARK_CONTROLS, CONTROLS, less_shown, posed
from actial.params import load_params
from actial.params_evaluation import Controls
from actial.prompts import IMAGE_MARK, prompt_messages
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.tables import read_questions


@pytest.fixture(scope="module")
def test_split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditions")
    write_toy_views(folder / "views", 40)
    build_questions(scan_scenes(folder / "views"), folder / "out", toy_settings(), 7)
    return {q.question_id: q for q in read_questions(folder / "out" / "test.parquet")}


def test_one_picture_is_hidden_and_nothing_else_changes(test_split):
    for q in test_split.values():
        assert posed("first_only", q, test_split).question is q is posed("second_only", q, test_split).question
        assert (posed("first_only", q, test_split).hidden, posed("second_only", q, test_split).hidden) == ((1,), (0,))


def test_the_same_picture_twice_asks_for_none(test_split):
    for q in test_split.values():
        found = posed("same_twice", q, test_split)
        assert found.question.view_ids == (q.view_ids[0],) * 2 and not found.hidden
        assert found.question.label_of(found.question.truth) == "none"
        assert replace(found.question, view_ids=q.view_ids, truth=q.truth) == q


def test_the_other_order_keeps_words_and_options_and_has_its_own_truth(test_split):
    """The builder asks every pair in both orders within a split, so that no truth is missing; it is looked up, for it need not be the mirror."""
    for q in test_split.values():
        found = posed("swapped", q, test_split).question
        other = next(o for o in test_split.values() if o.kind == q.kind and o.view_ids == q.view_ids[::-1])
        assert found.view_ids == other.view_ids
        assert (found.question_id, found.text, found.options, found.labels) == (q.question_id, q.text, q.options, q.labels)
        assert found.label_of(found.truth) == other.label_of(other.truth)
        for label in other.labels:
            told = posed("swapped", q, test_split | {other.question_id: replace(other, truth=other.letter_of(label))}).question
            assert told.label_of(told.truth) == label


def test_blind_there_is_no_picture_and_nothing_that_speaks_of_its_place(test_split):
    prompt = load_params(ROOT / "profiles" / "paper.yaml").prompt
    for q in [*test_split.values(), replace(next(iter(test_split.values())), view_ids=("scene-000000.v00",))]:
        found = posed("blind", q, test_split)
        assert replace(found.question, view_ids=q.view_ids) == q and not found.hidden
        (system, asked), (same, plainly) = (prompt_messages(prompt, question, "think") for question in (found.question, q))
        assert system == same
        assert plainly.content.endswith(asked.content) and IMAGE_MARK not in asked.content and prompt.picture.format(number=1) not in asked.content


def test_an_order_that_is_not_asked_about_is_left_out():
    q = toy_questions(1)[0]
    assert posed("swapped", q, {q.question_id: q}) is None
    with pytest.raises(ValueError, match="no condition"):
        posed("upside_down", q, {})


def test_of_any_number_of_pictures_all_but_one_are_hidden():
    q = toy_questions(1)[0]
    for n in range(1, 5):
        several = replace(q, view_ids=tuple(f"scene-000000.v{i:02d}" for i in range(n)))
        first, last = less_shown("first_only", several), less_shown("last_only", several)
        assert less_shown("blind", several).question.view_ids == ()
        if n == 1:
            assert first is last is None
        else:
            assert first.question is last.question is several
            assert (first.hidden, last.hidden) == (tuple(range(1, n)), tuple(range(n - 1)))


def test_the_conditions_are_those_that_params_and_the_command_allow(capsys):
    from dataclasses import fields

    from actial.params_evaluation import Evaluate
    from flows import cli

    choices = lambda section, name: next(f for f in fields(section) if f.name == name).metadata["choices"]
    assert choices(Controls, "conditions") == CONTROLS
    assert choices(Evaluate, "benchmark_controls") == tuple(BENCHMARK_CONTROLS)
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--model", "m", "--controls", "upside_down"])
    said = capsys.readouterr().err
    assert all(name in said for name in BENCHMARK_CONTROLS)
