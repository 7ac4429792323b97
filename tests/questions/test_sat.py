"""Kinds about the things in a scene: every truth is found again by another route (pixels, OpenCV, a map of the ground), and a planted error is noticed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sat_scenes import SIDE_PX, views_with_masks, write_scenes
from toy_scenes import tiny_evaluation, toy_settings

from actial.evaluation.conditions import CONTROLS, posed
from actial.evaluation.groups import SAT
from actial.evaluation.score import Asked, score, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.mirror import mirrored_question, mirrored_view
from actial.params_questions import KINDS_WITH_CHAINS
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.sat_build import Look, evenly
from actial.questions.sat_kinds import KINDS_OF_THINGS
from actial.questions.sat_things import UNSEEN, VISIBLE, outline_area_px, scenery
from actial.questions.sat_truth import Candidate
from actial.questions.sat_truth import count as count_things
from actial.questions.scan import scan_scenes
from actial.records import LETTERS, OPPOSITE, SAT_KINDS, Question, SceneObject, View, is_viewpoint
from actial.rng import generator_for
from actial.shards import ViewStore, decode_picture
from actial.tables import read_questions

N_SCENES, SEED = 14, 7
SETTINGS = toy_settings(kinds=SAT_KINDS, wordings=4, splits={"train": 1.0, "rl": 0.0, "val": 0.0, "test": 0.0})
NAME = re.compile(r"the ([a-z]+ (?:box|sphere|cylinder|cone))\b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sat")
    write_scenes(root / "views", N_SCENES)
    return root


@pytest.fixture(scope="module")
def store(folder: Path) -> ViewStore:
    return ViewStore(folder / "views")


@pytest.fixture(scope="module")
def questions(folder: Path, store: ViewStore) -> list[Question]:
    build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, SEED, store)
    return read_questions(folder / "out/train.parquet")


def test_kinds_about_things_are_asked_in_the_splits_named(folder: Path, store: ViewStore) -> None:
    every = replace(SETTINGS, kinds=("turn", "left_of", "count"), none="never", splits={"train": 0.5, "rl": 0.25, "val": 0.0, "test": 0.25})
    asked = {}
    for name, settings in (("every", every), ("some", replace(every, sat_splits=("rl", "test")))):
        build_questions(scan_scenes(folder / "views"), folder / name, settings, SEED, store)
        asked[name] = {split: read_questions(folder / f"{name}/{split}.parquet") for split in ("train", "rl", "test")}
    assert {q.kind for q in asked["every"]["train"]} == set(every.kinds) and {q.kind for q in asked["some"]["train"]} == {"turn"}
    assert all(asked["some"][split] == asked["every"][split] for split in ("rl", "test"))


# ------------------------------------------------------------------------------------------------ another route to every truth


class Told:
    """What a question names, in its pictures."""

    def __init__(self, q: Question, store: ViewStore) -> None:
        self.q, self.store, self.views = q, store, [store[v] for v in q.view_ids]
        self.names = NAME.findall(q.text)

    def row(self, name: str, picture: int = 0) -> SceneObject:
        (row,) = (o for o in self.views[picture].objects if f"{o.color} {o.shape}" == name)
        return row

    def mask(self, picture: int = 0) -> np.ndarray:
        view_id = original(self.views[picture].view_id)
        mask = np.asarray(decode_picture(self.store.picture_bytes(view_id, "mask") or b"", view_id, mode="L"))
        return mask if view_id == self.views[picture].view_id else mask[:, ::-1]

    def pixels(self, name: str, picture: int = 0) -> np.ndarray:
        """(n, 2) columns and rows where the mask has it."""
        rows, columns = np.nonzero(self.mask(picture) == self.views[picture].objects.index(self.row(name, picture)))
        return np.column_stack([columns + 0.5, rows + 0.5])

    def seen_from(self, name: str, picture: int = 0, where: int | None = None) -> np.ndarray:
        """(3,) in OpenCV's camera axes: right, down, ahead; of the thing as it stands in picture `where`."""
        T = np.array(self.views[picture].camera.T_world_cam).reshape(4, 4)
        R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
        return R @ (np.array(self.row(name, picture if where is None else where).T_world_obj)[[3, 7, 11]] - T[:3, 3])

    def on_map(self, name: str) -> complex:
        x, y = np.array(self.row(name).T_world_obj)[[3, 7]]
        return complex(x, y)

    @property
    def rivals(self) -> list[str]:
        """In the order in which the text names them; those that are options."""
        return [name for name in self.names if any(name in option for option in self.q.options)]


