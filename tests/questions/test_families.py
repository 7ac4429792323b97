"""Families of questions whose answers constrain each other, and which answers contradict."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.spatial.transform import Rotation
from toy_scenes import PLAIN_PICTURE, rich_views, toy_settings

from actial import ids
from actial.errors import UserError
from actial.evaluation.families import AskedFamily, family_scores
from actial.evaluation.score import verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.geometry.angles import Motion, motion_between
from actial.geometry.arcs import arc_of_three, azimuth_deg
from actial.params_questions import QUESTION_KINDS, THREE_VIEW_KINDS
from actial.questions import families as questions_families
from actial.questions.build import build_questions
from actial.questions.contradictions import AZIMUTH, HEADING, Bound, Claim, Family, contradicts, possible, read_families, write_families
from actial.questions.deciding import decide, is_tied
from actial.questions.families import CONSTRAINING, CYCLE, PAIR, Group, families_of, family_of
from actial.questions.kinds import KINDS
from actial.questions.scan import scan_scenes
from actial.questions.three_views import THREE_VIEWS
from actial.records import Camera, Mode, Question, SceneObject, Verdict, View
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions, write_questions
from tasks.evaluate import asked_families

SETTINGS = toy_settings(kinds=(*QUESTION_KINDS, *THREE_VIEW_KINDS), pairs_per_kind=9, n_families=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    with ViewWriter(folder / "views", shard_mb=256) as writer:
        for index in range(16):
            for view in rich_views(index):
                writer.add(view, PLAIN_PICTURE)
    build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, 7)
    return folder


# ------------------------------------------------------------------------------------------------ against sampled motions

N = 20_000
BEARINGS_DEG = (3.0, -6.0, 1.0)
CENTER, FRONT = np.array([0.2, -0.1, 0.5]), np.array([0.9, 0.3, 0.1])


def sampled_cameras(n_views: int, rng: np.random.Generator) -> np.ndarray:
    """(n_views, N, 4, 4) poses that see the subject within 5 degrees of `BEARINGS_DEG`; each view often lies near an earlier one in some respects."""
    poses: list[tuple[np.ndarray, ...]] = []
    for view in range(n_views):
        azimuth, pitch, roll = rng.uniform(-180, 180, N), rng.uniform(-70, 70, N), rng.uniform(-180, 180, N)
        bearing = BEARINGS_DEG[view] + rng.uniform(-5, 5, N)
        level, height = np.exp(rng.uniform(-1.5, 1.5, N)), rng.uniform(-0.4, 0.4, N)
        if view:
            near = poses[rng.integers(view)]
            close = lambda spread, own, other: np.where(rng.random(N) < 0.5, other + rng.uniform(-spread, spread, N), own)
            azimuth, pitch, roll = close(rng.choice([1.0, 40, 170]), azimuth, near[0]), close(1, pitch, near[1]), close(1, roll, near[2])
            azimuth = np.where(rng.random(N) < 0.5, near[0] + rng.uniform(-60, 60, N), azimuth)
            level, height = np.exp(close(0.01, np.log(level), np.log(near[3]))), close(0.01, height, near[4])
            stays = rng.random(N) < 0.25
            azimuth, level, height = (
                np.where(stays, other + rng.uniform(-0.003, 0.003, N), own) for own, other in ((azimuth, near[0]), (level, near[3]), (height, near[4]))
            )
            azimuth = np.where(rng.random(N) < 0.2, near[0] - near[5] + bearing + rng.uniform(-1, 1, N), azimuth)  # looks the same way on the map
        poses.append((azimuth, pitch, roll, level, height, bearing))
    return np.stack([_poses(*p) for p in poses])


def _poses(azimuth: np.ndarray, pitch: np.ndarray, roll: np.ndarray, level: np.ndarray, height: np.ndarray, bearing: np.ndarray) -> np.ndarray:
    heading = azimuth + 180 - bearing
    axes = Rotation.from_euler("ZXY", np.stack([heading - 90, pitch, roll], axis=1), degrees=True).as_matrix()  # of right, line of sight, up
    T = np.zeros((len(azimuth), 4, 4))
    T[:, :3, 0], T[:, :3, 1], T[:, :3, 2], T[:, 3, 3] = axes[:, :, 0], axes[:, :, 2], -axes[:, :, 1], 1
    T[:, :3, 3] = CENTER + np.stack([level * np.cos(np.radians(azimuth)), level * np.sin(np.radians(azimuth)), level * height], axis=1)
    return T


@functools.cache
def sampled_poses(n_views: int) -> np.ndarray:
    """(n_views, 3 N, 4, 4)."""
    rng = np.random.Generator(np.random.PCG64(5))
    return np.concatenate([sampled_cameras(n_views, rng) for _ in range(3)], axis=1)


@functools.cache
def sampled_motions(first: int, second: int, n_views: int) -> Motion:
    poses = sampled_poses(n_views)
    return motion_between(poses[first], poses[second], CENTER, FRONT)


def labels_of(kind: str, views: tuple[int, ...], n_views: int) -> np.ndarray:
    """(3 N,) place among the kind's labels, or a negative number where it is not asked."""
    poses = sampled_poses(n_views)
    if kind in THREE_VIEWS:
        C = poses[list(views), :, :3, 3].transpose(1, 0, 2)
        arc = arc_of_three(azimuth_deg(C, CENTER))
        clear = (arc.gaps_deg.min(axis=1) >= SETTINGS.three_views.min_gap_deg) & (arc.gaps_deg.sum(axis=1) < SETTINGS.three_views.max_arc_deg)
        orders = ["-".join(str(i + 1) for i in order) for order in itertools.permutations(range(3))]
        place = arc.order[:, 1] if kind == "between" else np.array([orders.index("-".join(str(i + 1) for i in order)) for order in arc.order])
        return np.where(clear, place, -1)
    motion = sampled_motions(views[0], views[1], n_views)
    code = decide(KINDS[kind], motion, np.zeros(3 * N, bool), SETTINGS)
    return np.where(is_tied(KINDS[kind], motion, SETTINGS) | (kind != "lateral"), code, -1)


