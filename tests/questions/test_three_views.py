"""Questions about three views: which camera stands between the others, and their order on the arc."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_blocks import sketches_of
from toy_scenes import PLAIN_PICTURE, make_project, run_stage, toy_settings, toy_views

from actial import ids
from actial.answers import Answer, read_answer
from actial.errors import UserError
from actial.evaluation.conditions import posed
from actial.export.export import export
from actial.geometry.arcs import arc_of_three
from actial.geometry.poses import look_at
from actial.geometry.projection import project
from actial.mirror import mirrored_question, mirrored_view
from actial.params import load_params
from actial.params_questions import THREE_VIEW_KINDS, ThreeViews
from actial.prompts import IMAGE_MARK
from actial.questions.balance import SPLITS
from actial.questions.build import Built, build_questions
from actial.questions.card import write_card
from actial.questions.cues import CUE_WORDS, LEAST_SHIFT
from actial.questions.probes import folds_by_scene, held_out_answers
from actial.questions.readings import FLOOR, PROBES, TEXT, features, look
from actial.questions.scan import scan_scenes
from actial.questions.three_views import THREE_VIEWS
from actial.questions.triples import REASONS_OF_THREE, Triple, TripleFinder
from actial.records import MIRRORED, Question, View
from actial.report.build import write_report
from actial.report.gallery import pair_of_pictures
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_conversations, read_questions
from actial.trace import trace

PAIR_KINDS = ("lateral", "orbit")
SETTINGS = toy_settings(kinds=(*PAIR_KINDS, *THREE_VIEW_KINDS), wordings=4)
N_SCENES, SEED = 60, 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    write(folder / "views", [view for index in range(N_SCENES) for view in toy_views(index, n_views=10)])
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    return build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, SEED)


@pytest.fixture(scope="module")
def asked(folder: Path, built: Built) -> dict[str, list[Question]]:
    return {name: [q for q in read_questions(folder / "out" / f"{name}.parquet") if q.kind in THREE_VIEW_KINDS] for name in SPLITS}


@pytest.fixture(scope="module")
def store(folder: Path) -> ViewStore:
    return ViewStore(folder / "views")


def write(folder: Path, views: list[View]) -> Path:
    with ViewWriter(folder, shard_mb=256) as writer:
        for view in views:
            writer.add(view, PLAIN_PICTURE)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def answer_from_the_map(views: list[View], kind: str) -> str:
    """By camera centres on the ground plane and the signs of cross products, without any angle: within half a circle, b is counter-clockwise of a where
    a x b > 0; so each camera's place in the order is the number of those of which it is so.
    """
    on_map = [np.array(v.camera.T_world_cam).reshape(4, 4)[:2, 3] - v.objects[0].center()[:2] for v in views]
    behind = [sum(other[0] * a[1] > other[1] * a[0] for other in on_map if other is not a) for a in on_map]
    order = [behind.index(n) for n in range(3)]
    return ("first", "second", "third")[order[1]] if kind == "between" else "-".join(str(place + 1) for place in order)


def test_every_answer_is_found_again_on_the_map(asked: dict[str, list[Question]], store: ViewStore) -> None:
    for q in (q for rows in asked.values() for q in rows):
        views = [store[v] for v in q.view_ids]
        assert q.label_of(q.truth) == answer_from_the_map(views, q.kind), q.question_id
        units = [a / np.linalg.norm(a) for v in views for a in [np.array(v.camera.T_world_cam).reshape(4, 4)[:2, 3] - v.objects[0].center()[:2]]]
        apart = sorted(np.degrees(np.arccos(a @ b)) for a, b in itertools.combinations(units, 2))
        assert apart[0] >= 15 and apart[2] < 150 and apart[0] + apart[1] == pytest.approx(apart[2], abs=1e-6), "on one arc"
        assert q.deciding_value == pytest.approx(apart[0], abs=1e-6)
        assert q.margin == pytest.approx(min(apart[0] / 15 - 1, 1 - apart[2] / 150), abs=1e-6)


def test_every_label_is_right_equally_often_and_pictures_stand_in_any_order(asked: dict[str, list[Question]], built: Built) -> None:
    for name, rows in asked.items():
        for kind in THREE_VIEWS.values():
            counts = Counter(q.label_of(q.truth) for q in rows if q.kind == kind.name)
            assert len(set(counts.values())) <= 1 and (set(counts) == set(kind.labels) or (name == "val" and not counts))
            assert all(built.labels[name, kind.name, label] == n for label, n in counts.items())
    train = asked["train"]
    assert max(Counter((q.kind, q.scene_id) for q in train).values()) <= SETTINGS.three_views.triples_per_kind
    assert len({(q.kind, frozenset(q.view_ids)) for q in train}) == len(train), "no triple is asked about twice by a kind"
    places = Counter(tuple(sorted(q.view_ids).index(v) for v in q.view_ids) for q in train)
    assert len(places) == 6 and min(places.values()) > len(train) / 12
    assert {q.text for q in train} == {text for kind in THREE_VIEWS.values() for text in kind.texts}


def told_by_floor(asked: list[Triple], store: ViewStore) -> float:
    """How much better than chance the audit's trees answer about other scenes by how far higher parts slide against lower ones."""
    right = np.array([t.kind.labels[t.label] for t in asked])
    X = features(FLOOR, 0, asked, look(store, store.view_ids(), open_pictures=False), np.zeros(len(asked)))  # type: ignore[arg-type]  # a question's views do
    folds = folds_by_scene(right, np.array([t.scene for t in asked]), SEED)
    return float((held_out_answers("trees", X, right, folds, SEED) == right).mean()) - 1 / len(asked[0].kind.labels)