def original(view_id: str) -> str:
    return view_id.replace("_mirrored", "")


def expect_left_of(t: Told) -> str:
    first, second = in_order_of_relation(t)
    return "left" if t.pixels(first)[:, 0].mean() < t.pixels(second)[:, 0].mean() else "right"


def in_order_of_relation(t: Told) -> tuple[str, str]:
    """The thing asked about, and what it is compared with: the texts that say it the other way round begin so."""
    a, b = dict.fromkeys(t.names)
    turned = ("Draw", "Going across", "To reach from", "Compare how deep")
    return (b, a) if t.q.text.startswith(turned) else (a, b)


def expect_above(t: Told) -> str:
    """By pixels: the thing's height is where the way through its pixels' middle crosses the upright line that it stands on."""
    first, second = in_order_of_relation(t)
    heights = []
    for name in (first, second):
        T, K = t.views[0].camera.pose(), t.views[0].camera.intrinsics()
        u, v = t.pixels(name).mean(axis=0)
        ray = T[:3, :3] @ [(u - K[0, 2]) / K[0, 0], -(v - K[1, 2]) / K[1, 1], -1.0]
        at = np.array([t.on_map(name).real, t.on_map(name).imag])
        along = (at - T[:2, 3]) @ ray[:2] / (ray[:2] @ ray[:2])
        heights.append(T[2, 3] + along * ray[2])
    return "up" if heights[0] > heights[1] else "down"


def expect_in_front(t: Told) -> str:
    T = t.views[0].camera.pose()
    facing = complex(-T[0, 2], -T[1, 2])
    first, second = in_order_of_relation(t)
    depth = [((t.on_map(name) - complex(T[0, 3], T[1, 3])) * facing.conjugate()).real for name in (first, second)]
    return "closer" if depth[0] < depth[1] else "farther"


def expect_depth(t: Told) -> str:
    far = [np.linalg.norm(t.seen_from(name)) for name in t.rivals]
    return "first" if far[0] < far[1] else "second"


def expect_distance(t: Told) -> str:
    (to,) = (name for name in t.names if name not in t.rivals)
    far = [np.linalg.norm(t.seen_from(name) - t.seen_from(to)) for name in dict.fromkeys(t.rivals)]
    return "first" if far[0] < far[1] else "second"


def expect_count(t: Told) -> str:
    shape = {"boxes": "box", "spheres": "sphere", "cylinders": "cylinder", "cones": "cone"}[re.search(r"boxes|spheres|cylinders|cones", t.q.text)[0]]
    numbers, n_px = np.unique(t.mask(), return_counts=True)
    n = sum(n_px > 15 and t.views[0].objects[number].shape == shape for number, n_px in zip(numbers, n_px, strict=True) if number)
    return ("one", "two", "three")[n - 1]


def expect_goal_aim(t: Told) -> str:
    (name,) = t.names
    u, f_px = t.pixels(name)[:, 0].mean(), t.views[0].camera.K[0]
    off = (u - SIDE_PX / 2) / f_px
    return "none" if abs(off) < np.tan(np.radians(5)) else "left" if off < 0 else "right"


def turned_to(t: Told, to: str) -> complex:
    """On a map that has who stands at its origin, facing along its real axis: counter-clockwise is left."""
    stand, face = roles(t)
    return (t.on_map(to) - t.on_map(stand)) / (t.on_map(face) - t.on_map(stand))


def roles(t: Told) -> tuple[str, str]:
    """Whose place is taken, and what is faced: every wording names them in this order, before anything else."""
    stand, face = t.names[:2]
    return stand, face


def expect_from_object(t: Told) -> str:
    at = turned_to(t, t.names[2])
    return "behind" if abs(np.angle(at, deg=True)) > 135 else "left" if at.imag > 0 else "right"


