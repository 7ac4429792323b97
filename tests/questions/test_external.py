"""Questions of data sets from outside: read, mended, refused, joined to the splits and handed on."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_external import SAT, SAT_SCHEMA, VIEWPOINT, encoded, sat_row, viewpoint_row, write_sat, write_viewpoint
from toy_scenes import make_project, run_stage

from actial.answers import Answer, read_answer
from actial.errors import UserError
from actial.params_external import External
from actial.prompts import IMAGE_MARK
from actial.questions.external import Joined, join_external
from actial.questions.external_files import find_external
from actial.questions.external_rows import RefusedRow, lettered_options
from actial.records import LETTERS, Question
from actial.report.views import write_gallery
from actial.shards import ViewStore, view_folders
from actial.tables import read_conversations, read_questions
from actial.trace import trace

SEED = 7
N_SAT, N_VIEWPOINT = 24, 12
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both data sets beside toy scenes, through build_qa and cold_start_mix."""
    mix = {"cold_start_mix__n_rows": 3000, "cold_start_mix__modes": {"think": 0.2, "direct": 0.8, "describe": 0.0}}
    root = make_project(tmp_path_factory.mktemp("external") / "project", 24, build_qa__external=[SAT, VIEWPOINT], **mix)
    write_sat(root, [sat_row(i) for i in range(N_SAT)])
    write_viewpoint(root, [viewpoint_row(i) for i in range(N_VIEWPOINT)])
    for stage in ("build_qa", "cold_start_mix"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    return root


def of(name: str, root: Path, split: str) -> dict[int, Question]:
    """The questions of a data set, by the number of their row."""
    questions = read_questions(root / f"outputs/build_qa/{split}.parquet")
    return {int(q.question_id.rpartition("_")[2]): q for q in questions if q.source == name}


def test_rows_of_sat_become_questions_with_their_defects_mended(project: Path) -> None:
    asked = of("sat", project, "rl")
    assert sorted(asked) == list(range(N_SAT)) and not of("sat", project, "train")
    kinds = ("static", "obj_movement", "ego_movement", "goal_aim", "action_consequence", "perspective")
    for i, q in asked.items():
        row = sat_row(i)
        assert (q.text, q.kind) == (row["question"], f"sat_{kinds[i % 6]}")
        right = row["correct_answer"].removesuffix(" in the first frame")
        assert q.options[LETTERS.index(q.truth)] == right == q.label_of(q.truth)
        assert set(q.options) == {text.removesuffix(" in the first frame") for text in row["answers"]}
        assert len(q.view_ids) == len(row["image_bytes"]) and q.deciding_quantity == ""
    letters = [q.truth for q in asked.values()]
    assert {"A", "B"} == set(letters), "the right answer stands first in every row of the file"


def test_options_in_the_text_become_options(project: Path) -> None:
    asked = of("viewpoint_100k", project, "train")
    assert len(asked) == N_VIEWPOINT
    for i, q in asked.items():
        assert q.text == f"The object {i} stood still. Which way did the camera move?"
        assert set(q.options) == {"left", "right", "no movement"} and q.label_of(q.truth) == ("left", "right")[i % 2]


def test_pictures_are_the_stored_bytes_once_without_a_camera(project: Path) -> None:
    store = ViewStore(project / "outputs/build_qa/views")
    asked = of("sat", project, "rl")
    assert len(store) == 16 + 2 * N_VIEWPOINT and len({q.scene_id for q in asked.values()}) == 12
    for i, q in asked.items():
        assert [store.picture_bytes(v) for v in q.view_ids] == sat_row(i)["image_bytes"]
        assert asked[i % 12].scene_id == q.scene_id
    view = store[asked[1].view_ids[1]]
    assert (view.source, view.licence, view.objects, view.camera.T_world_cam) == ("sat", "MIT", (), None)
    assert (view.camera.width_px, view.camera.height_px) == (96, 96)


def test_prompts_and_rows_are_made_of_them_but_neither_mirrored_nor_told_in_chains(project: Path) -> None:
    sft, rl = (read_conversations(project / f"outputs/cold_start_mix/{name}.parquet") for name in ("sft", "rl"))
    prompts = [c for c in rl if c.kind.startswith("sat")]
    assert {c.question_id for c in prompts} == {q.question_id for q in of("sat", project, "rl").values()} and len(prompts) == N_SAT
    for c in prompts:
        assert c.mode == "think" and c.messages[-1].role == "user" and c.messages[-1].content.count(IMAGE_MARK) == len(c.view_ids)
    assert any(c.scene_id.endswith("_mirrored") for c in rl), "pictures made here are"
    taught = [c for c in sft if c.kind == "viewpoint_100k"]
    assert taught and {c.mode for c in taught} == {"direct"} and not any("_mirrored" in c.question_id for c in taught)
    card = (project / "outputs/cold_start_mix/README.md").read_text()
    assert "viewpoint_100k" not in card.split("Left out")[0]


def test_what_is_made_here_keeps_its_bytes(project: Path, tmp_path: Path) -> None:
    alone = make_project(tmp_path / "alone", 24)
    assert run_stage(alone, "build_qa").returncode == 0
    bare, joined = alone / "outputs/build_qa", project / "outputs/build_qa"
    for name in ("val.parquet", "test.parquet", "test_2d.parquet"):
        assert (bare / name).read_bytes() == (joined / name).read_bytes()
    for split, n in (("train", N_VIEWPOINT), ("rl", N_SAT)):
        assert read_questions(bare / f"{split}.parquet") == read_questions(joined / f"{split}.parquet")[:-n]
    assert "outside" not in (bare / "README.md").read_text() and not (bare / "leakage.json").exists() and len(ViewStore(bare / "views")) == 0


def test_later_readers_open_them(project: Path) -> None:
    outputs, q = project / "outputs", of("sat", project, "rl")[1]
    told = trace(q.question_id, outputs)
    assert "decided by   the authors of sat" in told and "96 x 96 px, sat, MIT" in told and "mode think" in told
    single = of("sat", project, "rl")[0]
    assert f"question {single.question_id}" in trace(single.question_id, outputs) and single.question_id in trace(single.view_ids[0], outputs)
    assert len(ViewStore(*view_folders(outputs))) == 24 * 8 + 16 + 2 * N_VIEWPOINT
    write_gallery(outputs, project / "gallery.html", 3, (), 2)
    assert single.scene_id not in (project / "gallery.html").read_text()


def entry(settings: dict[str, Any], **changes: Any) -> External:
    return External(**settings | changes)


def joined(root: Path, out: Path, *entries: External, seed: int = SEED) -> Joined:
    return join_external(find_external(entries, root / "data/external"), out / "views", seed)


def test_the_same_seed_is_the_same_and_another_draws_anew(tmp_path: Path) -> None:
    write_sat(tmp_path, [sat_row(i) for i in range(48)])
    some = entry(SAT, splits={"train": 0.4, "rl": 0.4}, n=40)
    a, b, c = (joined(tmp_path, tmp_path / name, some, seed=seed) for name, seed in (("a", SEED), ("b", SEED), ("c", SEED + 1)))
    as_text = lambda j: str(j.questions)  # NaN equals nothing, itself included
    assert as_text(a) == as_text(b) != as_text(c)
    digest = lambda name: [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((tmp_path / name / "views").iterdir())]
    assert digest("a") == digest("b")
    assert a.n_read["sat"] == 40
    scenes = {split: {q.scene_id for q in questions} for split, questions in a.questions.items()}
    assert scenes["train"] and scenes["rl"] and not scenes["train"] & scenes["rl"], "rows about the same pictures are in one split"
    assert len(scenes["train"] | scenes["rl"]) < 12, "a fifth is left alone"


def test_what_the_data_set_calls_a_scene_is_in_one_split(tmp_path: Path) -> None:
    write_viewpoint(tmp_path, [viewpoint_row(i) for i in range(30)])
    found = joined(tmp_path, tmp_path, entry(VIEWPOINT, splits={"train": 0.5, "rl": 0.5}))
    objects = {split: {found.scenes[q.scene_id] for q in questions} for split, questions in found.questions.items()}
    assert sum(map(len, objects.values())) == 3 and not objects["train"] & objects["rl"]


def png_of_size(width_px: int, height_px: int) -> bytes:
    out = io.BytesIO()
    Image.new("1", (width_px, height_px)).save(out, "PNG")
    return out.getvalue()


BAD = {
    "an answer that is no option": {"correct_answer": "up"},
    "no answer": {"correct_answer": None},
    "options that cannot be told apart": {"answers": ["left", "Left.", "right"]},
    "fewer than two options, more than 26, or an empty one": {"answers": ["left"]},
    "no options": {"answers": None},
    "no question": {"question": " <image> "},
    "text that is not UTF-8": {"question": b"caf\xe9?"},
    "marks of a chat template in the text": {"question": "Left?<|im_end|>"},
    "no picture": {"image_bytes": []},
    "more than 2 pictures": {"image_bytes": [encoded("a"), encoded("b"), encoded("c")]},
    "a picture that cannot be read": {"image_bytes": [encoded("a")[:300]]},
    "a picture larger than 64 megapixels, or 100 times as long as wide": {"image_bytes": [png_of_size(9000, 8)]},
}


def test_rows_that_cannot_be_asked_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [sat_row(6 * i) for i in range(4)] + [sat_row(0, **changes) for changes in BAD.values()]
    suffixed = ["left in the first frame", "left"]  # the same, once mended
    rows += [sat_row(0, answers=suffixed, correct_answer="left"), sat_row(0, image_bytes=[b""]), sat_row(0, image_bytes=[png_of_size(20_000, 20_000)])]
    write_sat(tmp_path, rows)
    found = joined(tmp_path, tmp_path, entry(SAT, max_refused_share=0.9))
    told = {reason: n for (_, reason), n in found.refused.items()}
    assert told == dict.fromkeys(BAD, 1) | {
        "options that cannot be told apart": 2,
        "a picture that cannot be read": 2,
        "a picture larger than 64 megapixels, or 100 times as long as wide": 2,
    }
    assert len(found.questions["rl"]) == 4 and found.n_read["sat"] == len(rows)


def test_the_stage_counts_them_and_fails_above_the_stated_share(tmp_path: Path) -> None:
    rows = [sat_row(6 * i) for i in range(9)] + [sat_row(0, correct_answer="up")]
    root = make_project(tmp_path / "project", 24, build_qa__external=[SAT | {"max_refused_share": 0.1}])
    write_sat(root, rows)
    done = run_stage(root, "build_qa")
    assert done.returncode == 0 and "1 sat: rows with an answer that is no option" in done.stdout, done.stderr
    manifest = json.loads((root / "outputs/build_qa/manifest.json").read_text())
    assert manifest["refused"]["sat: rows with an answer that is no option"] == 1 and manifest["made"]["of these from sat"] == 9
    write_sat(root, [*rows, sat_row(0, correct_answer="down")])
    refused_in_one_sentence(root, "2 of 11 rows of sat cannot be asked (2 with an answer that is no option), more than its max_refused_share")


def test_a_second_row_of_one_id_is_set_aside(tmp_path: Path) -> None:
    schema = SAT_SCHEMA.append(pa.field("uid", pa.string()))
    write_sat(tmp_path, [sat_row(i, uid=f"row {i % 3}") for i in range(4)], schema)
    found = joined(tmp_path, tmp_path, entry(SAT, columns={"id": "uid"}))
    assert found.refused == {("sat", "an id that stood before"): 1}


@pytest.mark.parametrize(
    ("answers", "right"),
    [(["B", "A"], ("right", "left")), (["(B) right", "left"], ("right", "left")), ([1, 0], ("right", "left")), (["2", "C"], None), ([2, -1], None)],
)
def test_format_options_takes_texts_letters_and_places(tmp_path: Path, answers: list[Any], right: tuple[str, str] | None) -> None:
    rows = [
        {"picture": {"bytes": encoded(f"p{i}"), "path": None}, "ask": {"text": f"Way {i}?", "choices": ["left", "right"]}, "key": a}
        for i, a in enumerate(answers)
    ]
    path = tmp_path / "data/external/mine.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    columns = {"images": "picture", "question": "ask.text", "options": "ask.choices", "answer": "key"}
    mine = entry(SAT, name="mine", path="mine.parquet", format="options", columns=columns, max_refused_share=1.0)
    if right is None:
        with pytest.raises(UserError, match=re.escape("not one of 2 rows of mine joined a split (2 with an answer that is no option)")):
            joined(tmp_path, tmp_path, mine)
    else:
        found = joined(tmp_path, tmp_path, mine).questions["rl"]
        assert tuple(q.label_of(q.truth) for q in found) == right and [q.text for q in found] == ["Way 0?", "Way 1?"]


def test_chat_turns_are_read_by_their_place(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "<image>Which? A. left B. right"}, {"role": "assistant", "content": "<think>So.</think><answer>B</answer>"}]
    path = tmp_path / "data/external/chat.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([{"messages": turns, "images": [encoded("chat")]}]), path)
    columns = {"images": "images", "question": "messages.0.content", "answer": "messages.1.content"}
    (q,) = joined(tmp_path, tmp_path, entry(SAT, name="chat", path="chat.parquet", format="lettered", columns=columns)).questions["rl"]
    assert (q.text, q.label_of(q.truth)) == ("Which?", "right")


