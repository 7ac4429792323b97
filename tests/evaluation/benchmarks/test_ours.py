"""The project's own test as benchmarks: which questions each asks, bits that count once, and families that contradict themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_benchmarks import asked, values
from toy_rows import answered
from toy_scenes import PLAIN_PICTURE, rich_views, toy_settings

from actial.errors import UserError
from actial.evaluation.benchmarks.ours import CONSISTENCY_3D, FAMILIES_TEST, OURS, SAT_STYLE, VIEWPOINT
from actial.params_questions import THREE_VIEW_KINDS
from actial.questions.build import build_questions
from actial.questions.contradictions import FAMILIES, write_families
from actial.questions.families import families_of
from actial.questions.scan import scan_scenes
from actial.records import Question
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions, write_questions

KINDS = ("lateral", "orbit", "turn", "perspective")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Question]]:
    """Views of ten scenes, and the questions of their test."""
    outputs = tmp_path_factory.mktemp("outputs")
    with ViewWriter(outputs / "render_views" / "views", shard_mb=256) as writer:
        for index in range(10):
            for view in rich_views(index):
                writer.add(view, PLAIN_PICTURE)
    settings = toy_settings(kinds=(*KINDS, *THREE_VIEW_KINDS), pairs_per_kind=9, n_families=40, splits={"train": 0.3, "rl": 0.0, "val": 0.0, "test": 0.7})
    views = outputs / "render_views" / "views"
    build_questions(scan_scenes(views), outputs / "build_qa", settings, 7)
    questions = read_questions(outputs / "build_qa" / "test.parquet")
    write_families(outputs / "build_qa" / FAMILIES, families_of([outputs / "build_qa" / "test.parquet"], ViewStore(views).__getitem__, settings, 7)[0])
    return outputs, questions


@pytest.fixture
def outputs(built: tuple[Path, list[Question]], tmp_path: Path) -> Path:
    """The same, with two questions about things and two about an altered object."""
    made, questions = built
    (tmp_path / "render_views").symlink_to(made / "render_views")
    (tmp_path / "build_qa").mkdir()
    (tmp_path / "build_qa" / FAMILIES).symlink_to(made / "build_qa" / FAMILIES)
    kinds = ("count", "goal_aim", "consistency", "alteration")
    others = [replace(q, kind=kind, tied_class="", question_id=f"{q.family_id}.{kind}") for q, kind in zip(questions, kinds, strict=False)]
    write_questions(tmp_path / "build_qa" / "test.parquet", [*questions, *others])
    return tmp_path


def test_each_asks_its_own_questions(outputs: Path, built: tuple[Path, list[Question]]) -> None:
    kinds = {name: [i.question.kind for i in asked(benchmark, outputs)[0]] for name, benchmark in OURS.items() if name != "families"}
    assert kinds["sat_style"] == ["count", "goal_aim"] and kinds["consistency_3d"] == ["consistency", "alteration"]
    assert kinds["viewpoint"] == [q.kind for q in built[1]] and set(kinds["viewpoint"]) == {*KINDS, *THREE_VIEW_KINDS}
    item = asked(VIEWPOINT, outputs)[0][0]
    assert item.prompt is None and item.question == built[1][0] and item.pictures == (PLAIN_PICTURE,) * len(item.question.view_ids)


def test_bits_count_once(outputs: Path) -> None:
    items, _ = asked(VIEWPOINT, outputs)
    of_class = [i for i in items if i.question.tied_class]
    same = next(g for i in of_class if len(g := [j for j in items if j.group == i.group]) == 3)
    other = next(i for i in items if not i.question.tied_class and i.question.kind == "turn")
    right = {i.row_id: f"<answer>{i.question.truth}</answer>" for i in [*same, other]}
    found = answered([*same, other], right | {same[0].row_id: "no idea", other.row_id: "<answer>Z</answer>"})
    overall = VIEWPOINT.metric("overall")
    assert overall.value(found) == pytest.approx((2 / 3 + 0) / 2)  # three questions are one bit, the turn another
    assert overall.chance(found) == pytest.approx((sum(1 / len(i.question.options) for i in same) / 3 + 1 / len(other.question.options)) / 2)
    assert VIEWPOINT.metric("turn").value(found) == 0 and VIEWPOINT.metric("pitch").value(found) is None


def test_families_by_hand(outputs: Path) -> None:
    items, refused = asked(FAMILIES_TEST, outputs)
    families = {i.group: i.family for i in items}
    assert refused == {} and len({i.row_id for i in items}) == len(items) == sum(len(f.claims) for f in families.values() if f)
    assert {i.strata["sort"] for i in items} == {"pair", "cycle"}
    right = answered(items, {i.row_id: f"<answer>{i.question.truth}</answer>" for i in items})
    n_pairs = sum(f.sort == "pair" for f in families.values() if f)
    assert 0 < n_pairs < len(families)
    assert values(FAMILIES_TEST, right) == pytest.approx(
        {"consistent": 1, "contradicting": 0, "unanswered": 0, "all_right": 1, "accuracy": 1, "consistent pairs": 1, "consistent cycles": 1}
    )
    one = next(i for i in items if i.strata["sort"] == "pair" and i.question.kind == "lateral")
    silent = answered(items, {i.row_id: "no idea" if i.row_id == one.row_id else f"<answer>{i.question.truth}</answer>" for i in items})
    of_silent = values(FAMILIES_TEST, silent)
    assert of_silent["unanswered"] == pytest.approx(1 / len(families))
    assert of_silent["consistent"] == of_silent["all_right"] == pytest.approx(1 - 1 / len(families))
    assert FAMILIES_TEST.metric("consistent").chance(right) is None
    assert FAMILIES_TEST.metric("accuracy").mean(right).n_clusters == len({i.question.scene_id for i in items})
    nothing = answered(items, {i.row_id: f"<answer>{zero}</answer>" if (zero := i.question.zero_letter()) else "no idea" for i in items})
    found = values(FAMILIES_TEST, nothing)
    assert (found["contradicting"] or 0) < 0.1 and (found["accuracy"] or 0) < 0.6  # whoever says that nothing moved hardly contradicts itself


def test_sides_that_cannot_both_be_contradict_each_other(outputs: Path) -> None:
    items, _ = asked(FAMILIES_TEST, outputs)
    by_family = {i.group: [j for j in items if j.group == i.group] for i in items}
    turns = {key: [j for j in of if j.question.kind == "turn" and "left" in j.question.labels] for key, of in by_family.items()}
    found = next(by_family[key] for key, of in turns.items() if len({j.question.view_ids for j in of}) == 2 and of[0].strata["sort"] == "pair")
    left = {i.row_id: i.question.letter_of("left") if i in turns[i.group] else i.question.truth for i in found}  # to the left there, and back
    left = {row_id: f"<answer>{letter}</answer>" for row_id, letter in left.items()}
    assert values(FAMILIES_TEST, answered(found, left))["contradicting"] == 1
    half = answered(found, left)[1:]
    assert values(FAMILIES_TEST, half)["contradicting"] is None  # a family that was not asked whole is not judged


def test_what_is_not_there_ends_in_a_sentence(outputs: Path, built: tuple[Path, list[Question]]) -> None:
    write_questions(outputs / "build_qa" / "test.parquet", built[1][:1])
    with pytest.raises(UserError, match=r"test.parquet holds nothing that our SAT-style test asks: give build_qa.kinds a value that makes some"):
        asked(SAT_STYLE, outputs)
    with pytest.raises(UserError, match=r"families.jsonl names .*, which is not in build_qa/test.parquet: rebuild the questions"):
        asked(FAMILIES_TEST, outputs)
    (outputs / "build_qa" / FAMILIES).unlink()
    (outputs / "build_qa" / FAMILIES).write_text("")
    with pytest.raises(UserError, match=r"holds nothing that our cross-view-consistency test asks: give build_qa.n_families a value"):
        asked(FAMILIES_TEST, outputs)
    (outputs / "build_qa" / "test.parquet").unlink()
    with pytest.raises(UserError, match="does not exist"):
        asked(CONSISTENCY_3D, outputs)


def test_a_question_that_cannot_be_asked_is_counted(outputs: Path, built: tuple[Path, list[Question]]) -> None:
    first, second, third = built[1][:3]
    same = replace(second, options=(second.options[0],) * len(second.options))
    write_questions(outputs / "build_qa" / "test.parquet", [replace(first, truth="Z"), same, third])
    items, refused = asked(VIEWPOINT, outputs)
    assert [i.row_id for i in items] == [third.question_id]
    assert refused == {first.question_id: "an answer that is no option", second.question_id: "options that cannot be told apart"}