def expect_action_step(t: Told) -> str:
    step = {"forward": 1, "backward": -1, "to the left": 1j, "to the right": -1j}[re.search(r"forward|backward|to the (?:left|right)", t.q.text)[0]]
    at = turned_to(t, t.names[2])
    return "closer" if abs(at - 1e-4 * step) < abs(at) else "farther"


def expect_action_turn(t: Told) -> str:
    turn = re.search(r"to the left|to the right|by 180", t.q.text)[0]
    facing = {"to the left": 1j, "to the right": -1j, "by 180": -1}[turn]
    ahead = [(turned_to(t, name) / facing).real / abs(turned_to(t, name)) for name in t.names[2:4]]
    return "first" if ahead[0] > ahead[1] else "second"


def expect_ego_movement(t: Told) -> str:
    first, second = (v.camera.pose() for v in t.views)
    seen = np.linalg.inv(first) @ second  # no camera here is rolled: the first one's right is level
    return f"{'right' if seen[0, 3] > 0 else 'left'}_{'right' if -seen[0, 2] > 0 else 'left'}"


def expect_object_moved(t: Told) -> str:
    """What does not appear, in the second picture, where it would if it stood as in the first."""
    off_px = []
    for name in t.rivals:
        K = t.views[1].camera.intrinsics()
        u, v, depth = K @ t.seen_from(name, 1, where=0)
        off_px.append(float(np.linalg.norm(t.pixels(name, 1).mean(axis=0) - [u / depth, v / depth])))
    return ("first", "second", "third")[int(np.argmax(off_px))] if max(off_px) > 5 else "none"


def expect_goal_out_of_sight(t: Told) -> str:
    (name,) = t.names
    assert len(t.pixels(name, 0)) and not len(t.pixels(name, 1))
    return "left" if t.seen_from(name, 1, where=0)[0] < 0 else "right"


EXPECT: dict[str, Callable[[Told], str]] = {name: globals()[f"expect_{name}"] for name in SAT_KINDS}


@pytest.mark.parametrize("kind", SAT_KINDS)
def test_the_truth_is_found_again_by_another_route_and_a_wrong_one_is_noticed(kind: str, questions: list[Question], store: ViewStore) -> None:
    asked = [q for q in questions if q.kind == kind]
    assert len(asked) >= (4 if kind == "goal_out_of_sight" else 12), f"{kind}: {len(asked)}"
    for q in asked:
        found = EXPECT[kind](Told(q, store))
        assert q.label_of(q.truth) == found, (q.question_id, q.text, q.label_of(q.truth), found)
        wrong = replace(q, truth=next(letter for letter in LETTERS if letter != q.truth))
        assert wrong.label_of(wrong.truth) != found


def test_mirror_images_have_the_truth_of_the_mirrored_scene(questions: list[Question], store: ViewStore) -> None:
    changed = Counter()
    for q in questions:
        image = mirrored_question(q)
        assert image.label_of(image.truth) == EXPECT[q.kind](Told(image, store)), image.question_id
        changed[q.kind] += image.label_of(image.truth) != q.label_of(q.truth) or image.text != q.text
        assert mirrored_question(image).text == q.text and store[image.view_ids[0]] == mirrored_view(store[q.view_ids[0]])
    assert set(changed) - {kind for kind, n in changed.items() if n == 0} == {
        *("left_of", "goal_aim", "from_object", "action_step", "action_turn", "ego_movement", "goal_out_of_sight")
    }


def test_every_wording_is_used_and_names_what_it_must(questions: list[Question]) -> None:
    for name, kind in KINDS_OF_THINGS.items():
        asked = [q for q in questions if q.kind == name]
        assert len(kind.texts) == 4 and len(set(kind.texts)) == 4 and kind.texts[0] == min(kind.texts, key=len)
        assert len({q.text for q in asked}) > len(asked) / 4 or name in ("count", "ego_movement")
        assert all("{" not in q.text + "".join(q.options) and len(set(q.options)) == len(q.options) == len(kind.labels) for q in asked)
        assert all(sorted(q.labels) == sorted(kind.labels) for q in asked)
        assert all(len(q.view_ids) == kind.n_pictures and q.margin >= 0 and q.family_id == q.question_id.rpartition(".")[0] for q in asked)
    for q in questions:
        assert len({*NAME.findall(q.text)}) == len(NAME.findall(q.text)) or q.kind in ("left_of", "above", "in_front", "object_moved")


