"""The whole report, from the outputs of the stages to what a person sees in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Tab, chromium_tab
from PIL import Image
from toy_outputs import HOSTILE, write_toy_outputs

from actial.errors import UserError
from actial.evaluation.standins import STANDINS
from actial.mirror import mirrored_question
from actial.params import STAGES
from actial.records import Rollout
from actial.report import outputs as report_outputs
from actial.report.build import write_report
from actial.report.outputs import Outputs
from actial.shards import ViewWriter
from actial.tables import write_rollouts

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_toy_outputs(folder / "outputs")
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    return write_report(project / "outputs", project / "runs" / "report" / "index.html")


def text_of(report: Path) -> str:
    return report.read_text(encoding="utf-8")


def pictures_of(report: Path) -> dict[str, str]:
    block = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', text_of(report))
    assert block is not None
    return json.loads(block[1])


def test_every_number_of_scores_json_is_in_the_table(project: Path, report: Path) -> None:
    scores, text = Outputs(project / "outputs").scores, text_of(report)
    for model, by_mode in scores["models"].items():
        for mode, by_group in by_mode.items():
            row = re.search(rf"<tr><td><strong>{model}</strong></td><td>{mode}</td>(.*?)</tr>", text)
            assert row is not None
            for cell in by_group.values():
                assert f"{100 * cell['accuracy']:.1f} " in row[1]
                assert f"± {100 * cell['stderr']:.1f}" in row[1]
    for row in ("chance", "majority"):
        assert f"<em>{row}</em>" in text


def test_every_other_number_of_scores_json_is_there_under_its_own_heading(project: Path, report: Path) -> None:
    scores, text = Outputs(project / "outputs").scores, text_of(report)
    part = {title: text.split(f"<h3>{title}</h3>")[1].split("</table>")[0] for title in ("What each stage added", "Does it follow the flat picture?")}
    part |= {title: text.split(f"<h3>{title}</h3>")[1].split("</table>")[0] for title in ("Teach or sharpen?", "Controls")}
    for by_mode in scores["comparisons"].values():
        for by_group in by_mode.values():
            for cell in by_group.values():
                assert f"{100 * cell['difference']:+.1f}<br>" in part["What each stage added"]
                assert f"[{100 * cell['low']:+.1f}, {100 * cell['high']:+.1f}] p " in part["What each stage added"]
    shares = [("Does it follow the flat picture?", c) for m in scores["cue"].values() for k in m.values() for s in k.values() for c in s.values()]
    sampled = scores["sampled"]["models"]
    shares += [("Teach or sharpen?", g[name]) for m in sampled.values() for g in m.values() for name in ("greedy", "mean", "majority", "best")]
    shares += [("Controls", cell) for m in scores["controls"].values() for c in m.values() for cell in c["groups"].values()]
    assert len({title for title, _ in shares}) == 3
    for title, cell in shares:
        shown = "no data" if cell["accuracy"] is None else f"{100 * cell['accuracy']:.1f} "
        assert shown in part[title], (title, cell)
    assert f"{100 * sampled['grpo']['overall']['chance_best']:.1f}" in part["Teach or sharpen?"]


def test_curves_stand_by_stage_with_what_to_look_for(project: Path, report: Path) -> None:
    text = text_of(report)
    training = text[text.index('id="training"') : text.index('id="questions"')]
    sft, grpo = training.split("<h3>")[1:]
    charts = {
        "sft": ("Loss", "Token accuracy"),
        "grpo": ("Reward", "Groups without a gradient", "Completion length", "Entropy", "Distance from the SFT checkpoint"),
    }
    for part, titles in ((sft, charts["sft"]), (grpo, charts["grpo"])):
        assert re.findall(r"<figcaption>([^<]*)</figcaption>", part) == list(titles)
        assert part.count('class="note"') == len(titles)
    assert "What is rewarded" not in training, "these columns were not logged"


def test_controls_and_samples_stand_with_their_question_and_give_no_mark_in_the_list(project: Path, report: Path) -> None:
    text = text_of(report)
    entry = re.search(r'data-found="([^"]*)"', text)
    assert entry is not None and len(entry[1].split()) == 6, "one mark a model and mode"
    folds = text.split("Under controls, and sampled</summary>")
    n = len(re.findall(r'<article id="', text))
    assert len(folds) == n + 1
    assert all("where none is right" in fold and "sampled, " in fold.split("</details>")[0] for fold in folds[1:])


def test_a_rollout_about_a_mirror_image_is_shown_with_its_pictures(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    question = Outputs(project / "outputs").questions["rl"][0]
    image = mirrored_question(question)
    write_rollouts(tmp_path / "outputs/grpo/rollouts.parquet", [Rollout(image.question_id, 1, "<answer>A</answer>", {"accuracy": 1.0})])
    report = write_report(tmp_path / "outputs", tmp_path / "index.html")
    assert set(image.view_ids) <= pictures_of(report).keys() and f"Truth: {image.truth}." in text_of(report).split('id="rollouts"')[1]


def test_stand_ins_are_folded_away_and_not_among_the_answers(report: Path) -> None:
    text = text_of(report)
    before, fold = text.split("Stand-ins: does the scorer work?")
    assert "oracle" not in before
    assert "<strong>oracle</strong>" in fold.split("</details>")[0]
    assert "oracle" not in text[text.index('id="questions"') : text.index('id="rollouts"')]


def test_each_view_is_stored_once_and_is_the_picture(project: Path, report: Path) -> None:
    stored, views = pictures_of(report), Outputs(project / "outputs").views
    assert views is not None
    shown = set(re.findall(r'data-view="([^"]+)"', text_of(report)))
    assert set(stored) == shown
    for view_id, encoded in list(stored.items())[:5]:
        assert (
            Image.open(io.BytesIO(base64.b64decode(encoded.removeprefix("data:image/png;base64,")))).convert("RGB").tobytes()
            == views.picture(view_id).tobytes()
        )
        assert text_of(report).count(encoded) == 1


def test_no_completion_becomes_markup(report: Path) -> None:
    text = text_of(report)
    assert "pwned" in text  # the hostile completion is shown ...
    assert 'document.title="pwned"' not in text and "<img src=x" not in text  # ... and only as text
    assert text.count("<script") == 2


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
    shown = re.findall(r'<article id="([^"]+)"', text_of(write_report(project / "outputs", tmp_path / "index.html", n_questions=20)))
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


@pytest.mark.slow
def test_a_thousand_questions_take_seconds(tmp_path: Path) -> None:
    write_toy_outputs(tmp_path / "outputs", n_scenes=150, n_asked=1200)
    start_s = time.process_time()
    report = write_report(tmp_path / "outputs", tmp_path / "index.html", n_questions=1000)
    assert time.process_time() - start_s < 10
    assert len(re.findall("<article ", text_of(report))) == 1000


# ------------------------------------------------------------------------------------------------ in a browser


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with chromium_tab() as tab:
        yield tab


SHOWN = "[...document.querySelectorAll('article.one')].filter(a => !a.hidden).map(a => a.id)"
PLACE = "document.getElementById('place').textContent"


def test_a_person_can_browse_it(tab: Tab, report: Path, project: Path) -> None:
    tab.complaints.clear()
    tab.open(report.as_uri())
    n = len(pictures_of(report)) and len(re.findall("<article ", text_of(report)))
    assert tab.value(PLACE) == f"1 of {n}"
    (first,) = tab.value(SHOWN)
    tab.press("ArrowRight")
    (second,) = tab.value(SHOWN)
    assert second != first and tab.value(PLACE) == f"2 of {n}" and tab.value("location.hash") == f"#{second}"
    tab.press("ArrowLeft")
    assert tab.value(SHOWN) == [first]
    loaded = "[...document.querySelectorAll('article.one:not([hidden]) img')].map(i => i.complete && i.naturalWidth)"
    assert tab.value(f"Promise.all([...document.querySelectorAll('article.one:not([hidden]) img')].map(i => i.decode())).then(() => {loaded})") == [84, 84]
    tab.press("/")
    assert tab.value("document.activeElement.id") == "filter-text"
    assert tab.value("document.title") == "Actial report"
    assert tab.complaints == []


def test_filters_show_what_they_say(tab: Tab, report: Path, project: Path) -> None:
    tab.open(report.as_uri())
    verdicts = Outputs(project / "outputs").verdicts
    choose = "document.getElementById('filter-{0}').value = '{1}'; document.getElementById('filter-{0}').dispatchEvent(new Event('{2}'))"
    tab.value(choose.format("model", "sft/think", "change"))
    tab.value(choose.format("outcome", "wrong", "change"))
    wrong = {v.question_id for v in verdicts if (v.model, v.mode, v.condition) == ("sft", "think", "plain") and not v.correct and v.answer is not None}
    listed = "[...document.querySelectorAll('.list li')].filter(l => !l.hidden).map(l => l.dataset.id)"
    assert set(tab.value(listed)) == wrong and wrong
    tab.value(choose.format("kind", "turn", "change"))
    assert set(tab.value(listed)) == {q for q in wrong if q.endswith(".turn")}
    for name in ("model", "outcome", "kind"):
        tab.value(choose.format(name, "", "change"))
    cue_of = {q.question_id: q.cue for q in Outputs(project / "outputs").questions["test"]}
    tab.value(choose.format("cue", "conflict", "change"))
    assert set(tab.value(listed)) == {q for q in re.findall(r'<article id="([^"]+)"', text_of(report)) if cue_of[q] == "conflict"} != set()
    tab.value(choose.format("cue", "", "change"))
    tab.value(choose.format("text", "PWNED", "input"))
    assert tab.value(listed) == [v.question_id for v in verdicts if v.completion == HOSTILE][:1]
    tab.value(choose.format("text", "no such text", "input"))
    assert tab.value(PLACE) == "none match" and tab.value(SHOWN) == []


def test_a_deep_link_opens_its_question(tab: Tab, report: Path) -> None:
    wanted = re.findall(r'<article id="([^"]+)"', text_of(report))[7]
    tab.complaints.clear()
    tab.open(f"{report.as_uri()}#{wanted}")
    assert tab.value(SHOWN) == [wanted]
    assert tab.value("scrollY") > 0
    assert tab.complaints == []


def test_a_damaged_picture_is_said_in_its_place(tab: Tab, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    views = Outputs(project / "outputs").views
    assert views is not None
    broken = Outputs(project / "outputs").verdicts[0].question_id.split("-v0")[0]
    with ViewWriter(tmp_path / "outputs" / "render_views" / "views", shard_mb=64) as writer:
        for view in views:
            picture = views.picture_bytes(view.view_id) or b""
            writer.add(view, picture[:60] if view.view_id == broken else picture)
    report = write_report(tmp_path / "outputs", tmp_path / "index.html")
    assert broken not in pictures_of(report) and broken in text_of(report)
    tab.complaints.clear()
    tab.open(report.as_uri())
    assert tab.value("document.querySelector('article.one:not([hidden]) .pair').textContent").startswith("This picture is not there or cannot be read.")
    assert tab.complaints == []


def test_it_fits_a_phone_and_follows_the_dark_mode(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri(), width_px=360, height_px=740, dark=True)
    assert tab.value("document.documentElement.scrollWidth") == 360
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    tab.open(report.as_uri())
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 249)"