def toy_family(asked: list[tuple[str, tuple[int, ...]]], n_views: int) -> Family:
    """A family of questions (kind, views in order) of cameras with the bearings that are sampled."""
    names = [ids.view_id("scene-000000", i) for i in range(n_views)]
    K = (300.0, 0.0, 500.0, 0.0, 300.0, 500.0, 0.0, 0.0, 1.0)
    subject = SceneObject("subject", "box", "boxes", "", tuple(np.block([[np.eye(3), CENTER[:, None]], [np.zeros(3), 1]]).ravel()), (1.0, 1.0, 1.0))
    at = [_poses(*(np.array([x]) for x in (20.0 * i, 0.0, 0.0, 2.0, 0.0, BEARINGS_DEG[i])))[0] for i in range(n_views)]
    views = [View(name, "scene-000000", Camera(1000, 1000, K, tuple(T.ravel())), (subject,), "toy", "CC0-1.0") for name, T in zip(names, at, strict=True)]
    questions = []
    for kind, shown in asked:
        of = THREE_VIEWS.get(kind) or KINDS[kind]
        view_ids = tuple(names[i] for i in shown)
        tied = "sideways" if kind == "lateral" else ""
        question = Question(
            ids.question_id(ids.group_id(*view_ids), kind),
            kind,
            "",
            view_ids,
            "",
            of.options,
            of.labels,
            "A",
            of.quantity,
            0.0,
            0.0,
            "scene-000000",
            tied,
            "toy",
        )
        questions.append(question)
    return family_of(Group("toy", PAIR, tuple(names), tuple(questions)), views, SETTINGS)


