"""Is the truth of a stored question true? Every answer of a data set of all kinds once more, by routes that share no code with what made it."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from toy_scenes import PLAIN_PICTURE, rich_views, tiny_evaluation, toy_settings

from actial.answers import Answer, read_answer
from actial.evaluation.conditions import posed
from actial.evaluation.score import Asked, score, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.evaluation.tables import score_table
from actial.geometry.poses import look_at, rotated_about
from actial.geometry.projection import intrinsics
from actial.mirror import mirrored_question, mirrored_view
from actial.params_questions import QUESTION_KINDS
from actial.questions.balance import SPLITS
from actial.questions.build import Built, build_questions
from actial.questions.card import write_card
from actial.questions.kinds import ANGLE_LABELS, CHANGE_KINDS, KINDS
from actial.questions.scan import scan_scenes
from actial.records import MIRRORED, OPPOSITE, ZERO_LABELS, Question, View
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions

CAMERA_KINDS = tuple(kind for kind in QUESTION_KINDS if kind not in CHANGE_KINDS)
SETTINGS = toy_settings(kinds=CAMERA_KINDS, wordings=4, pairs_per_kind=9)
N_SCENES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    with ViewWriter(folder / "views", shard_mb=256) as writer:
        for index in range(N_SCENES):
            for view in rich_views(index):
                writer.add(view, PLAIN_PICTURE)
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    return build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, 7)


@pytest.fixture(scope="module")
def questions(folder: Path, built: Built) -> dict[str, list[Question]]:
    return {name: read_questions(folder / "out" / f"{name}.parquet") for name in SPLITS}


@pytest.fixture(scope="module")
def views(folder: Path) -> dict[str, View]:
    return {view.view_id: view for view in ViewStore(folder / "views")}


class Told:
    """What two views say of the movement, by scipy's angles and complex numbers on a map."""

    def __init__(self, first: View, second: View) -> None:
        T1, T2 = (np.array(v.camera.T_world_cam).reshape(4, 4) for v in (first, second))
        subject = first.objects[0]
        center = np.array(subject.T_world_obj).reshape(4, 4)[:3, 3]
        axes = [Rotation.from_matrix(np.stack([T[:3, 0], -T[:3, 2], T[:3, 1]], axis=1)) for T in (T1, T2)]  # right, line of sight, up
        (yaw, pitch, roll), (yaw2, pitch2, roll2) = (r.as_euler("ZXY", degrees=True) for r in axes)
        self.r = float(np.linalg.norm(T1[:3, 3] - center))
        self.right, self.ahead, self.up = Rotation.from_euler("Z", yaw, degrees=True).inv().apply(T2[:3, 3] - T1[:3, 3]) / self.r
        self.moved = float(np.linalg.norm(T2[:3, 3] - T1[:3, 3])) / self.r
        self.turn, self.pitch, self.roll = ((b - a + 180) % 360 - 180 for a, b in ((yaw, yaw2), (pitch, pitch2), (roll, roll2)))
        self.rotation = float(np.degrees((axes[0].inv() * axes[1]).magnitude()))
        on_map = [complex(*(T[:2, 3] - center[:2])) for T in (T1, T2)]
        self.orbit = float(np.degrees(np.angle(on_map[1] / on_map[0])))
        out = complex(*subject.front[:2]) if subject.front else 1.0
        self.to_objects_left = ((on_map[1] - on_map[0]) / out).imag / self.r
        self.ratio = float(np.linalg.norm(T2[:3, 3] - center)) / self.r

    def label(self, kind: str) -> str | None:
        """The answer by DESIGN section 6; None where it is ambiguous."""
        still = "none" if self.moved < 0.01 else None
        match kind:
            case "lateral":
                return still or _side(self.right, 0.15, "right", "left")
            case "forward":
                return still or _side(self.ahead, 0.15, "forward", "back")
            case "vertical":
                return still or _side(self.up, 0.15, "up", "down")
            case "front":
                return still or _side(self.to_objects_left, 0.15, "left", "right")
            case "direction":
                parts = sorted(
                    [(abs(self.right), "right", "left", self.right), (abs(self.ahead), "forward", "back", self.ahead), (abs(self.up), "up", "down", self.up)]
                )
                leads = parts[2][0] >= 0.15 and parts[2][0] >= 1.5 * parts[1][0]
                return still or (_side(parts[2][3], 0.15, parts[2][1], parts[2][2]) if leads else None)
            case "orbit" | "perspective" | "orbit_angle":
                return "none" if abs(self.orbit) < 1 else _side(self.orbit, 15, "left", "right")
            case "turn" | "turn_angle":
                return "none" if abs(self.turn) < 1 else _side(self.turn, 10, "left", "right")
            case "pitch":
                return "none" if abs(self.pitch) < 1 else _side(self.pitch, 8, "up", "down")
            case "roll":
                return "none" if abs(self.roll) < 1 else _side(self.roll, 8, "clockwise", "counter-clockwise")
            case "radial":
                return "none" if 1 / 1.01 < self.ratio < 1.01 else "farther" if self.ratio >= 1.15 else "closer" if self.ratio <= 1 / 1.15 else None
            case "moved":
                return "no" if self.moved < 0.01 else "yes" if self.moved >= 0.15 else None
            case "turned":
                return "no" if self.rotation < 1 else "yes" if self.rotation >= 10 else None
        raise AssertionError(kind)


