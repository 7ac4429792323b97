"""The shortcut audit: planted leaks are found where they are and nowhere else, clean questions pass, and nothing is said of too few."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import plant
from toy_scenes import make_project, put_in_latin_1, run_stage

from actial.errors import UserError
from actial.json_files import write_json
from actial.params_questions import AUDIT_PROBES
from actial.params_questions import Audit as Settings
from actial.questions import shortcuts
from actial.questions.probes import FOLDS_TOGETHER, LEARNERS, folds_by_scene, held_out_answers
from actial.questions.readings import COMPARING, PROBES, may_know
from actial.questions.sat_kinds import KINDS_OF_THINGS
from actial.questions.shortcut_table import audit_section, audit_table, complaint
from actial.questions.shortcuts import Audit, audit_questions, drawn_questions
from actial.rng import generator_for
from actial.stats import clustered_mean
from actial.tables import read_questions, stream_questions, write_questions
from flows.cli import main

SEED = 7
SETTINGS = Settings(probes=dict.fromkeys(PROBES, 0.05), learners=("linear",), n_questions=2400, bound=0.05, n_ceiling=0)
EITHER_PICTURE = {f"{probe}, picture {n}" for probe in ("alone", "pixels") for n in (1, 2)}
FOUND_BY = {
    "text": ("text", set[str]()),
    "letter": ("text", set[str]()),
    "first": ("alone, picture 1", {"same_twice", "shift"}),
    "colors": ("colors", EITHER_PICTURE),
    "shift": ("shift", EITHER_PICTURE),
    "size": ("size", EITHER_PICTURE | {"same_twice"}),
    "floor": ("floor", EITHER_PICTURE | {"same_twice"}),
}
"""Which reading finds a planted leak, and which others may, as what is at one end of its range in a picture can only go one way."""


def audited(folder: Path, settings: Settings = SETTINGS) -> Audit:
    return audit_questions([folder / "questions.parquet"], folder / "views", settings, SEED)


def verdicts(audit: Audit) -> dict[str, str]:
    return {f.reading: f.verdict for f in audit.worst()}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("clean"), "none")


@pytest.mark.parametrize("leak", FOUND_BY)
def test_a_planted_leak_is_found_where_it_is(tmp_path: Path, leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "LEAST_QUESTIONS", 600)
    audit = audited(plant(tmp_path, leak, 600))
    must, may = FOUND_BY[leak]
    leaks = {reading for reading, verdict in verdicts(audit).items() if verdict == "leak"}
    assert must in leaks <= may | {must}
    found = next(f for f in audit.too_large() if f.reading == must)
    worst, said = audit.too_large()[0], complaint(audit)
    assert found.accuracy > 0.65
    assert f"kind orbit are answered without reasoning about space: probe {worst.reading} has {100 * worst.accuracy:.1f} % right where guessing has" in said
    assert f"build_qa.audit.probes.{worst.probe} (0.05) allows" in said and "\n" not in said and "**leak**" in audit_table(audit)


def test_clean_questions_pass(clean: Path) -> None:
    probes = {name: allowed for name, allowed in SETTINGS.probes.items() if name != "pixels"}
    audit = audited(clean, replace(SETTINGS, learners=tuple(LEARNERS), probes=probes))
    assert "leak" not in verdicts(audit).values() and not complaint(audit)
    assert [verdicts(audit)[reading] for reading in ("text", "alone, picture 1", "alone, picture 2", "same_twice")] == ["at chance"] * 4
    assert audit.n_questions == {"orbit": 2400} and len(audit.findings) == 2 * len(audit.worst())
    for f in audit.findings:
        assert f.low < f.accuracy < f.high and f.n == (2400 if f.probe not in COMPARING else sum(n for n, _ in list(f.by_cue.values())[:2]))
        n, right = zip(*((n, n * a) for n, a in f.by_cue.values() if n), strict=True)
        assert sum(right) / sum(n) == pytest.approx(f.accuracy, abs=1e-3)


def test_who_has_a_right_to_know_is_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "LEAST_QUESTIONS", 600)
    audit = audited(plant(tmp_path, "shift", 600, kind="turn"), replace(SETTINGS, probes={"text": 0.05, "shift": 0.05}))
    shift = next(f for f in audit.findings if f.probe == "shift")
    assert shift.verdict == "may know" and shift.accuracy > 0.9 and shift.p is None and not complaint(audit)
    assert may_know("place_2d", "alone", 2) and may_know("count", "alone", 1) and not may_know("count", "text", 1)
    assert not any(may_know("a kind of tomorrow", probe, 2) for probe in PROBES)
    assert may_know("vertical", "alone", 2) and not may_know("vertical", "shift", 2) and not may_know("vertical", "same_twice", 2)
    assert not any(may_know(kind, probe, 2) for kind in ("lateral", "orbit", "perspective", "front") for probe in PROBES)
    assert not any(may_know(kind, probe, 3) for kind in ("between", "arc_order") for probe in PROBES)


def test_too_few_questions_are_undecided(tmp_path: Path, clean: Path) -> None:
    few = tmp_path / "few.parquet"
    write_questions(few, read_questions(clean / "questions.parquet")[:2399])
    audit = audit_questions([few], clean / "views", SETTINGS, SEED)
    assert set(verdicts(audit).values()) == {"undecided"} and all(f.accuracy is None and f.n in (2399, *range(1500, 1700)) for f in audit.findings)
    assert "at least 2,400 of a kind are needed: orbit" in audit_table(audit) and not complaint(audit)


def test_the_same_questions_give_the_same_bytes(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "LEAST_QUESTIONS", 600)
    settings = replace(SETTINGS, learners=tuple(LEARNERS), probes={"colors": 0.05, "floor": 0.05}, n_questions=600)
    for name in ("a", "b"):
        write_json(tmp_path / name, audited(clean, settings).as_json())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text())["questions"] == {"orbit": 600}


def test_whole_scenes_are_drawn_by_the_seed_from_all_files(clean: Path, tmp_path: Path) -> None:
    every = read_questions(clean / "questions.parquet")
    parts = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_questions(parts[0], every[:1000])
    write_questions(parts[1], [replace(q, question_id=q.question_id + "x") for q in every[900:]])
    drawn = drawn_questions(parts, 500, SEED)["orbit"]
    assert 500 <= len(drawn) <= 501 and len({q.question_id for q in drawn}) == len(drawn)
    twice = {q.scene_id for q in every[900:1000]}
    asked = [q.scene_id for q in drawn]
    assert all(asked.count(scene) == (2 if scene in twice else 1) for scene in set(asked)) and set(asked) & twice
    assert drawn == drawn_questions(parts, 500, SEED)["orbit"] != drawn_questions(parts, 500, SEED + 1)["orbit"]


def test_answers_are_for_scenes_not_trained_on() -> None:
    """Rows of one scene that share a number and a label at random: only who met the scene knows."""
    rng = generator_for(1, "memory")
    scenes = np.repeat(np.arange(300), 4)
    X, y = rng.normal(size=(300, 1)).repeat(4, axis=0), rng.choice(["left", "right"], 300).repeat(4)
    folds = folds_by_scene(y, scenes, SEED)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(1200))
    assert all(not set(scenes[train]) & set(scenes[test]) for train, test in folds)
    assert abs(np.mean(held_out_answers("trees", X, y, folds, SEED) == y) - 0.5) < 0.08
    met = [(np.arange(1200), test) for _, test in folds]
    assert np.mean(held_out_answers("trees", X, y, met, SEED) == y) > 0.65


def test_intervals_hold_what_they_promise_when_there_is_nothing_to_learn() -> None:
    """Pairs asked in both orders with opposite answers, as the questions are: plain clustered errors are too small by a third, the audit's are not."""
    held, spread, errors = 0, [], []
    for run in range(40):
        rng = generator_for(run, "nothing")
        x, y = rng.normal(size=(200, 4)), rng.integers(0, 2, 200)
        scenes = np.tile(np.arange(200), 2)
        labels = np.array(["left", "right"])[np.concatenate([y, 1 - y])]
        right = held_out_answers("linear", np.concatenate([x, -x]), labels, folds_by_scene(labels, scenes, run), run) == labels
        mean = clustered_mean(right.astype(float).tolist(), [str(s) for s in scenes])
        spread.append(mean.mean)
        errors.append(mean.stderr)
        held += abs(mean.mean - 0.5) < 1.645 * FOLDS_TOGETHER * mean.stderr
    assert abs(np.mean(spread) - 0.5) < 0.02
    assert held / 40 >= 0.8
    assert np.std(spread) > 1.1 * np.mean(errors), "without the correction the interval would be too short"