def seen_answers(family: Family, asked: list[tuple[str, tuple[int, ...]]], n_views: int) -> set[tuple[str, ...]]:
    """The combinations of answers that are true of some sampled motion."""
    names = [list(of) for of in family.claims.values()]
    labels = np.stack([labels_of(kind, shown, n_views) for kind, shown in asked], axis=1)
    return {tuple(names[q][place] for q, place in enumerate(row)) for row in np.unique(labels[(labels >= 0).all(axis=1)], axis=0)}


AROUND = ((0, 1), (1, 2), (2, 0))


@pytest.mark.parametrize(
    ("asked", "n_views", "missed"),
    [
        ([("orbit", edge) for edge in AROUND], 3, ()),
        ([("pitch", edge) for edge in AROUND], 3, ()),
        ([("roll", edge) for edge in AROUND], 3, ()),
        ([("radial", edge) for edge in AROUND], 3, ()),
        ([("between", (0, 1, 2)), ("orbit", (0, 1)), ("orbit", (1, 2))], 3, ()),
        ([("arc_order", (2, 0, 1)), ("between", (1, 0, 2)), ("orbit", (2, 0))], 3, ()),
        ([("orbit", (0, 1)), ("orbit", (1, 0)), ("perspective", (0, 1))], 2, ()),
        ([("orbit", (0, 1)), ("turn", (1, 2)), ("orbit", (2, 0))], 3, ()),
        (
            [("lateral", (0, 1)), ("orbit", (0, 1)), ("radial", (1, 0))],
            2,
            [(side, "none", other) for side in ("left", "right") for other in ("none", "farther")],
        ),
        ([("lateral", (0, 1)), ("lateral", (1, 0)), ("orbit", (0, 1))], 2, [(one, other, "none") for one in ("left", "right") for other in ("left", "right")]),
        ([(kind, edge) for edge, kind in zip(AROUND, ("vertical", "direction", "vertical"), strict=True)], 3, ()),
        ([("vertical", edge) for edge in AROUND], 3, ()),
        ([("front", edge) for edge in AROUND], 3, ()),
        ([("moved", edge) for edge in AROUND], 3, ()),
        ([("turned", (0, 1)), ("turned", (2, 1)), ("turn", (0, 2))], 3, ()),
        ([("turned", (0, 1)), ("turn", (1, 0)), ("pitch", (0, 1)), ("roll", (1, 0))], 2, ()),
        ([("vertical", (0, 1)), ("vertical", (1, 0)), ("moved", (0, 1)), ("direction", (0, 1))], 2, ()),
        ([("vertical", (0, 1)), ("moved", (1, 2)), ("vertical", (2, 0))], 3, ()),
        ([("front", (0, 1)), ("front", (1, 0)), ("moved", (0, 1))], 2, ()),
        ([("direction", (0, 1)), ("lateral", (0, 1)), ("forward", (0, 1))], 2, ()),
        ([("direction", (0, 1)), ("orbit", (0, 1))], 2, [("left", "none"), ("right", "none")]),
        ([("forward", (0, 1)), ("orbit", (0, 1)), ("turn", (0, 1))], 2, ()),
        (
            [("forward", (0, 1)), ("forward", (1, 0)), ("turn", (0, 1))],
            2,
            [("back", "back", "left"), ("back", "back", "none"), ("forward", "forward", "none")],
        ),
    ],
)
def test_answers_contradict_where_no_sampled_motion_makes_them_all_true(asked: list[tuple[str, tuple[int, ...]]], n_views: int, missed: object) -> None:
    """Motions of whole cameras, their truths by the code that makes questions: every combination of answers that occurs is possible, and no other one,
    but for those that only the size of a level movement excludes: it is not reasoned about.
    """
    family = toy_family(asked, n_views)
    seen = seen_answers(family, asked, n_views)
    combinations = list(itertools.product(*family.claims.values()))
    told = {answers for answers in combinations if not contradicts(family, dict(zip(family.claims, answers, strict=True)))}
    assert seen - told == set(), "possible, but called a contradiction"
    assert told - seen == set(missed), "called possible, but never seen"  # type: ignore[call-overload]  # a list of combinations
    assert 0 < len(told) < len(combinations)