def _side(value: float, least: float, positive: str, negative: str) -> str | None:
    return None if abs(value) < least else positive if value > 0 else negative


def asked(question: Question) -> str:
    """The label of the truth; of angles the side alone."""
    return question.label_of(question.truth).split("_")[0]


def test_every_answer_is_found_again(questions: dict[str, list[Question]], views: dict[str, View]) -> None:
    of_pair = {pair: Told(*(views[v] for v in pair)) for pair in {q.view_ids for rows in questions.values() for q in rows}}
    for q in (q for rows in questions.values() for q in rows):
        told = of_pair[q.view_ids]
        assert asked(q) == told.label(q.kind), q.question_id
        if q.kind.endswith("_angle"):
            angle = told.turn if q.kind == "turn_angle" else told.orbit
            right = q.options[q.labels.index(q.label_of(q.truth))]
            assert int(right.split()[0]) == (0 if asked(q) == "none" else round(abs(angle)))
            assert asked(q) == "none" or ("counter-clockwise" in right or "left" in right) == (angle > 0)


def test_every_label_of_every_kind_is_right_equally_often(questions: dict[str, list[Question]]) -> None:
    for split in ("train", "rl", "test"):
        counts = {kind: Counter(q.label_of(q.truth) for q in questions[split] if q.kind == kind) for kind in CAMERA_KINDS}
        for kind, of_kind in counts.items():
            assert len(set(of_kind.values())) == 1 and set(of_kind) == set(KINDS[kind].asked_labels), (split, kind, of_kind)


def test_options_are_distinct_in_labels_and_words_and_each_is_read_as_itself(questions: dict[str, list[Question]]) -> None:
    for q in (q for rows in questions.values() for q in rows):
        assert sorted(q.labels) == sorted(KINDS[q.kind].asked_labels) and len(set(q.options)) == len(q.options)
        for i, option in enumerate(q.options):
            read = read_answer(f"<answer>{option}</answer>", q.options)
            assert isinstance(read, Answer) and read.rule == "tag_text" and read.letter == "ABCDEFG"[i]


def test_orders_of_options_and_wordings_do_not_follow_the_answer(questions: dict[str, list[Question]]) -> None:
    """Chi-squared over kinds: letters and wordings of the truth are as even as lots; the bound is passed by chance once in 100,000 runs."""
    from scipy.stats import chi2_contingency

    rows = [q for split in questions.values() for q in split]
    for kind in (KINDS[name] for name in CAMERA_KINDS):
        of_kind = [q for q in rows if q.kind == kind.name]
        for drawn in (lambda q: q.truth, lambda q, kind=kind: kind.texts.index(q.text)):
            table = Counter((drawn(q), q.label_of(q.truth)) for q in of_kind)
            seen = [[table[a, b] for b in sorted({b for _, b in table})] for a in sorted({a for a, _ in table})]
            assert chi2_contingency(seen).pvalue > 1e-5, kind.name


