"""Benchmarks asked with less to see: what is asked, and what the scores come to, by hand, on a benchmark of one picture, two, and three."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_blink import row, write

from actial.evaluation.benchmarks.answered import Judged, Manner, Posed, judge
from actial.evaluation.benchmarks.blink import BLINK
from actial.evaluation.benchmarks.registry import Found
from actial.evaluation.benchmarks.results import benchmark_scores, plainly, posed_by_benchmark, write_benchmark_records
from actial.evaluation.benchmarks.stored import Stored, stored
from actial.evaluation.benchmarks.table import benchmark_table
from actial.evaluation.completions import Completion
from actial.evaluation.conditions import BENCHMARK_CONTROLS
from actial.evaluation.parity.records import load_records
from actial.params import load_params

PARAMS = load_params(Path(__file__).parents[3] / "profiles" / "tiny.yaml")
N_PICTURES = {"Relative_Depth": 1, "Multi-view_Reasoning": 2, "Jigsaw": 3}
ANSWERS = ("(A)", "(B)", "(B)", "(B)")


@pytest.fixture
def blink(tmp_path: Path) -> Stored:
    """Four questions of three tasks, each with words of its own."""
    for task, n in N_PICTURES.items():
        rows = [row(task, i, n, answer=answer, prompt=f"{task} {i}?\n(A) yes\n(B) no") for i, answer in enumerate(ANSWERS)]
        write(tmp_path / "files", task, rows)
    return stored(Found(BLINK, tmp_path / "files"), tmp_path / "store")


def posed(benchmark: Stored, *controls: str, n_samples: int | None = None) -> list[Posed]:
    manner = Manner(PARAMS.prompt, {"direct": 16}, 7, controls=controls, n_samples=n_samples)
    return posed_by_benchmark([benchmark], manner)["blink"]


def answered(asked: list[Posed]) -> dict[str, list[Judged]]:
    """By one who is right with all pictures, always says A without any, and B where one of several is left; each key is answered once."""
    texts: dict[str, str] = {}
    for p in asked:
        letter = p.item.question.truth if not p.shows_less() else "B" if p.ask.view_ids else "A"
        assert texts.setdefault(p.ask.key, letter) == letter
    return {"blink": [judge(p, Completion(p.ask.key, f"<answer>{texts[p.ask.key]}</answer>", 3, "stop")) for p in asked]}


def test_words_stay_and_pictures_go(blink: Stored) -> None:
    plain, asked = posed(blink), posed(blink, *BENCHMARK_CONTROLS)
    assert asked[: len(plain)] == plain and len(asked) == 4 * len(plain) == 48
    of = {(p.condition, p.item.row_id): p for p in asked}
    for item in blink.items:
        n, before = len(item.question.view_ids), of["plain", item.row_id].ask
        blind, first, last = (of[condition, item.row_id].ask for condition in BENCHMARK_CONTROLS)
        assert (blind.view_ids, blind.hidden, blind.messages[0]) == ((), (), before.messages[0])
        assert blind.messages[1].content == before.messages[1].content.removeprefix("<image>" * n) == item.prompt.removeprefix("<image>" * n)
        assert first.messages == last.messages == before.messages and first.view_ids == last.view_ids == before.view_ids
        assert (first.hidden, last.hidden) == (tuple(range(1, n)), tuple(range(n - 1)))
        assert (first.key == before.key) is (last.key == before.key) is (n == 1), "what shows one picture anyway is not asked again"
    assert len({p.ask.key for p in asked}) == 12 + 12 + 2 * 8


def test_what_changes_no_question_is_not_asked(tmp_path: Path) -> None:
    write(tmp_path / "files", "Relative_Depth", [row("Relative_Depth", 1)])
    alone = stored(Found(BLINK, tmp_path / "files"), tmp_path / "store")
    assert [p.condition for p in posed(alone, *BENCHMARK_CONTROLS)] == ["plain", "blind"]


@pytest.mark.parametrize("n_samples", [None, 2])
def test_scores_with_less_to_see_by_hand(blink: Stored, n_samples: int | None) -> None:
    asked = posed(blink, *BENCHMARK_CONTROLS, n_samples=n_samples)
    found = benchmark_scores([blink], {"m": answered(asked)}, {})["asked"]["blink"]
    cell = found["models"]["m"]["direct"]
    assert found["n"] == cell["n"] == 12 and cell["metrics"]["micro"]["value"] == 1
    blind, first, last = (cell["controls"][condition] for condition in BENCHMARK_CONTROLS)
    assert (blind["n_showed_less"], first["n_showed_less"], first["n"], blind["title"]) == (12, 8, 12, "no picture")
    assert first["metrics"] == last["metrics"], "this one says the same to both"
    # blind: A, right in 1 of 4; one of several pictures: B, right in 3 of 4; one picture: as it is, always right
    assert blind["metrics"]["micro"]["value"] == pytest.approx(1 / 4) and blind["metrics"]["micro"]["lost"]["value"] == pytest.approx(3 / 4)
    assert first["metrics"]["micro"]["value"] == pytest.approx((4 + 3 + 3) / 12)
    assert first["metrics"]["three"]["value"] is blind["metrics"]["macro"]["value"] is None, "tasks that they need are not there"
    assert first["metrics"]["Jigsaw"]["value"] == pytest.approx(3 / 4) and first["metrics"]["Jigsaw"]["lost"]["value"] == pytest.approx(1 / 4)
    assert first["metrics"]["Relative_Depth"] == {"value": None, "stderr": None, "n_clusters": 0, "strict": None, "lost": {"value": None, "stderr": None}}
    assert blind["metrics"]["Relative_Depth"]["value"] == pytest.approx(1 / 4)
    # 4 questions about pictures of their own, one of which loses 1: CR1, sqrt(4/3 * (1/16 * (3/4)**2 + 3 * 1/16 * (1/4)**2))
    assert first["metrics"]["Jigsaw"]["lost"]["stderr"] == pytest.approx((4 / 3 * (9 / 256 + 3 / 256)) ** 0.5)


def test_off_by_default_and_plain_scores_and_records_do_not_change(blink: Stored, tmp_path: Path) -> None:
    without, with_them = answered(posed(blink)), answered(posed(blink, *BENCHMARK_CONTROLS))
    assert plainly(with_them) == without
    before, after = (benchmark_scores([blink], {"m": judged}, {})["asked"]["blink"] for judged in (without, with_them))
    del after["models"]["m"]["direct"]["controls"]
    assert json.dumps(before) == json.dumps(after)
    for name, judged in (("without", without), ("with", with_them)):
        write_benchmark_records(tmp_path / name, judged, "m", "f")
    (plain,) = (tmp_path / "without").iterdir()
    assert (tmp_path / "with" / plain.name).read_bytes() == plain.read_bytes()
    assert sorted(p.name for p in (tmp_path / "with").iterdir()) == sorted([plain.name, *(f"blink-direct-{c}.jsonl" for c in BENCHMARK_CONTROLS)])
    lines = [json.loads(line) for line in (tmp_path / "with" / "blink-direct-last_only.jsonl").read_text().splitlines()]
    assert {(line["condition"], tuple(line["hidden"]), len(line["view_ids"])) for line in lines} == {("last_only", tuple(range(n - 1)), n) for n in (1, 2, 3)}
    both = [load_records([tmp_path / name], frozenset({"blink"})) for name in ("without", "with")]
    assert str(both[0]) == str(both[1]) and both[0][1] == 0, "kits show all pictures: parity leaves controls out"


def test_tables_have_rows_of_them(blink: Stored) -> None:
    judged = answered(posed(blink, *BENCHMARK_CONTROLS))
    told = benchmark_table(benchmark_scores([blink], {"m": judged}, {}))
    assert "With less to see" in told and "With less to see" not in benchmark_table(benchmark_scores([blink], {"m": plainly(judged)}, {}))
    quoted = {cells[3]: cells[5] for line in told.split("\n\n")[1].splitlines() if len(cells := [c.strip() for c in line.split("|")]) > 5}
    assert {name: quoted[name] for name in ("direct", "direct, no picture", "direct, first picture only", "direct, last picture only")} == dict.fromkeys(
        ("direct", "direct, no picture", "direct, first picture only", "direct, last picture only"), "n/a"
    ), "macro needs 14 tasks"
    (micro,) = (line for line in told.splitlines() if line.startswith("| micro"))
    assert [cell.strip().split(" ±")[0] for cell in micro.split("|")[2:6]] == ["100.0", "25.0", "83.3", "83.3"]
    (jigsaw,) = (line for line in told.splitlines() if line.startswith("| Relative_Depth"))
    assert [cell.strip().split(" ±")[0] for cell in jigsaw.split("|")[2:6]] == ["100.0", "25.0", "n/a", "n/a"]
