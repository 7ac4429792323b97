"""VSI-Bench: its schema, frames out of videos and folders, its eight tasks by hand, its traps."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from toy_benchmarks import asked, png, values, write_parquet
from toy_rows import answered, write_jsonl, write_pictures

from actial.errors import UserError
from actial.evaluation.benchmarks import frames, vsi_bench
from actial.evaluation.benchmarks.archives import archived
from actial.evaluation.benchmarks.benchmark import Item, Quantity
from actial.evaluation.benchmarks.vsi_bench import N_FRAMES, TASKS, VSI_BENCH, VSI_BENCH_DEBIASED

NUMBERS = {"object_counting": "4", "object_abs_distance": "2.0", "object_size_estimation": "150", "room_size_estimation": "20.5"}


def row(number: int, kind: str, truth: Any, options: list[str] | None = None, scene: str = "41069025", **changes: Any) -> dict[str, Any]:
    fields = {"id": number, "dataset": "arkitscenes", "scene_name": scene, "question_type": kind, "question": f"Question {number}?"}
    return fields | {"options": options, "ground_truth": truth} | changes


DIRECTIONS = ["A. front-left", "B. back-right", "C. back-left", "D. front-right"]
ROWS = [
    *(row(i, kind, truth) for i, (kind, truth) in enumerate(NUMBERS.items())),
    row(4, "object_rel_distance", "C", ["A. table", "B. stool", "C. sofa", "D. stove"]),
    row(5, "object_rel_direction_easy", "A", ["A. left", "B. right"]),
    row(6, "object_rel_direction_medium", "B", ["A. back", "B. left", "C. right"]),
    row(7, "object_rel_direction_hard", "D", DIRECTIONS),
    row(8, "object_rel_direction_hard", "A", DIRECTIONS, scene="scene0011"),
    row(9, "route_planning", "B", ["A. Turn Left, Turn Right", "B. Turn Right, Turn Left"], scene="scene0011"),
    row(10, "obj_appearance_order", "A", ["A. lamp, door, bed, sofa", "B. door, lamp, bed, sofa"], scene="scene0011"),
]


def write_video(path: Path, n: int) -> None:
    """Frame i is of the grey 5 i, which this codec keeps as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))  # type: ignore[attr-defined]  # not in its stubs
    for i in range(n):
        video.write(np.full((48, 64, 3), 5 * i, np.uint8))
    video.release()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vsi_bench._frames.cache_clear()
    write_jsonl(tmp_path / "test.jsonl", ROWS)
    write_pictures(tmp_path / "arkitscenes/41069025", [f"frame-{i}.png" for i in range(1, 41)])
    write_video(tmp_path / "arkitscenes/scene0011.mp4", 50)
    return tmp_path


def greys(item: Item) -> list[float]:
    return [float(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).mean()) for data in item.pictures]


