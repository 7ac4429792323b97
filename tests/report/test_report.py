"""The whole report, from the outputs of the stages to what stands in its page; `test_report_in_browser` opens it."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from report_blocks import index_of, pictures_of, questions_of
from toy_outputs import HOSTILE
from toy_scenes import toy_views

from actial.errors import UserError
from actial.evaluation.standins import STANDINS
from actial.mirror import mirrored_question
from actial.params import STAGES
from actial.records import Rollout
from actial.report import outputs as report_outputs
from actial.report.build import write_report
from actial.report.outputs import Outputs
from actial.report.packing import picture_blocks
from actial.report.thumbnails import thumbnails
from actial.shards import ViewStore, ViewWriter, encode_png
from actial.tables import write_rollouts

PROJECT = Path(__file__).parents[2]


def text_of(report: Path) -> str:
    return report.read_text(encoding="utf-8")


def test_every_number_of_scores_json_is_in_the_table(project: Path, report: Path) -> None:
    scores, text = Outputs(project / "outputs").scores, text_of(report)
    for model, by_mode in scores["models"].items():
        for mode, by_group in by_mode.items():
            row = re.search(rf"<tr><td><strong>{model}</strong></td><td>{mode}</td>(.*?)</tr>", text)
            assert row is not None
            for cell in by_group.values():
                assert f"{100 * cell['accuracy']:.1f} " in row[1]
                assert f"± {100 * cell['stderr']:.1f}" in row[1]
    for row in ("chance", "majority", "text only", "2D probe"):
        assert f"<em>{row}</em>" in text
    assert "<h3>Is it harder the more the view changes?</h3>" in text and "<td>30-60</td>" in text and "<td>90-180</td>" not in text


def test_every_other_number_of_scores_json_is_there_under_its_own_heading(project: Path, report: Path) -> None:
    scores, text = Outputs(project / "outputs").scores, text_of(report)
    part = {title: text.split(f"<h3>{title}</h3>")[1].split("</table>")[0] for title in ("What training added", "Does it follow the flat picture?")}
    part |= {title: text.split(f"<h3>{title}</h3>")[1].split("</table>")[0] for title in ("Teach or sharpen?", "Controls")}
    for by_mode in scores["comparisons"].values():
        for by_group in by_mode.values():
            for cell in by_group.values():
                assert f"{100 * cell['difference']:+.1f}<br>" in part["What training added"]
                assert f"[{100 * cell['low']:+.1f}, {100 * cell['high']:+.1f}] p " in part["What training added"]
                assert f"<small>{cell['verdict']}</small>" in part["What training added"]
                assert cell["detectable"] is None or f"detectable {100 * cell['detectable']:.1f}" in part["What training added"]
    shares = [("Does it follow the flat picture?", c) for m in scores["cue"].values() for k in m.values() for s in k.values() for c in s.values()]
    sampled = scores["sampled"]["models"]
    shares += [("Teach or sharpen?", g[name]) for m in sampled.values() for g in m.values() for name in ("greedy", "mean", "majority", "best")]
    shares += [("Controls", cell) for m in scores["controls"].values() for c in m.values() for cell in c["groups"].values()]
    assert len({title for title, _ in shares}) == 3
    for title, cell in shares:
        shown = "no data" if cell["accuracy"] is None else f"{100 * cell['accuracy']:.1f} "
        assert shown in part[title], (title, cell)
    assert f"{100 * sampled['grpo']['overall']['chance_best']:.1f}" in part["Teach or sharpen?"]
    thought = text.split("<h3>Is what it thinks true?</h3>")[1].split("<h3>")[0]
    assert "no data" in re.findall(r"<td><strong>base</strong></td><td>overall</td>(.*?)</tr>", thought)[0], "nothing of what it thought can be checked"
    for group, cell in scores["claims"]["grpo"].items():
        row = re.search(rf"<td><strong>grpo</strong></td><td>{group}</td>(.*?)</tr>", thought)
        assert row is not None and f"{100 * cell['true']:.1f} " in row[1] and f"± {100 * cell['stderr']:.1f}" in row[1]
        assert all(f">{100 * cell[name]:.1f}<" in row[1] for name in ("near", "not_understood", "sound")) and f">{cell['n']:,}<" in row[1]


def test_curves_stand_by_stage_with_what_to_look_for(project: Path, report: Path) -> None:
    text = text_of(report)
    training = text[text.index('id="training"') : text.index('id="questions"')]
    sft, grpo = training.split("<h3>")[1:]
    charts = {
        "sft": ("Loss", "Token accuracy"),
        "grpo": ("Reward", "Prompts too easy or too hard", "Completion length", "Entropy", "Distance from the SFT checkpoint"),
    }
    for part, titles in ((sft, charts["sft"]), (grpo, charts["grpo"])):
        assert re.findall(r"<figcaption>([^<]*)</figcaption>", part) == list(titles)
        assert part.count('class="note"') == len(titles)
    assert "What is rewarded" not in training, "these columns were not logged"


def test_controls_and_samples_stand_with_their_question_and_give_no_mark_in_the_list(report: Path) -> None:
    questions = questions_of(report)
    assert {len(marks) for marks in index_of(report)["found"]} == {6}, "one mark a model and mode"
    assert len(questions) == 30
    for q in questions.values():
        assert len(q["answers"]) == 6 and any("where none is right" in how for _, how, *_ in q["controls"])
        assert [(model, len(texts)) for model, texts in q["sampled"]] == [("sft", 4), ("grpo", 4)]


def test_a_rollout_about_a_mirror_image_is_shown_with_its_pictures(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    question = Outputs(project / "outputs").questions["rl"][0]
    image = mirrored_question(question)
    write_rollouts(tmp_path / "outputs/grpo/rollouts.parquet", [Rollout(image.question_id, 1, "<answer>A</answer>", {"accuracy": 1.0})])
    report = write_report(tmp_path / "outputs", tmp_path / "index.html")
    assert set(image.view_ids) <= pictures_of(report).keys() and f"Truth: {image.truth}." in text_of(report).split('id="rollouts"')[1]


def test_the_counts_behind_the_share_of_true_claims_stand_beside_their_completions(project: Path, report: Path) -> None:
    shown = {i: [answer[4] for answer in q["answers"] if answer[:2] == ["grpo", " · think"]] for i, q in questions_of(report).items()}
    checked = {v.question_id: v for v in Outputs(project / "outputs").verdicts if v.n_claims is not None}
    assert 3 * len(checked) > len(shown) > len(checked)
    for question_id, (note,) in shown.items():
        v = checked.get(question_id)
        assert ("claims" not in note) if v is None else note.endswith(f"{v.n_claims_true} of 7 claims true, {v.n_claims_near} within a cell")


def test_stand_ins_are_folded_away_and_not_among_the_answers(report: Path) -> None:
    text = text_of(report)
    before, fold = text.split("Stand-ins: does the scorer work?")
    assert "oracle" not in before
    assert "<strong>oracle</strong>" in fold.split("</details>")[0]
    assert "oracle" not in text[text.index('id="questions"') : text.index('id="rollouts"')]


def test_each_view_is_stored_once_and_is_the_picture(project: Path, report: Path) -> None:
    stored, views = pictures_of(report), Outputs(project / "outputs").views
    assert views is not None
    of_questions = {view_id for q in questions_of(report).values() for view_id, _ in q["views"]}
    assert set(stored) == of_questions | set(re.findall(r'data-view="([^"]+)"', text_of(report)))
    for view_id, encoded in list(stored.items())[:5]:
        assert (
            Image.open(io.BytesIO(base64.b64decode(encoded.removeprefix("data:image/png;base64,")))).convert("RGB").tobytes()
            == views.picture(view_id).tobytes()
        )
        assert text_of(report).count(encoded) == 1


def test_pictures_that_would_be_too_large_together_are_thumbnails(tmp_path: Path) -> None:
    """Noisy ones, as a renderer's are: plain ones would be smaller as PNG than as JPEG."""
    generator = np.random.default_rng(5)
    with ViewWriter(tmp_path, shard_mb=64) as writer:
        for view in toy_views(0):
            writer.add(view, encode_png(generator.integers(90, 160, (200, 200, 3), dtype=np.uint8)))
    views = ViewStore(tmp_path)
    exact, level = thumbnails(views.view_ids(), views)
    assert level.jpeg_quality is None and len(exact) == 8
    budget = sum(map(len, exact.values())) // 8
    small, level = thumbnails(views.view_ids(), views, budget)
    assert level.jpeg_quality is not None and small.keys() == exact.keys() and sum(map(len, small.values())) <= budget
    sides = {Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).size for address in small.values()}
    assert sides == {(min(level.longest_side_px, 200),) * 2}