def test_labels_and_places_of_names_are_even(questions: list[Question]) -> None:
    for name, kind in KINDS_OF_THINGS.items():
        counts = Counter(q.label_of(q.truth) for q in questions if q.kind == name)
        assert set(counts) == set(kind.labels) and len(set(counts.values())) == 1, (name, counts)


def test_in_another_place_the_side_in_the_picture_tells_nothing(questions: list[Question]) -> None:
    cues = Counter(q.cue for q in questions if q.kind == "from_object" and q.label_of(q.truth) != "behind")
    assert cues["aligned"] == cues["conflict"] > 0


def test_what_is_named_is_seen_and_unmistakable(questions: list[Question], store: ViewStore) -> None:
    for q in questions:
        t = Told(q, store)
        shown = [0, 1] if q.kind == "object_moved" else [0]
        for name in set(t.names):
            for picture in shown:
                share = len(t.pixels(name, picture)) / outline_area_px(t.row(name, picture), t.views[picture])
                assert share >= VISIBLE - 1e-9, (q.question_id, name, share)


def test_an_outline_is_as_large_as_what_is_drawn_of_a_thing_that_nothing_hides() -> None:
    """The renderer's pixels against the convex hull; over many things most are whole."""
    shares = []
    for index in range(6):
        for view, mask in views_with_masks(index):
            for thing in scenery(view, mask).things:
                uv = cv2.projectPoints(thing.center[None], *opencv(view))[0][0, 0]
                if (abs(uv - SIDE_PX / 2) < SIDE_PX / 3).all():
                    shares.append(thing.share)
                assert thing.is_clear <= (thing.share >= VISIBLE) and thing.share < 1.25
    assert np.quantile(shares, 0.75) > 0.95 and abs(np.median([s for s in shares if s > 0.9]) - 1) < 0.03