def test_with_a_caliper_slides_do_not_tell_whose_camera_stood_between(folder: Path, store: ViewStore) -> None:
    every = replace(SETTINGS, kinds=("between",), three_views=replace(SETTINGS.three_views, triples_per_kind=120))
    finders = [TripleFinder(replace(every, caliper=caliper), SEED, BytesIO()) for caliper in (None, 1.0)]
    for finder in finders:
        list(finder.watched(scan_scenes(folder / "views")))
    before, after = (list(finder.asked("train", np.ones(N_SCENES, bool))) for finder in finders)
    assert told_by_floor(before, store) > 0.2 > 0.12 > told_by_floor(after, store) and len(after) > 60
    assert {t.family_id for t in after} <= {t.family_id for t in before}
    n_left_out = len(before) - len(after) - finders[1].refused["between: thinned to balance labels"] + finders[0].refused["between: thinned to balance labels"]
    assert finders[1].refused["between: left out, so that no slide tells the order"] == n_left_out
    parts = [finders[1].asked(name, np.arange(N_SCENES) % 2 == i) for i, name in enumerate(("train", "test"))]
    assert abs(sum(map(len, parts)) - len(after)) <= 4, "splits are thinned together"


def test_the_cue_is_what_slides_of_the_stored_views_suggest(asked: dict[str, list[Question]], store: ViewStore, built: Built) -> None:
    """By numpy's lines through places that the geometry module projects: how far to the right parts stand that are one standard deviation higher."""
    counted = Counter[tuple[str, str]]()
    for q in (q for rows in asked.values() for q in rows):
        views, shown = [store[v] for v in q.view_ids], []
        for view in views:
            uv, _ = project(np.array([o.center() for o in view.objects[1:]]), view.camera.intrinsics(), view.camera.pose())
            shown.append(np.where(((uv >= 0) & (uv <= 84)).all(axis=1)[:, None], uv / 84, np.nan))
        places = np.array(shown)[:, ~np.isnan(np.array(shown)).any(axis=(0, 2))]
        height = -places[..., 1].mean(axis=0)
        slides = [np.polyfit(height, x, 1)[0] * height.std() if len(set(height)) > 1 else np.nan for x in places[..., 0]]
        in_arc = answer_from_the_map(views, "arc_order").split("-")
        steps = np.diff([slides[int(place) - 1] for place in in_arc])
        least = np.diff(np.sort(slides)).min()
        follow = (steps > 0).all() or (q.kind == "between" and (steps < 0).all())
        assert abs(least - LEAST_SHIFT) < 1e-5 or q.cue == ("none" if not least >= LEAST_SHIFT else "aligned" if follow else "conflict")
        counted[q.kind, q.cue] += 1
    assert min(counted[kind, cue] for kind in THREE_VIEW_KINDS for cue in CUE_WORDS) > 10
    assert counted == Counter({key: sum(n for (_, *of), n in built.cues.items() if tuple(of) == key) for key in counted})