def test_full_pictures_stand_beside_the_page_where_they_are_asked_for(project: Path, tmp_path: Path) -> None:
    views = Outputs(project / "outputs").views
    assert views is not None
    report = write_report(project / "outputs", tmp_path / "index.html", full_pictures=True)
    linked = {view_id: address for q in questions_of(report).values() for view_id, address in q["views"]}
    assert linked and {p.name for p in (tmp_path / "pictures").iterdir()} == {Path(address).name for address in linked.values()}
    for view_id, address in linked.items():
        assert (tmp_path / address).read_bytes() == views.picture_bytes(view_id)


@settings(max_examples=20)
@given(st.lists(st.text("abc.-0123", min_size=1, max_size=12), max_size=30, unique=True))
def test_blocks_of_pictures_are_found_by_the_id_they_begin_with(ids: list[str]) -> None:
    addresses = {i: i * 20_000 for i in ids}
    blocks = re.findall(r'<script type="application/json" id="pictures(?:-\d+)?"(?: data-from="([^"]*)")?>(.*?)</script>', picture_blocks(addresses))
    starts = [start for start, _ in blocks]
    assert starts == sorted(starts) and {k: v for _, text in blocks for k, v in json.loads(text).items()} == addresses
    for picture_id in ids:
        assert picture_id in json.loads(blocks[max(i for i, start in enumerate(starts) if start <= picture_id)][1])