def opencv(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    T = view.camera.pose()
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    return cv2.Rodrigues(R)[0], -R @ T[:3, 3], view.camera.intrinsics(), np.zeros(5)


# ------------------------------------------------------------------------------------------------ balance

candidates = st.lists(
    st.tuples(st.permutations(["box", "cone", "cone", "sphere"]), st.integers(0, 2), st.booleans(), st.sampled_from(["", "left"])).map(
        lambda drawn: Candidate({}, tuple("abc"), (*drawn[0][:3], "none"), 3 if drawn[2] else min(range(3), key=lambda i: drawn[0][i]), 1.0, 0.1, cell=drawn[3])
    ),
    max_size=60,
)


@given(candidates)
def test_no_shape_and_no_place_tells_the_answer_after_thinning(drawn: list[Candidate]) -> None:
    """The right one is always the rival whose shape comes first in the alphabet: all of that is gone."""
    kept = evenly([Look.of(c) for c in drawn], SEED, "here")
    assert [i for i, _ in kept] == sorted({i for i, _ in kept})
    by_sort: dict[tuple[str, ...], list[tuple[Candidate, int]]] = {}
    for i, place in kept:
        by_sort.setdefault((drawn[i].cell, *sorted(drawn[i].groups)), []).append((drawn[i], place))
    for sort, of_sort in by_sort.items():
        right = Counter(c.groups[c.answer] for c, _ in of_sort)
        weights = Counter(sort[1:])
        assert len({right[group] / weight for group, weight in weights.items()}) == 1
        places = Counter(place for _, place in of_sort)
        assert len({places[p] for p in range(4)}) == 1


def test_a_kind_without_one_of_its_answers_is_left_out() -> None:
    one_sided = [Candidate({"to": "red box"}, (), ("left", "right"), 0, 1.0, 1.0)] * 9
    assert evenly([Look.of(c) for c in one_sided], SEED, "here") == []


# ------------------------------------------------------------------------------------------------ refusals, and what goes with it


def test_reasons_are_counted(folder: Path, store: ViewStore) -> None:
    built = build_questions(scan_scenes(folder / "views"), folder / "counted", SETTINGS, SEED, store)
    reasons = {reason for reason in built.refused if reason.split(":")[0] in SAT_KINDS}
    for reason in (
        *("left_of: neither clearly left nor right", "depth: about as far as each other", "from_object: nobody can stand there"),
        *("in_front: beside rather than in front or behind", "object_moved: what moved is not seen in both pictures, or not alone"),
        *(
            "count: one of a shape is hidden in part, or small",
            "goal_aim: between straight ahead and aside",
            "ego_movement: something moved between the pictures",
        ),
    ):
        assert reason in reasons


def test_nothing_is_asked_of_hidden_or_nameless_things() -> None:
    view, mask = views_with_masks(0)[0]
    seen = scenery(view, mask)
    thing = seen.clear[0]
    place = view.objects.index(thing.row)
    hidden = np.where((mask == place) & (np.arange(SIDE_PX) % 2 == 0), 0, mask)
    now = next(t for t in scenery(view, hidden).things if t.name == thing.name)
    assert not now.is_clear and now.share > UNSEEN
    assert "one of a shape is hidden in part, or small" in [c for c in count_things(scenery(view, hidden), generator_for(0, "x")) if isinstance(c, str)]
    twin = replace(view.objects[1], name="twin")
    assert thing.name not in {t.name for t in scenery(replace(view, objects=(*view.objects, replace(thing.row, name="twin"))), mask).things}
    face = replace(twin, name="face", color="", shape="composite")
    (why,) = count_things(scenery(replace(view, objects=(*view.objects, face)), mask), generator_for(0, "x"))
    assert why == "something in the scene has no colour and shape of its own"


def test_other_kinds_stay_as_they_are_beside_these(folder: Path, store: ViewStore) -> None:
    alone, beside = folder / "alone", folder / "beside"
    settings = replace(SETTINGS, kinds=KINDS_WITH_CHAINS["short"])
    for out, kinds in ((alone, KINDS_WITH_CHAINS["short"]), (beside, (*KINDS_WITH_CHAINS["short"], "depth", "object_moved"))):
        build_questions(scan_scenes(folder / "views"), out, replace(settings, kinds=kinds), SEED, store)
    for name in SPLITS:
        both = read_questions(beside / f"{name}.parquet")
        assert [q for q in both if is_viewpoint(q.kind)] == read_questions(alone / f"{name}.parquet")
    assert {q.kind for q in read_questions(beside / "train.parquet")} >= {"turn", "depth", "object_moved"}


def test_controls_but_blind_leave_out_what_has_one_picture_and_stand_ins_score_as_they_must(questions: list[Question]) -> None:
    by_id = {q.question_id: q for q in questions}
    for q in questions:
        known = {condition: posed(condition, q, by_id) for condition in CONTROLS}
        if len(q.view_ids) == 1:
            assert {condition for condition, asked in known.items() if asked} == {"blind"}
        elif q.kind == "object_moved":
            assert known["swapped"] is None and known["same_twice"].question.label_of(known["same_twice"].question.truth) == "none"
    told = {
        (name, "direct"): [
            verdict_of(q, name, "direct", text, 0, "") for q, text in zip(questions, standin_completions(name, questions, "direct", "text", 7), strict=True)
        ]
        for name in STANDINS
    }
    scores = score(questions, Asked(told), {}, tiny_evaluation(), 7)
    assert scores["models"]["oracle"]["direct"][SAT]["accuracy"] == 1 == scores["models"]["oracle"]["direct"]["overall"]["accuracy"]
    for name in SAT_KINDS:
        facts = scores["questions"][name]
        assert scores["models"]["constant"]["direct"][name]["accuracy"] == pytest.approx(facts["chance"]) == facts["majority"]
        opposites = all(label in OPPOSITE for label in KINDS_OF_THINGS[name].labels)
        assert not opposites or scores["models"]["mirror"]["direct"][name]["accuracy"] == 0
