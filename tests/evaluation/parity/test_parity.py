"""The command: their numbers by hand, the rows that differ with both rules, and what becomes of records that cannot be used."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from actial.errors import UserError
from actial.evaluation.parity.__main__ import main
from actial.evaluation.parity.compare import compared
from actial.evaluation.parity.kits import LMMS_EVAL, VLMEVALKIT, kit_tasks
from actial.evaluation.parity.records import load_records

BENCHMARKS = frozenset({"cv_bench", "3dsrbench", "blink", "mmsi_bench", "mmsi_bench_circular"})


def record(benchmark: str, row_id: str, completion: str | None, truth: str = "B", strata: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "row_id": row_id,
        "question_id": f"{benchmark}-{row_id.replace('-', '_')}.v00.{benchmark}_0",
        "question": "Where?",
        "options": ["left", "right"],
        "truth": truth,
        "group": row_id,
        "variant": "",
        "strata": strata or {},
        "model": "base",
        "mode": "direct",
        "completion": completion,
        "settings": {"max_new_tokens": 8, "sampling": None},
    } | changes


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbers(path: Path) -> dict[tuple[str, str], tuple[Any, ...]]:
    """By kit and task: values (name, theirs, ours), rows, rows to a judge."""
    found, _ = load_records([path], BENCHMARKS)
    results = [c for task in kit_tasks(False) for records in found.values() if (c := compared(task, records)) is not None]
    return {(c.task.kit, c.task.name): (c.values, c.n, c.n_to_judge) for c in results}


CV = [
    record("cv_bench", "2D-0", "B", strata={"type": "2D", "task": "Count", "source": "ADE20K"}),
    record("cv_bench", "2D-1", "The answer is B", strata={"type": "2D", "task": "Count", "source": "ADE20K"}),
    record("cv_bench", "2D-2", "<answer>right</answer>", strata={"type": "2D", "task": "Relation", "source": "COCO"}),
    record("cv_bench", "3D-3", "A box is nearer, so right", "A", strata={"type": "3D", "task": "Depth", "source": "Omni3D"}),
    record("cv_bench", "3D-4", None, strata={"type": "3D", "task": "Depth", "source": "Omni3D"}),
]


def test_cv_bench_by_hand(tmp_path: Path) -> None:
    found = numbers(write(tmp_path / "cv_bench-direct.jsonl", CV))
    # VLMEvalKit: B, B, nothing (longer than twice the options' texts), nothing (no letter among the last words), nothing
    assert found[VLMEVALKIT, "CV-Bench-2D"] == ((("Overall", 0.5, 1.0),), 3, 1)
    assert found[VLMEVALKIT, "CV-Bench-3D"] == ((("Overall", 0.0, 0.0),), 2, 2)
    # lmms-eval: B, T, nothing, A (which happens to be right), nothing
    assert found[LMMS_EVAL, "cv_bench"] == ((("cv_bench_acc", 2 / 5, pytest.approx(3 / 5)),), 5, 0)
    assert found[LMMS_EVAL, "cv_bench_3d"] == ((("cv_bench_acc", 1 / 2, 0.0),), 2, 0)


def test_3dsrbench_has_the_same_four_formulas_in_both_kits(tmp_path: Path) -> None:
    said = {
        "Q0000001": "B",
        "Q0000001-1": "The answer is B",
        "Q0000001-flip": "B",
        "Q0000001-flip-1": "A turn to the left, I should say (B)",
        "Q0000002": "(B)",
    }
    rows = []
    for row_id, completion in said.items():
        question, flip, order = row_id[:8], "-flip" if "-flip" in row_id else "", "-1" if row_id.endswith("-1") else ""
        strata = {"type": "height", "category": "height_higher", "question and order": question + order, "question and picture": question + flip}
        rows.append(record("3dsrbench", row_id, completion, strata=strata, group=question))
    found = numbers(write(tmp_path / "r.jsonl", rows))
    # the long one: two letters and no 'answer is' for VLMEvalKit; lmms-eval takes the one at its start; we read neither
    four = {"vanilla": 4 / 5, "flip": 2 / 3, "circular": 2 / 3, "flip_circular": 1 / 2}
    for task in ((VLMEVALKIT, "3DSRBench"), (LMMS_EVAL, "3dsrbench_circular")):
        assert found[task][0] == tuple((name, pytest.approx(value), pytest.approx(value)) for name, value in four.items())
    assert found[VLMEVALKIT, "3DSRBench"][2] == 1 and found[LMMS_EVAL, "3dsrbench_circular"][2] == 0


def test_blink_and_mmsi_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [record("blink", "val_Jigsaw_1", "B", strata={"task": "Jigsaw"}), record("blink", "val_Jigsaw_2", "It is right")])
    circular = [
        record("mmsi_bench_circular", "0", "``B``", strata={"type": "MSR"}, group="0"),
        record("mmsi_bench_circular", "0-circular-1", "A", "A", strata={"type": "MSR"}, group="0", variant="circular"),
        record("mmsi_bench_circular", "1", "<answer>Before</answer>", strata={"type": "MSR"}, group="1"),
        record("mmsi_bench_circular", "1-circular-1", "A", "A", strata={"type": "MSR"}, group="1", variant="circular"),
    ]
    write(tmp_path / "deep" / "b.jsonl", circular)
    found = numbers(tmp_path)
    assert found[VLMEVALKIT, "BLINK"] == ((("Overall", 1.0, 0.5),), 2, 0)  # "It is right" holds the option's text
    assert found[LMMS_EVAL, "blink"] == found[LMMS_EVAL, "blink until 0.7.2"] == ((("blink_acc", 0.5, 0.5),), 2, 0)
    assert found[VLMEVALKIT, "MMSIBench_wo_circular"] == ((("overall", 1.0, 0.5),), 2, 0)  # <answer>Before is B
    assert found[VLMEVALKIT, "MMSIBench_circular"] == ((("Overall", 0.0, 0.5),), 4, 2)  # ``B`` is no word of its own
    assert found[LMMS_EVAL, "mmsi_bench"] == ((("average", 0.5, 0.5),), 2, 0)


def test_the_command_prints_numbers_and_causes_and_writes_every_row_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "records" / "cv_bench-direct.jsonl", CV)
    with path.open("a") as file:
        file.write('{"benchmark": "cv_bench", "row_id": "2D-5", "opt')
    rows = tmp_path / "out" / "rows.csv"
    assert main([str(path.parent), "--rows", str(rows)]) == 0
    printed = capsys.readouterr().out
    assert "1 lines are cut" in printed and "## cv_bench, base, direct" in printed
    assert "| lmms-eval | cv_bench | cv_bench_acc | 40.00 | 60.00 | 5 | 0 | 2 | 3 |" in printed
    assert "| the first character | declared | ours | 1 | 2D-1: T, ours B |" in printed
    with rows.open(encoding="utf-8") as file:
        written = [row for row in csv.DictReader(file) if row["task"] == "cv_bench"]
    assert [(r["row_id"], r["truth"], r["their_answer"], r["our_answer"], r["our_rule"]) for r in written] == [
        ("2D-1", "B", "T", "B", "declared"),
        ("2D-2", "B", "", "B", "tag_text"),
        ("3D-3", "A", "A", "", "no answer found"),
    ]
    assert written[2]["completion"] == "A box is nearer, so right" and written[2]["options"] == "left | right"


def test_split_think_changes_vlmevalkits_numbers_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "r.jsonl", [record("blink", "val_Jigsaw_1", "<think>B or A it seems, so they say, or A; in the end</think>B", strata={"task": "Jigsaw"})]
    )
    main([str(path)])
    plain = capsys.readouterr().out
    main([str(path), "--split-think"])
    split = capsys.readouterr().out
    assert "| VLMEvalKit | BLINK | Overall | 0.00 | 100.00 |" in plain and "| VLMEvalKit | BLINK | Overall | 100.00 | 100.00 |" in split
    assert "| lmms-eval | blink | blink_acc | 100.00 | 100.00 |" in plain and "| lmms-eval | blink | blink_acc | 100.00 | 100.00 |" in split


def test_records_of_nothing_known_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist: name a folder of records"):
        main([str(tmp_path / "nowhere")])
    write(tmp_path / "own.jsonl", [{"question_id": "scene-000001.v00-v01.orbit", "completion": "B"}])
    with pytest.raises(UserError, match="holds no record of 3dsrbench, blink, cv_bench"):
        main([str(tmp_path)])