def test_kinds_of_steps_together_never_call_a_motion_that_occurs_a_contradiction() -> None:
    """Too many combinations to have sampled all that are possible; those that are excluded are the greater part."""
    asked = [
        ("direction", (0, 1)),
        ("direction", (1, 0)),
        ("vertical", (0, 1)),
        ("forward", (1, 0)),
        ("lateral", (0, 1)),
        ("moved", (1, 0)),
        ("turned", (0, 1)),
    ]
    family = toy_family(asked, 2)
    seen = seen_answers(family, asked, 2)
    assert len(seen) > 30
    for answers in seen:
        assert contradicts(family, dict(zip(family.claims, answers, strict=True))) is False, answers
    rng = np.random.Generator(np.random.PCG64(6))
    guesses = [tuple(rng.choice(list(of)) for of in family.claims.values()) for _ in range(200)]
    excluded = [g for g in guesses if contradicts(family, dict(zip(family.claims, g, strict=True)))]
    assert len(excluded) > 150 and not seen & set(excluded)


def test_three_steps_without_a_turn_cannot_all_lead_the_same_way() -> None:
    asked = [*(("direction", edge) for edge in AROUND), ("turn", (0, 1)), ("turn", (1, 2))]
    family = toy_family(asked, 3)
    for way in ("left", "right", "forward", "back", "up", "down"):
        assert contradicts(family, dict(zip(family.claims, (way, way, way, "none", "none"), strict=True))) is True
    for answers in seen_answers(family, asked, 3):
        assert contradicts(family, dict(zip(family.claims, answers, strict=True))) is False, answers
    turning = dict(zip(family.claims, ("right", "right", "right", "left", "left"), strict=True))
    assert contradicts(family, turning) is False, "as a camera does that circles the subject"


# ------------------------------------------------------------------------------------------------ against integer programming

node = st.sampled_from([f"{AZIMUTH} {i}" for i in range(3)] + [f"{HEADING} {i}" for i in range(2)])
interval = st.tuples(st.integers(-180, 180), st.integers(0, 200))
bound = st.builds(lambda a, b, of: Bound(a, b, of[0], of[0] + of[1]), node, node, interval).filter(lambda b: b.start != b.end)