def test_ids_carry_the_three_views_and_their_family(asked: dict[str, list[Question]]) -> None:
    for q in asked["train"]:
        assert ids.view_ids_of(q.question_id) == q.view_ids and ids.parse(q.question_id).kind == q.kind
        assert q.family_id == ids.group_id(*sorted(q.view_ids)) and q.tied_class == ""
    with pytest.raises(ValueError, match="different scenes"):
        ids.group_id("scene-000000.v00", "scene-000000.v01", "scene-000001.v02")


def test_every_triple_is_asked_about_or_counted(asked: dict[str, list[Question]], built: Built) -> None:
    assert built.n_triples == N_SCENES * 120
    for kind in THREE_VIEW_KINDS:
        left_out = sum(n for reason, n in built.refused.items() if reason.startswith(f"{kind}: "))
        assert sum(q.kind == kind for rows in asked.values() for q in rows) + left_out == built.n_triples


def ring(azimuths_deg: list[float], height_m: float = 0.8, aim: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[View]:
    """Three views of a subject at the world's origin."""
    views = []
    for place, (view, azimuth) in enumerate(zip(toy_views(0), np.radians(azimuths_deg), strict=False)):
        T = look_at(np.array([3 * np.cos(azimuth), 3 * np.sin(azimuth), height_m]), np.array(aim))
        objects = (replace(view.objects[0], T_world_obj=tuple(np.eye(4).ravel())),)
        views.append(replace(view, view_id=ids.view_id(view.scene_id, place), camera=replace(view.camera, T_world_cam=tuple(T.ravel())), objects=objects))
    return views


def with_something_moved(views: list[View], name: str) -> list[View]:
    """The last view has one thing 0.3 m farther along +X."""
    T = np.eye(4)
    T[0, 3] = 0.3
    there = replace(views[0].objects[0], name="other", T_world_obj=tuple(np.eye(4).ravel()))
    still = [replace(v, objects=(v.objects[0], there)) for v in views]
    moved = tuple(replace(o, T_world_obj=tuple(T.ravel())) if o.name == name else o for o in still[-1].objects)
    return [*still[:-1], replace(still[-1], objects=moved)]


@pytest.mark.parametrize(
    ("views", "reason"),
    [
        (ring([0, 14.9, 60]), "two views too close on the arc"),
        (ring([0, 0, 60]), "two views too close on the arc"),
        (ring([-170, 100, 175]), None),
        (ring([300, 10, 89.9]), None),
        (ring([300, 10, 90.1]), "arc as large as not asked, or larger"),
        (ring([0, 120, 240]), "arc as large as not asked, or larger"),
        (ring([0, 30, 60], height_m=9.0), None),
        (ring([0, 30, 60], height_m=9.7), "camera near the subject's vertical axis"),
        (ring([0, 30, 60], height_m=3.0, aim=(0.0, 0.0, -20.0)), "subject not in all three pictures"),
        (ring([0, 30, 60], aim=(9.0, 0.0, 0.0)), "subject not in all three pictures"),
        (with_something_moved(ring([0, 30, 60]), "subject"), "subject moved between the views"),
        (with_something_moved(ring([0, 30, 60]), "other"), "something beside the subject moved between the views"),
    ],
)
def test_what_is_not_clear_is_left_out_and_counted_by_its_reason(tmp_path: Path, views: list[View], reason: str | None) -> None:
    finder = TripleFinder(SETTINGS, SEED, BytesIO())
    assert len(list(finder.watched(scan_scenes(write(tmp_path, views))))) == 1
    counted = {name: n for name, n in finder.refused.items() if n}
    assert counted == ({} if reason is None else {f"{kind}: {reason}": 1 for kind in THREE_VIEW_KINDS})
    assert reason is None or reason in REASONS_OF_THREE.values()
    assert not list(finder.asked("train", np.array([True]))), "one triple cannot be dealt round three labels"


def test_a_camera_that_looks_steeply_is_not_asked_about(tmp_path: Path) -> None:
    finder = TripleFinder(replace(SETTINGS, max_pitch_deg=10.0), SEED, BytesIO())
    list(finder.watched(scan_scenes(write(tmp_path, ring([0, 30, 60])))))
    assert finder.refused["between: camera pitched too far"] == 1


angle = st.floats(-720, 720)


@given(st.tuples(angle, angle, angle))
def test_the_arc_is_the_shortest_that_holds_all_three(azimuths: tuple[float, float, float]) -> None:
    arc = arc_of_three(np.array([azimuths]))
    order, gaps = arc.order[0], arc.gaps_deg[0]
    assert sorted(order) == [0, 1, 2] and (gaps >= 0).all()
    start = azimuths[order[0]]
    assert [(azimuths[order[i]] - start - sum(gaps[:i]) + 180) % 360 - 180 for i in (1, 2)] == pytest.approx([0, 0], abs=1e-6)
    assert gaps.sum() <= 240 + 1e-9
    shortest = min(max((a - b) % 360 for a in azimuths) for b in azimuths)
    assert gaps.sum() == pytest.approx(shortest, abs=1e-6)


def test_the_questions_about_pairs_are_the_same_with_and_without(folder: Path, built: Built, tmp_path: Path) -> None:
    """And settings that no kind uses change no byte."""
    pairs = replace(SETTINGS, kinds=PAIR_KINDS)
    without = build_questions(scan_scenes(folder / "views"), tmp_path / "a", pairs, SEED)
    build_questions(scan_scenes(folder / "views"), tmp_path / "b", replace(pairs, three_views=ThreeViews(20.0, 100.0, 1)), SEED)
    write_card(tmp_path / "a/README.md", without, pairs, SEED)
    assert "hree views" not in (tmp_path / "a/README.md").read_text() and without.n_triples == 0
    assert digests(tmp_path / "a").items() >= digests(tmp_path / "b").items()
    for name in SPLITS:
        with_them = [q for q in read_questions(folder / "out" / f"{name}.parquet") if q.kind in PAIR_KINDS]
        assert with_them == read_questions(tmp_path / "a" / f"{name}.parquet")


def test_the_same_seed_is_the_same_bytes_and_three_view_kinds_may_be_asked_alone(folder: Path, tmp_path: Path) -> None:
    alone = replace(SETTINGS, kinds=("arc_order",))
    for name, seed, rows_at_once in (("a", SEED, 128), ("b", SEED, 5), ("other", SEED + 1, 128)):
        build_questions(scan_scenes(folder / "views", rows_at_once), tmp_path / name, alone, seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b") != digests(tmp_path / "other")
    assert {q.kind for q in read_questions(tmp_path / "a/train.parquet")} == {"arc_order"}


def test_mirror_images_have_the_truth_of_their_own_cameras(asked: dict[str, list[Question]], store: ViewStore) -> None:
    for q in asked["test"]:
        image = mirrored_question(q)
        assert image.label_of(image.truth) == answer_from_the_map([mirrored_view(store[v]) for v in q.view_ids], q.kind)
        assert (image.label_of(image.truth) == q.label_of(q.truth)) == (q.kind == "between")
        assert image.deciding_value == q.deciding_value and mirrored_question(image).truth == q.truth


def test_swapped_pictures_have_the_truth_of_their_order_and_other_controls_are_none(asked: dict[str, list[Question]], store: ViewStore) -> None:
    for q in asked["test"]:
        swapped = posed("swapped", q, {})
        assert swapped is not None and swapped.question.view_ids == q.view_ids[::-1] and swapped.question.options == q.options
        assert swapped.question.label_of(swapped.question.truth) == answer_from_the_map([store[v] for v in q.view_ids[::-1]], q.kind)
        assert all(posed(control, q, {}) is None for control in ("first_only", "second_only", "same_twice"))


def test_options_are_read_as_themselves(asked: dict[str, list[Question]]) -> None:
    for q in asked["train"]:
        assert sorted(q.labels) == sorted(THREE_VIEWS[q.kind].labels) and len(set(q.options)) == len(q.options)
        for option, label in zip(q.options, q.labels, strict=True):
            read = read_answer(f"<answer>{option}</answer>", q.options)
            assert isinstance(read, Answer) and read.rule == "tag_text" and read.letter == q.letter_of(label)
    assert all(MIRRORED[MIRRORED[order]] == order != MIRRORED[order] for order in THREE_VIEWS["arc_order"].labels)


def test_the_audit_reads_three_pictures(asked: dict[str, list[Question]], store: ViewStore) -> None:
    questions = [q for q in asked["train"] if q.kind == "between"]
    seen = look(store, sorted({v for q in questions for v in q.view_ids}), open_pictures=True)
    pair = [replace(q, view_ids=q.view_ids[:2]) for q in questions]
    drawn = np.linspace(0, 0.999, len(questions))
    for probe in PROBES:
        of_three, of_two = (features(probe, 1, rows, seen, drawn) for rows in (questions, pair))
        assert len(of_three) == len(questions) and np.isfinite(of_three).any()
        grown = {"colors": 1.5, "shift": 2, "size": 2, "floor": 2, "flow": 2}.get(probe, 1)
        assert probe == TEXT or of_three.shape[1] == grown * of_two.shape[1], probe
    assert not np.array_equal(*(features("alone", place, questions, seen, drawn) for place in (1, 2)))


def test_the_card_the_trace_and_the_page_tell_of_three_views(
    folder: Path, built: Built, asked: dict[str, list[Question]], store: ViewStore, tmp_path: Path
) -> None:
    write_card(folder / "out/README.md", built, SETTINGS, SEED)
    card = (folder / "out/README.md").read_text()
    assert "## Three views" in card and "| train | arc_order | 1-2-3 " in card and "at least 15 deg between neighbours" in card
    outputs = tmp_path / "outputs"
    (outputs / "render_views").mkdir(parents=True)
    (outputs / "render_views/views").symlink_to(folder / "views")
    (outputs / "build_qa").symlink_to(folder / "out")
    q = asked["test"][0]
    told = trace(q.question_id, outputs)
    assert all(f"view {v}" in told for v in q.view_ids) and f"least_gap_deg = {q.deciding_value:+.4f}" in told and "along the arc: pictures" in told
    assert q.question_id in trace(q.view_ids[2], outputs) and q.text in trace(ids.group_id(*q.view_ids), outputs)
    page = str(pair_of_pictures(q.view_ids, store))
    assert page.count("data-view=") == 3 and f"{q.view_ids[2]} is camera 3" in page and 'class="path"' not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_gap_deg": 80.0, "max_arc_deg": 150.0, "triples_per_kind": 6}, "build_qa.three_views.max_arc_deg is 150; it must be larger than two gaps"),
        ({"min_gap_deg": 15.0, "max_arc_deg": 180.0, "triples_per_kind": 6}, "build_qa.three_views.max_arc_deg is 180.0; it must be at most 179"),
    ],
)
def test_settings_without_a_unique_order_are_refused(tmp_path: Path, changes: dict[str, float], said: str) -> None:
    root = make_project(tmp_path / "project", 0, build_qa__three_views=changes)
    with pytest.raises(UserError) as refused:
        load_params(root / "params.yaml")
    assert said in str(refused.value)