def test_rows_become_questions_with_evenly_spaced_frames(folder: Path) -> None:
    items, refused = asked(VSI_BENCH, folder)
    assert refused == {} and [i.row_id for i in items] == [str(i) for i in range(11)]
    assert [i.number for i in items[:4]] == [Quantity(4.0, "count"), Quantity(2.0, "m"), Quantity(150.0, "cm"), Quantity(20.5, "m2")]
    assert items[0].question.options == () and items[0].question.truth == "" and items[0].question.kind == "vsi_bench_object_counting"
    assert items[7].question.options == ("front-left", "back-right", "back-left", "front-right") and items[7].question.truth == "D"
    assert items[9].question.options[0] == "Turn Left, Turn Right"
    places = [i * 39 // 31 for i in range(N_FRAMES)]
    assert items[0].pictures == tuple(png(f"frame-{place + 1}.png") for place in places) and places[-1] == 39  # by number: frame-2 before frame-10
    assert greys(items[9]) == pytest.approx([5 * (i * 49 // 31) for i in range(N_FRAMES)], abs=0.5)
    assert items[8].question.scene_id == items[9].question.scene_id != items[0].question.scene_id


def test_the_prompts_are_the_authors(folder: Path) -> None:
    items, _ = asked(VSI_BENCH, folder)
    pictures = "<image>" * N_FRAMES
    assert items[1].prompt == f"{pictures}These are frames of a video.\nQuestion 1?\nPlease answer the question using a single word or phrase."
    assert items[5].prompt == (
        f"{pictures}These are frames of a video.\nQuestion 5?\nOptions:\nA. left\nB. right\nAnswer with the option's letter from the given choices directly."
    )


def test_the_score_by_hand(folder: Path) -> None:
    said = {
        "0": "three",  # of 4: .6
        "1": "<think>maybe 5 m</think><answer>186 cm</answer>",  # of 2 m: 7 %, .9
        "2": "about 1.5 metres",  # of 150 cm: 1
        "3": "It cannot be told.",
        "4": "The answer is C",
        "5": "A.",
        "6": "C",
        "7": "front-right",
        "8": "B",
        "9": "B",
        "10": "A. lamp, door, bed, sofa",
    }
    found = answered(asked(VSI_BENCH, folder)[0], said)
    by_task = {
        "object_counting": 0.6, "object_abs_distance": 0.9, "object_size_estimation": 1.0, "room_size_estimation": 0.0, "object_rel_distance": 1.0,
        "object_rel_direction": (1 + 0 + 1 / 2) / 3, "route_planning": 1.0, "obj_appearance_order": 1.0,
    }  # fmt: skip
    assert set(by_task) == set(TASKS)
    assert values(VSI_BENCH, found) == pytest.approx({"overall": (total := sum(by_task.values())) / 8, "overall_as_written": (total - 0.1) / 8, **by_task})
    assert [s.answered for s in found].count(False) == 1 and found[1].told == pytest.approx(1.86)
    assert VSI_BENCH.metric("overall").chance(found) is None  # nobody guesses a number among options
    assert VSI_BENCH.metric("overall").mean(found).n_clusters == 2
    assert VSI_BENCH.metric("object_rel_direction").chance(found[5:9]) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)


def test_without_one_task_there_is_no_overall(folder: Path) -> None:
    found = answered(asked(VSI_BENCH, folder)[0][:10], dict.fromkeys(map(str, range(10)), "A"))
    assert VSI_BENCH.metric("overall").value(found) is None and VSI_BENCH.metric("object_rel_distance").value(found) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ground_truth": "0"}, "a truth of 0 or less, of which no error is a share"),
        ({"ground_truth": "many"}, "a truth that is no number"),
        ({"ground_truth": None}, "no answer"),
        ({"question_type": "object_colour"}, "a question type that the benchmark does not have"),
        ({"scene_name": "nowhere"}, "neither a video nor a folder of frames that can be read"),
        ({"scene_name": "broken"}, "neither a video nor a folder of frames that can be read"),
        ({"scene_name": "../secret"}, "a picture outside the benchmark's folder"),
        ({"question_type": "route_planning", "options": ["A. left", "B. Left"], "ground_truth": "A"}, "options that cannot be told apart"),
        ({"question_type": "route_planning", "options": ["A. left", "B. right"], "ground_truth": "C"}, "an answer that is no option"),
        ({"question_type": "route_planning", "ground_truth": "A"}, "no options"),
        ({"id": 4}, "an id that stood before"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(folder: Path, changes: dict[str, Any], reason: str) -> None:
    (folder / "arkitscenes/broken.mp4").write_bytes(b"no video")
    write_jsonl(folder / "test.jsonl", [ROWS[4], ROWS[0] | changes])
    items, refused = asked(VSI_BENCH, folder)
    assert len(items) == 1 and list(refused.values()) == [reason]


def test_fewer_frames_than_wanted_are_all_shown(folder: Path) -> None:
    write_video(folder / "arkitscenes/short.mp4", 3)
    write_jsonl(folder / "test.jsonl", [row(0, "object_counting", 4, scene="short")])
    items, _ = asked(VSI_BENCH, folder)
    assert greys(items[0]) == pytest.approx([0, 5, 10], abs=0.5) and items[0].prompt is not None and items[0].prompt.count("<image>") == 3
    assert all(data.startswith(b"\x89PNG") for data in items[0].pictures)


def test_the_debiased_rows_come_in_parquet(folder: Path) -> None:
    texts = [pa.field(name, pa.string()) for name in ("dataset", "scene_name", "question_type", "question", "ground_truth")]
    schema = pa.schema([("id", pa.int64()), *texts, ("options", pa.list_(pa.string())), ("pruned", pa.bool_())])
    write_parquet(folder / "test_debiased.parquet", schema, [ROWS[0] | {"pruned": False}, ROWS[7] | {"pruned": False}])
    items, refused = asked(VSI_BENCH_DEBIASED, folder)
    assert refused == {} and [i.row_id for i in items] == ["0", "7"] and items[1].question.truth == "D"
    write_parquet(folder / "test_debiased.parquet", schema.remove(1), [ROWS[0]])
    with pytest.raises(UserError, match="has no column dataset, which VSI-Bench-Debiased is published with"):
        asked(VSI_BENCH_DEBIASED, folder)


def test_rooms_are_opened_once_and_videos_read_out_of_archives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(folder / "scannet.zip", "w") as archive:
        for name in ("one", "two", "three"):
            write_video(folder / f"{name}.mp4", 4)
            archive.write(folder / f"{name}.mp4", f"scannet/{name}.mp4")
    write_jsonl(folder / "test.jsonl", [row(i, "object_counting", 4, scene=("one", "two", "three")[i % 3], dataset="scannet") for i in range(9)])
    opened = []
    monkeypatch.setattr(frames, "archived", lambda where, name: opened.append(name) or archived(where, name))
    items, refused = asked(VSI_BENCH, folder)
    assert refused == {} and [i.row_id for i in items] == ["0", "3", "6", "1", "4", "7", "2", "5", "8"]
    assert opened == ["scannet/one.mp4", "scannet/two.mp4", "scannet/three.mp4"] and greys(items[8]) == pytest.approx([0, 5, 10, 15], abs=0.5)
    assert items[3].question.question_id.endswith("_1")  # its number in the file


def test_a_video_that_is_cut_off_gives_the_frames_it_holds(folder: Path) -> None:
    write_video(folder / "whole.avi", 60)
    data = (folder / "whole.avi").read_bytes()
    (folder / "arkitscenes/cut.mp4").write_bytes(data[: len(data) // 2])  # its beginning says 60, and fewer than half are there
    write_jsonl(folder / "test.jsonl", [row(0, "object_counting", 4, scene="cut")])
    items, refused = asked(VSI_BENCH, folder)
    n = len(items[0].pictures)
    assert refused == {} and 10 < n < N_FRAMES and greys(items[0])[:-1] == pytest.approx([5 * i for i in range(n - 1)], abs=0.5)


def test_a_broken_archive_ends_in_a_sentence(folder: Path) -> None:
    (folder / "scannet.zip").write_bytes(b"half of it")
    write_jsonl(folder / "test.jsonl", [row(0, "object_counting", 4, scene="one", dataset="scannet")])
    with pytest.raises(UserError, match=r"scannet.zip is not a readable archive .*: fetch it again"):
        asked(VSI_BENCH, folder)