@settings(max_examples=60)
@given(st.lists(st.lists(st.lists(bound, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2).map(tuple), min_size=1, max_size=4))
def test_what_is_possible_is_what_an_integer_programme_finds(claims: list[Claim]) -> None:
    """Free angles and whole turns, one alternative of each claim: some choice has a solution."""
    by_programme = any(_solvable([b for alternative in choice for b in alternative]) for choice in itertools.product(*claims))
    assert possible(claims) == by_programme


def _solvable(bounds: list[Bound]) -> bool:
    nodes = sorted({name for b in bounds for name in b[:2]})
    n = len(nodes) + len(bounds)
    rows = np.zeros((len(bounds), n))
    for row, b in enumerate(bounds):
        rows[row, nodes.index(b.end)] += 1
        rows[row, nodes.index(b.start)] -= 1
        rows[row, len(nodes) + row] = 360
    is_whole = np.r_[np.zeros(len(nodes)), np.ones(len(bounds))]
    limits = LinearConstraint(rows, [b.low for b in bounds], [b.high for b in bounds])
    return bool(milp(np.zeros(n), integrality=is_whole, bounds=Bounds(-1e4, 1e4), constraints=limits).status == 0)


# ------------------------------------------------------------------------------------------------ of a whole data set


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return [folder / "out" / f"{name}.parquet" for name in ("train", "test")]


@pytest.fixture(scope="module")
def test_split(files: list[Path]) -> list[Question]:
    return [q for path in files for q in read_questions(path)]


@pytest.fixture(scope="module")
def families(folder: Path, files: list[Path]) -> list[Family]:
    return families_of(files, ViewStore(folder / "views").__getitem__, SETTINGS, 7)[0]


def truths(family: Family, questions: dict[str, Question]) -> dict[str, str | None]:
    return {name: questions[name].label_of(questions[name].truth) for name in family.claims}


def test_the_truth_never_contradicts_itself(families: list[Family], test_split: list[Question]) -> None:
    questions = {q.question_id: q for q in test_split}
    assert Counter(f.sort for f in families)[PAIR] > 100 < Counter(f.sort for f in families)[CYCLE]
    assert {questions[name].kind for f in families for name in f.claims} == CONSTRAINING
    for family in families:
        assert contradicts(family, truths(family, questions)) is False, family.family_id


def test_a_wrong_side_contradicts_the_other_order_and_the_tied_kinds(families: list[Family], test_split: list[Question]) -> None:
    questions = {q.question_id: q for q in test_split}
    opposite = {"left": "right", "right": "left"}
    n_tied = 0
    for family in (f for f in families if f.sort == PAIR):
        right = truths(family, questions)
        for name, label in right.items():
            if questions[name].tied_class and label in opposite:
                others = [
                    q
                    for q in right
                    if questions[q].tied_class
                    and questions[q].kind != "front"
                    and right[q] in opposite
                    and q != name
                    and questions[q].view_ids == questions[name].view_ids
                ]
                wrong = right | {name: opposite[label]}
                back = name.replace(ids.group_id(*questions[name].view_ids), ids.group_id(*questions[name].view_ids[::-1]))
                if questions[name].kind != "front" and (others or (questions[name].kind != "lateral" and back in right)):
                    assert contradicts(family, wrong) is True, name
                    n_tied += bool(others)
    assert n_tied > 50


def test_no_answer_is_neither_but_a_contradiction_of_the_others_is_one(families: list[Family], test_split: list[Question]) -> None:
    questions = {q.question_id: q for q in test_split}
    family = next(f for f in families if f.sort == PAIR and len(orbits(f, questions)) == 2 and len(f.claims) > 2 and "left" in truths(f, questions).values())
    right = truths(family, questions)
    there, back = orbits(family, questions)
    other = next(name for name in right if name not in (there, back))
    assert contradicts(family, right | {other: None}) is None and contradicts(family, {}) is None
    assert contradicts(family, {there: "left", back: "left"}) is True
    assert contradicts(family, {there: "left", back: "right"}) is None


def orbits(family: Family, questions: dict[str, Question]) -> list[str]:
    return [name for name in family.claims if questions[name].kind == "orbit"]


def test_of_many_families_those_rich_in_misleading_cues_are_kept(
    folder: Path, files: list[Path], families: list[Family], test_split: list[Question], tmp_path: Path
) -> None:
    questions = {q.question_id: q for q in test_split}
    few, refused = families_of(files, ViewStore(folder / "views").__getitem__, replace(SETTINGS, n_families=40), 7)
    assert Counter(f.sort for f in few) == {PAIR: 20, CYCLE: 20}
    n_conflicts = lambda f: sum(questions[name].cue == "conflict" for name in f.claims)
    for sort in (PAIR, CYCLE):
        kept = {f.family_id for f in few if f.sort == sort}
        left = [n_conflicts(f) for f in families if f.sort == sort and f.family_id not in kept]
        assert min(n_conflicts(f) for f in few if f.sort == sort) >= max(left)
        assert refused[f"families: more {sort}s than asked for"] >= len(left)
    write_families(tmp_path / "families.jsonl", few)
    assert read_families(tmp_path / "families.jsonl") == few
    (tmp_path / "families.jsonl").write_text('{"family_id": 3}\n')
    with pytest.raises(UserError, match="is no table of question families"):
        read_families(tmp_path / "families.jsonl")


def test_families_do_not_depend_on_the_order_of_questions(folder: Path, families: list[Family], test_split: list[Question], tmp_path: Path) -> None:
    write_questions(tmp_path / "turned.parquet", test_split[::-1])
    again, _ = families_of([tmp_path / "turned.parquet"], ViewStore(folder / "views").__getitem__, SETTINGS, 7)
    assert [f.family_id for f in again] == [f.family_id for f in families]
    assert [dict(f.claims) for f in again] == [dict(f.claims) for f in families]


def test_a_few_scenes_in_memory_at_a_time_are_as_good_as_all(folder: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    few, view_of = replace(SETTINGS, n_families=20), ViewStore(folder / "views").__getitem__
    whole, held = families_of(files, view_of, few, 7), list[int]()
    read = questions_families.read_questions
    monkeypatch.setattr(questions_families, "SCENES_AT_ONCE", 4)
    monkeypatch.setattr(questions_families, "read_questions", lambda path, scene_ids: held.append(len(scene_ids)) or read(path, scene_ids))
    assert families_of(files, view_of, few, 7) == whole and max(held) == 4 and len(held) > 3 * len(files)


def test_scores_of_stand_ins(families: list[Family], test_split: list[Question]) -> None:
    held = {name for f in families for name in f.claims}
    questions = [q for q in test_split if q.question_id in held]
    verdicts: dict[tuple[str, Mode], list[Verdict]] = {}
    for standin in STANDINS:
        texts = standin_completions(standin, questions, "direct", "text", 7)
        verdicts[standin, "direct"] = [verdict_of(q, standin, "direct", text, 0, "") for q, text in zip(questions, texts, strict=True)]
    asked = [AskedFamily(f.sort, f.scene_id, tuple(f.claims), functools.partial(contradicts, f)) for f in families]
    scores = family_scores(asked, {q.question_id: q for q in questions}, verdicts, 7)
    told = {standin: scores[standin]["direct"] for standin in STANDINS}
    assert all(told["oracle"][sort] | {"n": 0} == told["oracle"]["all"] | {"n": 0} for sort in (PAIR, CYCLE))
    assert [told["oracle"]["all"][name] for name in ("consistent", "contradicting", "unanswered", "accuracy", "all_right")] == [1, 0, 0, 1, 1]
    assert [told["silent"]["all"][name] for name in ("consistent", "contradicting", "unanswered", "accuracy")] == [0, 0, 1, 0]
    assert [told[name]["all"]["excess"] for name in ("oracle", "silent")] == [0, 0], "exchanged among their like, these answers stay what they are"
    guesses = told["random"]["all"]
    assert guesses["low"] < 0 < guesses["high"], "blind guesses hang together no more than by chance"
    assert 0 < guesses["consistent"] < 0.3 and guesses["consistent"] + guesses["contradicting"] == pytest.approx(1)
    assert told["mirror"][PAIR]["accuracy"] < 0.5 and told["oracle"][PAIR]["n"] + told["oracle"][CYCLE]["n"] == len(families)


def test_families_that_cannot_be_asked(families: list[Family], test_split: list[Question], folder: Path, tmp_path: Path) -> None:
    """Those of other questions are refused, those with a broken picture left out."""
    store, path = ViewStore(folder / "views"), tmp_path / "families.jsonl"
    assert asked_families(path, test_split, store) == ([], [], 0)
    write_families(path, families[:5])
    asked, questions, n_broken = asked_families(path, test_split, store)
    held = {name for f in families[:5] for name in f.claims}
    assert len(asked) == 5 and n_broken == 0 and {q.question_id for q in questions} == held
    with pytest.raises(UserError, match="which is not among the test questions"):
        asked_families(path, [q for q in test_split if q.question_id != min(held)], store)
    shown = {v for q in questions for v in q.view_ids}
    with ViewWriter(tmp_path / "views", shard_mb=64) as writer:
        for view in store:
            if view.view_id in shown:
                writer.add(view, PLAIN_PICTURE[:60] if view.view_id == questions[0].view_ids[0] else PLAIN_PICTURE)
    asked, questions, n_broken = asked_families(path, test_split, ViewStore(tmp_path / "views"))
    assert len(asked) + n_broken == 5 and n_broken and {q.question_id for q in questions} == {name for f in asked for name in f.question_ids}