def test_no_completion_becomes_markup(report: Path) -> None:
    text = text_of(report)
    assert any(answer[-1] == HOSTILE for q in questions_of(report).values() for answer in q["answers"])  # the hostile completion is shown ...
    assert "pwned" in text  # (among the rollouts, too)
    assert 'document.title="pwned"' not in text and "<img src=x" not in text  # ... and only as text
    assert re.findall(r"<script[^>]*>", text)[-1] == "<script>"
    assert all("type=" in opening for opening in re.findall(r"<script[^>]*>", text)[:-1]), "data, but for the page's own script"


def test_what_has_not_run_is_said_and_never_a_zero(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs" / "render_views", tmp_path / "outputs" / "render_views")
    text = text_of(write_report(tmp_path / "outputs", tmp_path / "index.html"))
    body = text[text.index("<main") : text.index("</main>")]
    for stage in ("evaluate", "sft", "grpo", "build_qa"):
        assert re.search(rf"the stage {stage} has not run|curve of {stage} yet", body), stage
    assert "0.0" not in re.sub(r"[\d.]+\.0", "", body) and "<td" not in body[: body.index('id="data"')]


def test_half_an_evaluation_is_shown_as_such(project: Path, tmp_path: Path) -> None:
    """build_qa was run again with other test questions, and grpo is not there."""
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    shutil.rmtree(tmp_path / "outputs" / "grpo")
    (tmp_path / "outputs" / "build_qa" / "test.parquet").write_bytes((project / "outputs" / "build_qa" / "val.parquet").read_bytes())
    text = text_of(write_report(tmp_path / "outputs", tmp_path / "index.html"))
    assert "30 questions that models answered are no longer among the test questions" in text
    assert "the stage grpo has not run" in text


def test_the_same_outputs_make_the_same_bytes(project: Path, report: Path, tmp_path: Path) -> None:
    assert write_report(project / "outputs", tmp_path / "index.html").read_bytes() == report.read_bytes()


def test_a_sample_prefers_questions_that_were_asked(project: Path, tmp_path: Path) -> None:
    asked = {v.question_id for v in Outputs(project / "outputs").verdicts}
    shown = index_of(write_report(project / "outputs", tmp_path / "index.html", n_questions=20))["ids"]
    assert len(shown) == 20 and set(shown) <= asked


def test_the_settings_a_stage_was_made_with_come_from_dvc_lock(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  sft:\n    params:\n      params.yaml:\n        sft: {method: full, epochs: 3}\n")
    text = text_of(write_report(tmp_path / "outputs", tmp_path / "index.html"))
    assert "<code>sft.epochs</code>" in text
    assert text.count("dvc.lock holds no settings of this stage") == 5


def test_stand_ins_and_stages_are_those_of_the_project() -> None:
    assert report_outputs.STAND_INS == STANDINS
    assert report_outputs.STAGES == STAGES


def test_a_damaged_file_is_one_sentence(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    scores = tmp_path / "outputs" / "evaluate" / "scores.json"
    scores.write_text(scores.read_text()[:100])
    with pytest.raises(UserError, match=r"scores\.json is not valid JSON"):
        write_report(tmp_path / "outputs", tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()
    scores.write_text('{"rows": []}')
    with pytest.raises(UserError, match=r"scores\.json is no table of scores"):
        write_report(tmp_path / "outputs", tmp_path / "index.html")


def test_the_command_line(project: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "actial.report.build", "--outputs"]
    done = subprocess.run([*call, str(project / "outputs"), "--target", str(tmp_path / "r.html")], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "r.html") and (tmp_path / "r.html").exists()
    refused = subprocess.run([*call, str(tmp_path / "nowhere")], cwd=PROJECT, capture_output=True, text=True)
    assert refused.returncode == 2 and "does not exist" in refused.stderr and "Traceback" not in refused.stderr