def test_the_options_of_an_angle_do_not_tell_which_is_right(questions: dict[str, list[Question]]) -> None:
    """Of every set of sizes each is right as often as the others, to the left as to the right; sizes lie apart."""
    for split, rows in questions.items():
        for kind in ("orbit_angle", "turn_angle"):
            by_set: dict[tuple[int, ...], Counter[str]] = defaultdict(Counter)
            for q in (q for q in rows if q.kind == kind):
                sizes = [int(q.options[q.labels.index(label)].split()[0]) for label in ANGLE_LABELS]
                assert sizes[:3] == sizes[3:6] and sizes[6] == 0 and min(np.diff([0, *sizes[:3]])) >= (15 if kind == "orbit_angle" else 10)
                assert min(np.diff(sizes[:3])) >= SETTINGS.option_gap_deg
                by_set[tuple(sizes[:3])][q.label_of(q.truth)] += 1
            assert (split == "val" or by_set) and all(len({counts[label] for label in ANGLE_LABELS[:6]}) == 1 for counts in by_set.values())


def test_the_other_order_is_what_the_kind_says(questions: dict[str, list[Question]]) -> None:
    """And the control `swapped` gets that truth, with the words and options of its own question."""
    by_id = {q.question_id: q for rows in questions.values() for q in rows}
    for q in by_id.values():
        swapped = posed("swapped", q, by_id)
        assert swapped is not None and swapped.question.options == q.options
        there, back = q.label_of(q.truth), swapped.question.label_of(swapped.question.truth)
        kind = KINDS[q.kind]
        assert kind.other_order == "anew" or back == (OPPOSITE.get(there, there) if kind.other_order == "opposite" else there)
        twice = posed("same_twice", q, by_id)
        assert twice is not None and twice.question.label_of(twice.question.truth) == kind.labels[-1] in ZERO_LABELS


def test_mirror_images_have_the_truth_of_their_own_cameras(questions: dict[str, list[Question]], views: dict[str, View]) -> None:
    for q in questions["test"]:
        image = mirrored_question(q)
        told = Told(*(mirrored_view(views[v]) for v in q.view_ids))
        assert image.options == q.options and asked(image) == told.label(q.kind)
        assert image.label_of(image.truth) == MIRRORED.get(q.label_of(q.truth), q.label_of(q.truth))
        back = mirrored_question(image)
        assert (back.truth, back.deciding_value) == (q.truth, q.deciding_value)
        if q.deciding_quantity in ("lateral_r", "turn_deg", "roll_deg", "up_r", "forward_r", "pitch_deg", "front_r"):
            of = {"lateral_r": told.right, "turn_deg": told.turn, "roll_deg": told.roll, "up_r": told.up, "forward_r": told.ahead, "pitch_deg": told.pitch}
            assert image.deciding_value == pytest.approx(of.get(q.deciding_quantity, told.to_objects_left), abs=1e-6)


def test_a_front_that_faces_the_camera_is_tied_to_the_orbit_and_an_angle_never(questions: dict[str, list[Question]], views: dict[str, View]) -> None:
    rows = [q for split in questions.values() for q in split]
    assert {q.kind for q in rows if q.tied_class} == {"lateral", "orbit", "perspective", "front"}
    orbit = {q.view_ids: asked(q) for q in rows if q.kind == "orbit"}
    both = 0
    for q in (q for q in rows if q.kind == "front" and q.tied_class and q.view_ids in orbit):
        first = views[q.view_ids[0]]
        towards = np.array(first.camera.T_world_cam).reshape(4, 4)[:2, 3] - first.objects[0].center()[:2]
        facing = towards @ first.objects[0].front[:2] > 0
        told = orbit[q.view_ids]
        assert asked(q) == (told if facing else OPPOSITE.get(told, told)) or "none" in (asked(q), told)
        both += asked(q) != "none" != told
    assert both


def test_the_scorer_reads_and_counts_every_kind(questions: dict[str, list[Question]]) -> None:
    test = questions["test"]
    verdicts = {
        (standin, "direct"): [
            verdict_of(q, standin, "direct", text, 0, "") for q, text in zip(test, standin_completions(standin, test, "direct", "text", 7), strict=True)
        ]
        for standin in STANDINS
    }
    scores = score(test, Asked(verdicts), {}, tiny_evaluation(), 7)
    by_group = {standin: scores["models"][standin]["direct"] for standin in STANDINS}
    for kind in CAMERA_KINDS:
        n = len(KINDS[kind].asked_labels)
        assert scores["questions"][kind]["chance"] == pytest.approx(1 / n) == scores["questions"][kind]["majority"]
        with_opposite = sum(label in OPPOSITE for label in KINDS[kind].asked_labels) / n
        assert (by_group["oracle"][kind]["accuracy"], by_group["mirror"][kind]["accuracy"]) == pytest.approx((1.0, 1 - with_opposite))
        assert by_group["constant"][kind]["accuracy"] == pytest.approx(1 / n) and by_group["silent"][kind]["unparsed"] == 1.0
    assert by_group["mirror"]["directional"]["accuracy"] == 0.0
    assert "orbit_angle" in score_table(scores)


