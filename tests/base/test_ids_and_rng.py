"""Ids carry their parents; randomness depends on the seed and the id alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial import ids
from actial.errors import UserError
from actial.rng import generator_for


@given(
    scene=st.integers(0, 10**7),
    first=st.integers(0, 150),
    second=st.integers(0, 150),
    third=st.none() | st.integers(0, 150),
    more=st.lists(st.integers(0, 150), max_size=5),
    kind=st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True),
    sample=st.integers(0, 99),
)
def test_the_parents_are_read_off_the_child(scene: int, first: int, second: int, third: int | None, more: list[int], kind: str, sample: int) -> None:
    s, rest = ids.scene_id(scene), tuple(more) if third is not None else ()
    shown = tuple(ids.view_id(s, number) for number in (first, second, third, *rest) if number is not None)
    question = ids.question_id(ids.group_id(*shown), kind)
    assert ids.parse(f"{question}#{sample}") == (s, first, second, third, kind, sample, rest)
    assert ids.view_ids_of(question) == shown
    assert ids.question_of(f"{question}#{sample}") == question
    assert not ids.is_external(question) and ids.is_external("sat-3f9c21d07a6be845.v00-v01.sat_other_12")


@pytest.mark.parametrize("text", ["", "scene", "scene-1.", "scene-1.v3", "scene-1.v03-11", "scene-000001.orbit", "scene-000001.v01-v02.Orbit"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no id"):
        ids.parse(text)


def test_a_question_may_be_about_one_view() -> None:
    assert ids.group_id("scene-000001.v03") == "scene-000001.v03"
    question = ids.question_id("scene-000001.v03", "count")
    assert ids.view_ids_of(question) == ("scene-000001.v03",) and ids.parse(f"{question}#2").kind == "count"


def test_a_pair_has_one_scene() -> None:
    with pytest.raises(ValueError, match="different scenes"):
        ids.group_id("scene-000001.v00", "scene-000002.v01")


def test_streams_are_stable_and_independent() -> None:
    assert generator_for(7, "scene-000042").integers(0, 2**32) == generator_for(7, "scene-000042").integers(0, 2**32)
    draws = {int(generator_for(seed, f"scene-{i}").integers(0, 2**62)) for seed in range(3) for i in range(200)}
    assert len(draws) == 600
    assert generator_for(7, "scene-000042").integers(0, 10**6) == 635876  # a change of the stream changes every data set
