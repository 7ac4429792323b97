"""3DSRBench: VLMEvalKit's four accuracies by hand, its TSV and the ids of its variants."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from toy_benchmarks import asked, png, scored, values, write_tsv

from actial.errors import UserError
from actial.evaluation.benchmarks.three_d_sr_bench import THREE_D_SR_BENCH

COLUMNS = ("index", "qid", "question", "A", "B", "C", "D", "answer", "category", "image", "image_url")
FILE = "3dsrbench_v1_vlmevalkit_circular.tsv"


def encoded(name: str) -> str:
    return base64.b64encode(png(name)).decode()


def row(index: int, qid: str, answer: str = "A", category: str = "height_higher", image: str | None = None, **changes: Any) -> dict[str, Any]:
    picture = encoded(qid[:8] + ("-flip" if "-flip" in qid else "")) if image is None else image
    options = {"A": "the lamp", "B": "the chair"} if answer == "A" else {"A": "the chair", "B": "the lamp"}
    return {"index": index, "qid": qid, "question": f"Which\tone, {qid[:8]}?", **options, "answer": answer, "category": category, "image": picture} | changes


ROWS = [
    row(0, "AAAAAAA1"),
    row(1, "AAAAAAA1-1", "B"),
    row(2, "AAAAAAA1-flip"),
    row(3, "AAAAAAA1-flip-1", "B", image="2"),  # shown as the row of index 2 shows it
    row(4, "BBBBBBB2", category="multi_object_facing"),
    row(5, "BBBBBBB2-1", "B", category="multi_object_facing", image="4"),
    row(6, "CCCCCCC3", "C", C="the sofa", D="the bed", category="location_above"),
    row(7, "CCCCCCC3-flip", "D", C="the sofa", D="the bed", category="location_above"),
]


def test_rows_become_questions_whose_variants_share_a_group(tmp_path: Path) -> None:
    write_tsv(tmp_path / FILE, COLUMNS, ROWS)
    items, refused = asked(THREE_D_SR_BENCH, tmp_path)
    assert refused == {}
    assert [(i.row_id, i.group, i.variant) for i in items[:4]] == [
        ("AAAAAAA1", "AAAAAAA1", ""),
        ("AAAAAAA1-1", "AAAAAAA1", "circular"),
        ("AAAAAAA1-flip", "AAAAAAA1", "flip"),
        ("AAAAAAA1-flip-1", "AAAAAAA1", "flip_circular"),
    ]
    assert items[3].pictures == items[2].pictures == (png("AAAAAAA1-flip"),) and items[5].pictures == items[4].pictures
    assert items[0].question.options == ("the lamp", "the chair") and len(items[6].question.options) == 4 and items[7].question.truth == "D"
    assert items[0].question.kind == "3dsrbench_height_higher" and items[5].strata["type"] == "multi_object"


def test_the_prompt_is_vlmevalkits(tmp_path: Path) -> None:
    write_tsv(tmp_path / FILE, COLUMNS, ROWS[:1])
    assert asked(THREE_D_SR_BENCH, tmp_path)[0][0].prompt == (
        "<image>Question: Which\tone, AAAAAAA1?\nOptions:\nA. the lamp\nB. the chair\nPlease select the correct answer from the options above. \n"
    )


def test_the_four_accuracies_by_hand(tmp_path: Path) -> None:
    write_tsv(tmp_path / FILE, COLUMNS, ROWS)
    items, _ = asked(THREE_D_SR_BENCH, tmp_path)
    found = scored(items, {"AAAAAAA1-flip-1": "<answer>A</answer>", "CCCCCCC3-flip": "no"})
    assert values(THREE_D_SR_BENCH, found) == {
        "vanilla": 6 / 8,
        # A in order 0 (both right), A in order 1 (its mirror image wrong), B in order 0 and 1 (no mirror image), C (mirror image wrong)
        "flip": pytest.approx(3 / 5),
        # A, A mirrored (wrong), B, C, C mirrored (wrong)
        "circular": pytest.approx(3 / 5),
        "flip_circular": pytest.approx(1 / 3),  # B alone
        "height": pytest.approx(1 / 2),
        "location": pytest.approx(1 / 2),
        "orientation": None,
        "multi_object": 1.0,
    }
    circular = THREE_D_SR_BENCH.metric("circular")
    assert circular.chance(found) == pytest.approx((1 / 4 + 1 / 4 + 1 / 4 + 1 / 4 + 1 / 4) / 5)
    assert circular.mean(found).n_clusters == 3  # a question and its mirror image are one


def test_rows_that_cannot_be_asked_are_counted(tmp_path: Path) -> None:
    rows = [
        row(0, "AAAAAAA1-other-1"),
        row(1, "AAAAAAA2", category="colour_red"),
        row(2, "AAAAAAA3", answer="C"),
        row(3, "AAAAAAA4", image="77"),
        row(4, "AAAAAAA5", image="x" * 70),
        row(5, "AAAAAAA6", B="", C="the chair"),
        row(6, "AAAAAAA7", B="The Lamp"),
        row(7, "AAAAAAA8"),
        row(8, "AAAAAAA8"),
    ]
    write_tsv(tmp_path / FILE, COLUMNS, rows)
    items, refused = asked(THREE_D_SR_BENCH, tmp_path)
    assert [i.row_id for i in items] == ["AAAAAAA8"] and list(refused.values()) == [
        "a qid of another form",
        "a category of none of the four types",
        "an answer that is no option",
        "no image",
        "a picture that cannot be read",
        "an option behind an empty one",
        "options that cannot be told apart",
        "an id that stood before",
    ]


def test_a_file_that_lacks_a_column_or_is_no_tsv_ends_in_a_sentence(tmp_path: Path) -> None:
    write_tsv(tmp_path / FILE, [c for c in COLUMNS if c != "qid"], [{k: v for k, v in ROWS[0].items() if k != "qid"}])
    with pytest.raises(UserError, match=r"has no column qid, which 3DSRBench is published with; it has index, question"):
        asked(THREE_D_SR_BENCH, tmp_path)
    (tmp_path / FILE).write_bytes(b"index\tqid\n\xff\xfe\t1\n")
    with pytest.raises(UserError, match="is not a readable TSV file"):
        asked(THREE_D_SR_BENCH, tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(UserError, match="holds no rows"):
        asked(THREE_D_SR_BENCH, tmp_path)