def test_the_card_tells_every_kind(folder: Path, built: Built) -> None:
    write_card(folder / "README.md", built, SETTINGS, 7)
    card = (folder / "README.md").read_text()
    assert all(f"| train | {kind} |" in card and f"| {kind} | {KINDS[kind].texts[0]} |" in card for kind in CAMERA_KINDS)
    assert "{deg}" not in card and "computed anew" in card and "at least 1.15 times" in card


# ------------------------------------------------------------------------------------------------ in pixels, by OpenCV

K = intrinsics(84, 84, 80.0)


def pixel(p_world: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Column and row, counted from the middle."""
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    uv, _ = cv2.projectPoints(np.asarray(p_world, float)[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], K, None)
    return uv[0, 0] - 42.0


unit_step = st.floats(-1.5, 1.5)


@given(unit_step, unit_step, unit_step, st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(-0.5, 0.5))
def test_moves_tilts_and_rolls_are_seen_so_in_the_pictures(dx: float, dy: float, dz: float, turn_rad: float, tilt_rad: float, roll_rad: float) -> None:
    """The second camera's place, pushed far ahead, appears above the first's horizon when it went up; the horizon sinks when a camera tilts up and its
    left end rises in pixels when it rolls clockwise; a rod that stands on the object looks longer from nearer.
    """
    center = np.array([0.0, 0.0, 1.0])
    first = look_at(np.array([0.0, -4.0, 1.0]), center)
    second = first.copy()
    second[:3, 3] += [dx, dy, dz]
    second[:3, :3] = (
        rotated_about(np.array([0, 0, 1.0]), turn_rad) @ rotated_about(first[:3, 0], tilt_rad) @ rotated_about(-first[:3, 2], roll_rad) @ first[:3, :3]
    )
    told = label_of(first, second, center)
    eye, north = second[:3, 3], np.array([-np.sin(turn_rad), np.cos(turn_rad), 0.0])
    if told("vertical") in ("up", "down"):
        assert told("vertical") == ("up" if pixel(eye + np.array([0, 100.0, 0]), first)[1] < 0 else "down")
    if told("forward") in ("forward", "back"):
        beside = look_at(first[:3, 3], first[:3, 3] + first[:3, 0])  # a camera there that looks to the right sees what is ahead on its left
        assert told("forward") == ("forward" if pixel(eye + 100 * first[:3, 0], beside)[0] < 0 else "back")
    horizon = [pixel(eye + 1000 * rotated_about(np.array([0, 0, 1.0]), a) @ north, second) for a in (0.3, 0.0, -0.3)]
    assume(all(np.isfinite(p).all() for p in horizon))
    if told("roll") in ("clockwise", "counter-clockwise"):
        assert told("roll") == ("clockwise" if horizon[0][1] > horizon[2][1] else "counter-clockwise")
    if told("pitch") in ("up", "down"):
        upright = rotated_about(-second[:3, 2], -roll_rad)
        level = second.copy()
        level[:3, :3] = upright @ second[:3, :3]
        assert told("pitch") == ("up" if pixel(eye + 1000 * north, level)[1] > 0 else "down")
    if told("radial") in ("closer", "farther"):
        rods = []
        for T in (first, second):
            facing = look_at(T[:3, 3], center)
            ends = [pixel(center + 0.01 * s * facing[:3, 1], facing) for s in (-1, 1)]
            rods.append(np.linalg.norm(ends[0] - ends[1]))
        assert told("radial") == ("closer" if rods[1] > rods[0] else "farther")


def label_of(first: np.ndarray, second: np.ndarray, center: np.ndarray):  # type: ignore[no-untyped-def]  # kind -> label or reason
    from actial.geometry.angles import motion_between
    from actial.questions.deciding import decide

    motion = motion_between(first[None], second[None], center)

    def told(kind: str) -> str | int:
        code = int(decide(KINDS[kind], motion, np.array([False]), SETTINGS)[0])
        return KINDS[kind].labels[code] if code >= 0 else code

    return told
