"""build_qa from views on disk to questions on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_scenes import PLAIN_PICTURE, make_project, put_in_latin_1, run_stage, toy_settings, toy_views, write_toy_views

from actial.errors import UserError
from actial.geometry.angles import motion_between
from actial.params_questions import QUESTION_KINDS
from actial.questions.balance import SPLITS
from actial.questions.build import Built, build_questions
from actial.questions.deciding import decide
from actial.questions.kinds import KINDS
from actial.questions.scan import scan_scenes
from actial.records import Question, View, is_viewpoint
from actial.shards import ViewStore, ViewWriter, encode_png, picture_is_whole
from actial.tables import read_conversations, read_questions

SETTINGS = toy_settings()
SEED, N_SCENES = 7, 40


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "views"
    write_toy_views(folder, N_SCENES)
    return folder


@pytest.fixture(scope="module")
def built(views: Path) -> Built:
    return build_questions(scan_scenes(views), views.parent / "out", SETTINGS, SEED)


@pytest.fixture(scope="module")
def questions(views: Path, built: Built) -> dict[str, list[Question]]:
    return {name: read_questions(views.parent / "out" / f"{name}.parquet") for name in SPLITS}


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_splits_share_no_scene(questions: dict[str, list[Question]]) -> None:
    scenes = [{q.scene_id for q in questions[name]} for name in SPLITS]
    assert all(scenes) and all(not a & b for a, b in itertools.combinations(scenes, 2))


def test_every_kind_is_balanced_in_every_split_and_asked_in_both_orders(questions: dict[str, list[Question]], built: Built) -> None:
    for name, rows in questions.items():
        counts = Counter((q.kind, q.label_of(q.truth)) for q in rows)
        assert {kind for kind, _ in counts} == set(SETTINGS.kinds)
        assert all(len({counts[kind, label] for label in ("left", "right", "none")}) == 1 for kind in SETTINGS.kinds)
        assert all(built.labels[name, kind, label] == n for (kind, label), n in counts.items())
        asked = {(q.kind, q.view_ids) for q in rows}
        assert len(asked) == len(rows) and all((kind, pair[::-1]) in asked for kind, pair in asked)
        families = Counter((q.kind, q.family_id) for q in rows)
        assert set(families.values()) == {2}
        per_scene = Counter((q.kind, q.scene_id) for q in rows)
        assert max(per_scene.values()) <= 2 * SETTINGS.pairs_per_kind


def test_truths_are_those_of_the_stored_views(views: Path, questions: dict[str, list[Question]]) -> None:
    store = ViewStore(views)
    for q in questions["test"]:
        first, second = (store[v] for v in q.view_ids)
        m = motion_between(first.camera.pose()[None], second.camera.pose()[None], first.objects[0].center())
        code = decide(KINDS[q.kind], m, np.array([False]), SETTINGS)[0]
        assert q.label_of(q.truth) == ("left", "right", "none")[code]
        assert q.deciding_value == pytest.approx(getattr(m, q.deciding_quantity)[0], abs=1e-8)
        assert q.options[q.labels.index("none")] == KINDS[q.kind].options[-1]
        assert sorted(q.labels) == ["left", "none", "right"] and set(q.options) == set(KINDS[q.kind].options)
        assert q.margin >= 0


def test_every_ordered_pair_is_asked_or_counted_as_left_out(questions: dict[str, list[Question]], built: Built) -> None:
    assert built.n_pairs == N_SCENES * 8 * 7
    for kind in SETTINGS.kinds:
        asked = sum(q.kind == kind for rows in questions.values() for q in rows)
        left_out = sum(n for reason, n in built.refused.items() if reason.startswith(f"{kind}:"))
        assert asked + left_out == built.n_pairs


def test_every_order_of_options_occurs_and_wordings_are_drawn(views: Path, tmp_path: Path) -> None:
    build_questions(scan_scenes(views), tmp_path, replace(SETTINGS, wordings=4), SEED)
    rows = read_questions(tmp_path / "train.parquet")
    assert len({q.labels for q in rows}) == 6
    for kind in (KINDS[name] for name in SETTINGS.kinds):
        assert {q.text for q in rows if q.kind == kind.name} == set(kind.texts)


def test_orbit_and_perspective_of_one_pair_are_one_bit(questions: dict[str, list[Question]], built: Built) -> None:
    rows = [q for split in questions.values() for q in split]
    by_pair: dict[tuple[str, ...], dict[str, str]] = {}
    for q in rows:
        assert (q.tied_class == "sideways") or q.kind in ("lateral", "turn")
        if q.tied_class:
            by_pair.setdefault(q.view_ids, {})[q.kind] = q.label_of(q.truth)
    both = [answers for answers in by_pair.values() if {"orbit", "perspective"} <= answers.keys()]
    assert both and all(a["orbit"] == a["perspective"] for a in both)
    flipped = {"left": "right", "right": "left", "none": "none"}
    assert all(a["lateral"] == flipped[a["orbit"]] for a in by_pair.values() if {"orbit", "lateral"} <= a.keys())
    assert built.bits == len(by_pair) + sum(not q.tied_class for q in rows)


def test_the_same_seed_is_the_same_bytes_however_the_views_are_cut(views: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    with ViewWriter(cut, shard_mb=256) as writer:  # row groups of 60: scenes straddle them
        for index in range(N_SCENES):
            for view in toy_views(index):
                writer.add(view, PLAIN_PICTURE)
    for name, folder, rows_at_once in (("a", views, 128), ("b", cut, 5)):
        build_questions(scan_scenes(folder, rows_at_once), tmp_path / name, SETTINGS, SEED)
    build_questions(scan_scenes(views), tmp_path / "other", SETTINGS, SEED + 1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "other")


def changed(view: View, **changes: object) -> View:
    return replace(view, **changes)  # type: ignore[arg-type]  # keyword names are checked by replace itself


def write_views(folder: Path, rows: list[tuple[View, bytes]]) -> Path:
    with ViewWriter(folder, shard_mb=256) as writer:
        for view, picture in rows:
            writer.add(view, picture)
    return folder


def test_broken_views_are_set_aside_and_counted(tmp_path: Path) -> None:
    rows = [(view, PLAIN_PICTURE) for index in range(N_SCENES) for view in toy_views(index)]
    rows[0] = (rows[0][0], PLAIN_PICTURE[:-20])
    flipped = bytearray(PLAIN_PICTURE)
    flipped[len(flipped) // 2] ^= 1
    rows[9] = (rows[9][0], bytes(flipped))
    rows[18] = (changed(rows[18][0], camera=replace(rows[18][0].camera, T_world_cam=None)), PLAIN_PICTURE)
    rows[27] = (changed(rows[27][0], objects=()), PLAIN_PICTURE)
    built = build_questions(scan_scenes(write_views(tmp_path / "views", rows)), tmp_path / "out", SETTINGS, SEED)
    assert {reason: n for reason, n in built.refused.items() if reason.startswith("views:")} == {
        "views: unreadable picture": 2,
        "views: no camera pose": 1,
        "views: no subject": 1,
    }
    assert built.n_pairs == (N_SCENES - 4) * 56 + 4 * 42
    asked = {v for name in SPLITS for q in read_questions(tmp_path / "out" / f"{name}.parquet") for v in q.view_ids}
    assert not asked & {rows[i][0].view_id for i in (0, 9, 18, 27)}


def test_a_picture_is_whole_only_with_every_byte() -> None:
    from io import BytesIO

    from PIL import Image

    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 255, (20, 20, 3), np.uint8)
    png = encode_png(noise)
    assert picture_is_whole(png) and not picture_is_whole(b"") and not picture_is_whole(None) and not picture_is_whole(b"no picture")
    assert not any(picture_is_whole(png[:n]) for n in range(len(png)))
    for i in range(8, len(png)):
        assert not picture_is_whole(png[:i] + bytes([png[i] ^ 4]) + png[i + 1 :])
    jpeg = BytesIO()
    Image.fromarray(noise).save(jpeg, "JPEG")
    assert picture_is_whole(jpeg.getvalue()) and not picture_is_whole(jpeg.getvalue()[: len(jpeg.getvalue()) // 2])


def test_the_stage_makes_a_data_set_that_datasets_opens(tmp_path: Path) -> None:
    import datasets

    root = make_project(tmp_path / "project", 24)
    done = run_stage(root, "build_qa")
    assert done.returncode == 0, done.stderr
    out = root / "outputs/build_qa"
    manifest = json.loads((out / "manifest.json").read_text())
    opened = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in opened.items()} == {name: manifest["made"][f"{name} questions"] for name in SPLITS}
    assert opened["rl"][0]["labels"] and opened["test"].features["view_ids"].feature.dtype == "string"
    card = (out / "README.md").read_text()
    assert "| train | orbit |" in card and "33.3%" in card and "between none and asked" in card and "Tied class" in card
    assert str(tmp_path) not in card
    assert "made" in done.stdout and "refused" in done.stdout and "README.md" in done.stdout


@pytest.mark.slow
def test_all_kinds_about_rendered_boxes_and_their_conversations(tmp_path: Path) -> None:
    """The stages' programs, from rendering on. Kinds without pairs for every label are counted with the labels that are missing; kinds without chains are
    asked directly alone.
    """
    rendered = {"render_views__backend": "boxes", "render_views__n_scenes": 30, "render_views__views_per_scene": 8, "build_qa__kinds": list(QUESTION_KINDS)}
    root = make_project(tmp_path / "project", 0, **rendered, cold_start_mix__n_rows=400)
    for stage in ("render_views", "build_qa", "cold_start_mix"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
        if stage == "build_qa":
            assert "front: no front is annotated" in done.stdout
    asked = read_questions(root / "outputs/build_qa/train.parquet")
    always = {"lateral", "orbit", "turn", "perspective", "radial", "orbit_angle", "turn_angle", "moved", "turned"}
    assert always <= {q.kind for q in asked} <= set(QUESTION_KINDS) - {"front"}
    card = (root / "outputs/build_qa/README.md").read_text()
    assert "no questions" in card and "| train | front |" in card
    modes = {name: read_conversations(root / f"outputs/cold_start_mix/{name}.parquet") for name in ("sft", "rl")}
    for rows in modes.values():
        thinking = {c.kind for c in rows if c.mode == "think" and is_viewpoint(c.kind)}
        assert thinking == {"lateral", "orbit", "turn", "perspective"} and {"moved", "turn_angle"} <= {c.kind for c in rows if c.mode == "direct"}
    assert "no chains are written, they are asked directly alone, as prompts too: " in (root / "outputs/cold_start_mix/README.md").read_text()


def without_poses(folder: Path) -> None:
    write_views(folder, [(changed(v, camera=replace(v.camera, T_world_cam=None)), PLAIN_PICTURE) for i in range(4) for v in toy_views(i)])


def with_a_view_twice(folder: Path) -> None:
    write_views(folder, [(v, PLAIN_PICTURE) for i in range(3) for v in [*toy_views(i), toy_views(i)[0]]])


def with_a_scene_twice(folder: Path) -> None:
    write_views(folder, [(v, PLAIN_PICTURE) for i in (0, 1, 0) for v in toy_views(i)])


def with_single_views(folder: Path) -> None:
    write_views(folder, [(toy_views(i)[0], PLAIN_PICTURE) for i in range(4)])


def with_broken_pictures(folder: Path) -> None:
    write_views(folder, [(v, b"") for i in range(4) for v in toy_views(i)])


def too_few(folder: Path) -> None:
    write_toy_views(folder, 3)


def no_shards(folder: Path) -> None:
    folder.mkdir(parents=True)


def not_parquet(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "views-00000.parquet").write_text("this is no Parquet file")


def with_text_that_is_not_utf8(folder: Path) -> None:
    write_toy_views(folder, 3)
    put_in_latin_1(folder / "views-00000.parquet", "licence")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_text_that_is_not_utf8, "is not a readable shard of views: In column 3: Invalid: Invalid UTF8"),
        (without_poses, "none of the 32 views has a camera pose"),
        (with_a_view_twice, "scene-000000.v00 stands in the folder twice"),
        (with_a_scene_twice, "views of scene-000000 stand apart"),
        (with_single_views, "no usable pair of views"),
        (with_broken_pictures, "32 unreadable picture"),
        (too_few, "split val gets no question"),
        (no_shards, "holds no views"),
        (not_parquet, "is not a readable shard"),
    ],
)
def test_views_that_cannot_be_asked_about_are_refused_in_one_sentence(tmp_path: Path, make: object, said: str) -> None:
    root = make_project(tmp_path / "project", 0)
    make(root / "outputs/render_views/views")  # type: ignore[operator]  # one of the makers above
    done = run_stage(root, "build_qa")
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (root / "outputs/build_qa").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"build_qa__orbit": {"none_below": 20.0, "asked_from": 15.0, "asked_to": 150.0}}, "build_qa.orbit has none_below 20"),
        ({"build_qa__pairs_per_kind": 4}, "multiple of 3"),
        ({"build_qa__none": "never", "build_qa__kinds": ["lateral", "moved"]}, "build_qa.none is never, and build_qa.kinds names moved; it must name kinds"),
        ({"build_qa__kinds": ["lateral", "sideways"]}, "build_qa.kinds[1] is 'sideways'"),
        ({"build_qa__kinds": ["lateral", "lateral"]}, "build_qa.kinds names lateral twice"),
        (
            {"build_qa__kinds": ["pitch", "moved"]},
            "build_qa.kinds names only kinds without chains of thought in wording short (pitch, moved): set think to 0.0, or add one of",
        ),
        ({"build_qa__radial": {"none_below": 0.01, "asked_from": 0.15, "asked_to": None}}, "build_qa.radial has none_below 0.01; it is a ratio"),
        ({"build_qa__roll": {"none_below": 1.0, "asked_from": 8.0, "asked_to": 5.0}}, "build_qa.roll has none_below 1"),
        ({"build_qa__direction_ratio": 0.5}, "build_qa.direction_ratio is 0.5; it must be at least 1"),
        ({"build_qa__option_gap_deg": 60.0}, "build_qa.option_gap_deg is 60.0; it must be at most 45"),
        ({"prompt__question": "{question}"}, "lacks {options}"),
        ({"prompt__picture": "Picture {place}: "}, "only placeholders are {number}"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    done = run_stage(make_project(tmp_path / "project", 0, **changes), "build_qa")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_family_held_out_is_in_the_test_alone_and_marked(tmp_path: Path) -> None:
    renamed = [
        replace(v, objects=(replace(v.objects[0], family=("boxes", "rings")[i % 4 == 3]), *v.objects[1:])) for i in range(N_SCENES) for v in toy_views(i)
    ]
    views = write_views(tmp_path / "views", [(v, PLAIN_PICTURE) for v in renamed])
    built = build_questions(scan_scenes(views), tmp_path / "out", replace(SETTINGS, held_out_families=("rings",)), SEED)
    of = {name: read_questions(tmp_path / "out" / f"{name}.parquet") for name in SPLITS}
    for name, found in of.items():
        assert {q.scene_id: q.held_out for q in found} == {q.scene_id: int(q.scene_id[-6:]) % 4 == 3 for q in found}
        assert {q.held_out for q in found} == ({False, True} if name == "test" else {False})
    assert built.n_held_out == {"rings": 10} and built.n_scenes["test"] >= 10
    with pytest.raises(UserError, match="names rims, but no scene is of that family: there are boxes, rings"):
        build_questions(scan_scenes(views), tmp_path / "none", replace(SETTINGS, held_out_families=("rims",)), SEED)
    assert not (tmp_path / "none").exists()


def test_none_is_offered_and_never_right_where_that_is_asked_for(views: Path, built: Built, questions: dict[str, list[Question]], tmp_path: Path) -> None:
    settings = replace(SETTINGS, none="never")
    found = build_questions(scan_scenes(views), tmp_path, settings, SEED)
    rows = [q for name in SPLITS for q in read_questions(tmp_path / f"{name}.parquet")]
    assert all("none" in q.labels and q.label_of(q.truth) != "none" and len(q.options) == 3 for q in rows)
    for name in SPLITS:
        truths = Counter((q.kind, q.label_of(q.truth)) for q in read_questions(tmp_path / f"{name}.parquet"))
        assert truths and all(truths[kind, "left"] == truths[kind, "right"] for kind, _ in truths)
    per_scene = Counter((q.scene_id, q.kind) for q in rows)
    assert max(per_scene.values()) == 2 * settings.pairs_per_kind, "the room of none goes to the sides"
    assert all(found.refused[f"{kind}: none, which is never right"] > 0 for kind in settings.kinds)
    assert not any("never right" in reason for reason in built.refused)
    directional = sum(q.label_of(q.truth) != "none" for of_split in questions.values() for q in of_split)
    assert len(rows) > directional