@pytest.mark.parametrize("learner", LEARNERS)
def test_learners_do_with_what_is_missing(learner: str) -> None:
    rng = generator_for(2, "missing")
    y = rng.choice(["left", "right", "none"], 600)
    X = np.column_stack([np.where(y == "left", np.nan, rng.normal(size=600)), np.full(600, np.nan), np.ones(600)])
    answers = held_out_answers(learner, X, y, folds_by_scene(y, np.arange(600), SEED), SEED)
    assert np.mean((answers == "left") == (y == "left")) > 0.95


def test_bad_input_is_one_sentence(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        audit_questions([tmp_path / "none.parquet"], clean / "views", SETTINGS, SEED)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match=r"text.parquet is not a readable Parquet file"):
        audit_questions([tmp_path / "text.parquet"], clean / "views", SETTINGS, SEED)
    write_questions(tmp_path / "empty.parquet", [])
    with pytest.raises(UserError, match="hold no question to audit"):
        audit_questions([tmp_path / "empty.parquet"], clean / "views", SETTINGS, SEED)
    gone = [replace(q, view_ids=("scene-999999.v00", q.view_ids[1])) for q in read_questions(clean / "questions.parquet")]
    write_questions(tmp_path / "gone.parquet", gone)
    with pytest.raises(UserError, match=r"view scene-999999\.v00 is not in"):
        audit_questions([tmp_path / "gone.parquet"], clean / "views", SETTINGS, SEED)
    write_questions(tmp_path / "twice.parquet", [*gone, gone[0]])
    with pytest.raises(UserError, match=f"twice.parquet holds 2 questions with the id {re.escape(gone[0].question_id)}: give each"):
        read_questions(tmp_path / "twice.parquet")
    put_in_latin_1(tmp_path / "gone.parquet", "text")
    for read in (read_questions, lambda path: list(stream_questions(path))):
        with pytest.raises(UserError, match=r"gone.parquet is not a readable Parquet file: .* Invalid UTF8"):
            read(tmp_path / "gone.parquet")