@pytest.mark.parametrize(
    ("text", "asked", "options"),
    [
        ("Which way?\nA. left\nB. right\nAnswer with a letter.", "Which way?", ("left", "right")),
        ("Which way?\nOptions:\n(A) left\n(B) right\n(C) none", "Which way?", ("left", "right", "none")),
        ("Which way? A: -84, B: +50, C: +0", "Which way?", ("-84", "+50", "+0")),
        ("Is A. Smith left of B. Jones? A) yes B) no", "Is A. Smith left of B. Jones?", ("yes", "no")),
    ],
)
def test_lettered_options_are_found(text: str, asked: str, options: tuple[str, ...]) -> None:
    assert lettered_options(text) == (asked, options)
    assert all(isinstance(read_answer(f"<answer>{option}</answer>", options), Answer) for option in options)


@pytest.mark.parametrize("text", ["Which way?", "A. only one", "B. left C. right", ""])
def test_no_options_in_the_text(text: str) -> None:
    with pytest.raises(RefusedRow, match="no lettered options"):
        lettered_options(text)


def test_a_large_row_group_is_read_in_small_pieces(tmp_path: Path) -> None:
    """As SAT is stored: nested pictures whose row group is larger than what is read at a time."""
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (64, 64, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    write_sat(tmp_path, [sat_row(0, image_bytes=[out.getvalue() + bytes([i % 256, i // 256])], question=f"Question {i}?") for i in range(500)])
    found = joined(tmp_path, tmp_path, entry(SAT))
    assert [q.text for q in found.questions["rl"]] == [f"Question {i}?" for i in range(500)] and found.n_views == 500


def refused_in_one_sentence(root: Path, said: str, **environment: str) -> None:
    done = run_stage(root, "build_qa", **environment)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr


def not_there(root: Path) -> None:
    pass


def no_parquet(root: Path) -> None:
    write_sat(root, [sat_row(0)]).write_bytes(b"version https://git-lfs.github.com/spec/v1")


def without_a_column(root: Path) -> None:
    write_sat(root, [{"question": "Which?"}], pa.schema([("question", pa.string())]))


def without_rows(root: Path) -> None:
    write_sat(root, [])


def all_bad(root: Path) -> None:
    write_sat(root, [sat_row(i, correct_answer="") for i in range(3)])


def cut_short(root: Path) -> None:
    file = write_sat(root, [sat_row(i) for i in range(200)])
    data = bytearray(file.read_bytes())
    data[2000:6000] = bytes(4000)
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        (
            not_there,
            {},
            "data/external/SAT/SAT_train.parquet, which build_qa.external[0].path names, does not exist: put sat there (data/external/README.md says",
        ),
        (no_parquet, {}, "SAT_train.parquet is not a readable Parquet file"),
        (without_a_column, {}, "has no column image_bytes, which build_qa.external[0].columns takes for images; it has question"),
        (without_rows, {}, "holds no rows"),
        (all_bad, {}, "3 of 3 rows of sat cannot be asked (3 with an answer that is no option), more than its max_refused_share in build_qa.external (0.5)"),
        (cut_short, {}, "cannot be read to its end"),
        (not_there, {"hub": "array/SAT", "path": "SAT_train.parquet", "revision": REVISION}, "is not in this machine's cache of the hub"),
        (not_there, {"hub": "array/SAT", "revision": "main"}, "build_qa.external[0].revision is 'main'; it must be the commit"),
        (not_there, {"hub": "array", "revision": REVISION}, "build_qa.external[0].hub is 'array'; it must be owner/name"),
        (not_there, {"revision": REVISION}, "build_qa.external[0].hub is null"),
        (not_there, {"path": "../captures/x.parquet"}, "build_qa.external[0].path is '../captures/x.parquet'; it must lie below data/external"),
        (not_there, {"name": "scene"}, "build_qa.external[0].name is 'scene'"),
        (not_there, {"columns": {"pictures": "x"}}, "build_qa.external[0].columns names pictures; it may name images, question"),
        (not_there, {"format": "options"}, "build_qa.external[0].columns lacks images, which format options needs"),
        (not_there, {"splits": {"test": 1.0}}, "build_qa.external[0].splits is {'test': 1.0}; it must give train or rl"),
        (not_there, {"splits": {"train": 0.8, "rl": 0.8}}, "add up to at most 1"),
        (not_there, {"format": "csv"}, "build_qa.external[0].format is 'csv'; it must be one of sat, options, lettered"),
        (not_there, {"n": 0}, "build_qa.external[0].n is 0; it must be at least 1"),
        (not_there, {"licence": None}, "build_qa.external[0].licence must be text"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, make: Any, changes: dict[str, Any], said: str) -> None:
    root = make_project(tmp_path / "project", 1, build_qa__external=[SAT | changes])
    make(root)
    refused_in_one_sentence(root, said, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    assert not (root / "outputs/build_qa").exists()


def test_names_are_given_once_and_the_folder_must_exist(tmp_path: Path) -> None:
    refused_in_one_sentence(make_project(tmp_path / "twice", 0, build_qa__external=[SAT, SAT]), "build_qa.external names sat twice")
    root = make_project(tmp_path / "none", 24)
    (root / "data/external").rmdir()
    refused_in_one_sentence(root, "build_qa needs the folder data/external, which does not exist: make it")


def test_the_hubs_cache_is_read_without_a_network(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub/hub/datasets--array--SAT/snapshots" / REVISION
    snapshot.mkdir(parents=True)
    write_sat(tmp_path, [sat_row(i) for i in range(6)]).rename(snapshot / "SAT_val.parquet")
    from_hub = SAT | {"hub": "array/SAT", "revision": REVISION, "path": "SAT_*.parquet"}
    root = make_project(tmp_path / "project", 24, build_qa__external=[from_hub])
    done = run_stage(root, "build_qa", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    assert done.returncode == 0 and "6 of these from sat" in done.stdout, done.stderr
    assert f"array/SAT at {REVISION}, SAT_*.parquet" in (root / "outputs/build_qa/README.md").read_text()
    from_hub["path"] = "SAT_train.parquet"
    other = make_project(tmp_path / "other", 24, build_qa__external=[from_hub])
    refused_in_one_sentence(other, "SAT_train.parquet of array/SAT at", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))


def test_an_entry_says_where_a_column_is() -> None:
    assert entry(SAT).column("answer") == "correct_answer" and entry(SAT).column("id") is None
    assert replace(entry(SAT), columns={"answer": "right"}).column("answer") == "right"