@pytest.mark.slow
def test_from_views_to_a_models_answers_about_three_pictures(tmp_path: Path) -> None:
    """The stages' programs: questions, conversations in mode direct, and what the tiny base writes to prompts with three pictures."""
    changes = {
        "build_qa__kinds": ["orbit", *THREE_VIEW_KINDS],
        "build_qa__audit__probes": {},
        "build_qa__n_families": 30,
        "cold_start_mix__modes": {"think": 0.0, "direct": 1.0, "describe": 0.0},
        "cold_start_mix__share_2d": 0.0,
        "cold_start_mix__n_rows": 200,
        "evaluate__models": ["base"],
        "evaluate__max_new_tokens": {"direct": 8},
        "evaluate__controls__models": [],
        "evaluate__sampled__models": [],
    }
    root = make_project(tmp_path / "project", 0, **changes)
    write(root / "outputs/render_views/views", [view for index in range(36) for view in toy_views(index, n_views=10)])
    for folder in ("outputs/sft", "outputs/grpo", "data/external/benchmarks"):
        (root / folder).mkdir()
    for stage in ("build_qa", "cold_start_mix", "evaluate"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    for name in ("sft", "rl"):
        rows = [c for c in read_conversations(root / f"outputs/cold_start_mix/{name}.parquet") if c.kind in THREE_VIEW_KINDS]
        assert {c.kind for c in rows} == set(THREE_VIEW_KINDS)
        for c in rows:
            assert len(c.view_ids) == 3 == sum(m.content.count(IMAGE_MARK) for m in c.messages) and c.mode == "direct"
    lengths = {len(c.view_ids): c.n_tokens for c in read_conversations(root / "outputs/cold_start_mix/rl.parquet") if c.kind in ("orbit", "between")}
    assert lengths[3] > lengths[2] + 9, "the third picture is counted: 9 tokens of 84 pixels"
    asked = [q for q in read_questions(root / "outputs/build_qa/test.parquet") if q.kind in THREE_VIEW_KINDS]

    lines = (root / "outputs/evaluate/records/base-direct.jsonl").read_text().splitlines()
    written = {v["question_id"]: v["completion"] for v in map(json.loads, lines)}
    assert {q.question_id for q in asked} <= written.keys() and any(written[q.question_id] for q in asked)
    scores = json.loads((root / "outputs/evaluate/scores.json").read_text())
    assert scores["questions"]["between"]["chance"] == pytest.approx(1 / 3) and scores["questions"]["arc_order"]["chance"] == pytest.approx(1 / 6)
    assert scores["models"]["oracle"]["direct"]["arc_order"]["accuracy"] == 1.0
    families = scores["families"]
    n_made = json.loads((root / "outputs/build_qa/manifest.json").read_text())["made"]["families of test questions"]
    write_report(root / "outputs", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Families of questions whose answers constrain each other" in page
    assert any("is camera 3" in sketch for sketch in sketches_of(tmp_path / "report.html").values())
    for to in ("hf", "llamafactory", "vlmeval"):
        export(root / "outputs", to, (), tmp_path / to, None)
    shown = pd.read_csv(tmp_path / "vlmeval/actial_test.tsv", sep="\t").set_index("question_id")["image_path"]
    assert all(shown[q.question_id].count(".png") == 3 for q in asked)
    rows = [json.loads(line) for line in (tmp_path / "llamafactory/sft.jsonl").read_text().splitlines()]
    assert {len(row["images"]) for row in rows} == {2, 3}
    assert families["base"]["direct"]["all"]["n"] == n_made > 10 and families["oracle"]["direct"]["all"]["consistent"] == 1.0
    assert "| base | direct | cycle" in (root / "outputs/evaluate/scores.md").read_text().replace("  ", " ").replace("  ", " ")