AUDIT = {"probes": {"text": 0.05, "floor": 1.0}, "learners": ["linear"], "n_questions": 2400, "bound": 0.05, "n_ceiling": 0}


def test_the_stage_stores_the_audit_and_fails_beyond_its_limits(tmp_path: Path) -> None:
    questions = {"build_qa__n_questions_2d": 0, "build_qa__kinds": ["orbit"]}
    root = make_project(tmp_path / "project", 420, build_qa__audit=AUDIT, **questions)
    done = run_stage(root, "build_qa")
    assert done.returncode == 0, done.stderr
    found = json.loads((root / "outputs/build_qa/audit.json").read_text())
    by_probe = {f["probe"]: f for f in found["findings"]}
    assert by_probe["text"]["verdict"] == "at chance" and by_probe["floor"]["verdict"] == "leak"
    assert found["questions"]["orbit"] >= 2400
    card = (root / "outputs/build_qa/README.md").read_text()
    assert "## Shortcut audit" in card and "| orbit | text" in card

    again = make_project(tmp_path / "strict", 0, build_qa__audit=AUDIT | {"probes": {"floor": 0.01}}, **questions)
    (again / "outputs").symlink_to(root / "outputs")
    before = (root / "outputs/build_qa/manifest.json").read_bytes()
    done = run_stage(again, "build_qa")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert "probe floor has" in done.stderr and "build_qa.audit.probes.floor (0.01)" in done.stderr
    assert (root / "outputs/build_qa/manifest.json").read_bytes() == before
    assert list((again / "runs/build_qa").glob("*/out/audit.json"))


def test_the_command_audits_any_file_of_questions(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project", 0, build_qa__audit=AUDIT)
    monkeypatch.chdir(root)
    rows = read_questions(clean / "questions.parquet")
    write_questions(tmp_path / "told/all.parquet", [replace(q, text=f"{q.text} {q.label_of(q.truth)}") for q in rows])
    for folder, code in ((clean, 0), (tmp_path / "told", 1)):
        with pytest.raises(SystemExit) as ended:
            main(["audit", str(folder), "--views", str(clean / "views"), "--probes", "text"])
        said = capsys.readouterr().out
        assert ended.value.code == code and "| orbit | text" in said and "How to read it" in said
    assert "Questions of kind orbit are answered without reasoning about space: probe text has 100.0 % right" in said
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["audit", str(tmp_path / "nothing")])
    assert ended.value.code == 2 and "holds no questions" in capsys.readouterr().err


def test_the_settings_know_every_probe() -> None:
    assert tuple(PROBES) == AUDIT_PROBES


def test_no_probes_no_audit(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 40, build_qa__audit=AUDIT | {"probes": {}})
    assert run_stage(root, "build_qa").returncode == 0
    assert not (root / "outputs/build_qa/audit.json").exists() and "Shortcut audit" not in (root / "outputs/build_qa/README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probes": {"texts": 0.1}}, "build_qa.audit.probes names texts"),
        ({"probes": {"text": 1.5}}, "build_qa.audit.probes.text is 1.5"),
        ({"learners": []}, "build_qa.audit.learners is empty"),
        ({"n_questions": 100}, "build_qa.audit.n_questions is 100"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    done = run_stage(make_project(tmp_path / "project", 0, build_qa__audit=AUDIT | changes), "build_qa")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_the_cards_section_names_every_probe(clean: Path) -> None:
    section = audit_section(audited(clean, replace(SETTINGS, probes={"text": 0.05, "size": 0.05})))
    assert all(f"- {name}: {PROBES[name]}" in section for name in ("text", "size")) and "How to read it" in section


def test_of_kinds_about_things_probes_of_one_picture_may_know_and_words_may_not() -> None:
    for name, kind in KINDS_OF_THINGS.items():
        assert not may_know(name, "text", kind.n_pictures)
        assert all(may_know(name, probe, 1) for probe in PROBES if probe != "text") or kind.n_pictures == 2
    assert may_know("ego_movement", "shift", 2) and not may_know("object_moved", "shift", 2)
