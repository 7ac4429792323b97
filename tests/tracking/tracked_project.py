"""A temporary project whose stages run in this process, with a real MLflow database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from actial.evaluation.score import Asked, score, verdict_of
from actial.json_files import write_json
from actial.machine import load_machine
from actial.params import load_params
from actial.prompts import completion_text, prompt_sha
from actial.records import Mode, Question, Verdict
from tasks import body, run_facts, run_log, tracking
from tasks.evaluate import write_records, write_scores

REPO = Path(__file__).resolve().parents[2]
MODES: tuple[Mode, ...] = ("think", "direct")


class Project:
    """The current folder, with stages that are run in this process and a dvc.lock that says what they made."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def client(self) -> Any:
        return run_log.connect(run_log.tracking_uri())

    def runs(self, where: str = "") -> list[Any]:
        """Oldest first."""
        return list(self.client.search_runs([run_log.experiment_id(run_log.tracking_uri())], where, order_by=["attributes.start_time ASC"]))

    def job(self, stage: str) -> body.Job:
        spec, params = body.stage_spec(stage), load_params("params.yaml")
        scratch = body.RUNS / stage / f"{len(self.runs()):016x}"
        out = scratch / "out"
        out.mkdir(parents=True)
        return body.Job(stage, params, load_machine(), spec.inputs, out, scratch)

    def run_stage(self, stage: str, make: Callable[[Path], None] = lambda out: None, counts: dict[str, int] | None = None) -> None:
        """What body.run does around a body, and what DVC does when it has ended."""
        for producer in body.stage_spec(stage).inputs.values():
            if not producer.exists():
                self.make_input(producer)
        job = self.job(stage)
        with tracking.stage_run(job) as finish:
            make(job.out)
            made = body.Made(counts or {"things": 3}, {"too dark": 1}, "")
            body.write_manifest(job.out, stage, job.params, made)
            finish(made)
        body.move_into_place(job.out, body.stage_spec(stage).out)
        self.lock(stage)

    def make_input(self, folder: Path) -> None:
        """What an earlier stage would have left: the tables that are tracked as data sets, and a manifest."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name in {table for uses in run_facts.TABLES.values() for producer, table, _ in uses if producer == folder.name and table.endswith(".parquet")}:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"question_id": ["a", "b"]}), folder / name)
        write_json(folder / body.MANIFEST, {"stage": folder.name, "files": {}, "made": {}, "refused": {}, "seed": 7, "versions": {}})
        self.lock(folder.name)

    def lock(self, stage: str) -> str:
        """Write the stage's entry of dvc.lock."""
        path = Path("dvc.lock")
        lock = yaml.safe_load(path.read_text()) if path.exists() else {"schema": "2.0", "stages": {}}
        spec = body.stage_spec(stage)
        md5 = lambda p: hashlib.md5((p / body.MANIFEST).read_bytes()).hexdigest() + ".dir"
        deps = [{"path": p.as_posix(), "md5": md5(p)} for p in spec.inputs.values() if p.exists()]
        lock["stages"][stage] = {"cmd": f"exec python -m tasks.{stage}", "deps": deps, "outs": [{"path": spec.out.as_posix(), "md5": md5(spec.out)}]}
        path.write_text(yaml.safe_dump(lock))
        return lock["stages"][stage]["outs"][0]["md5"]


def toy_questions() -> list[Question]:
    """Twelve questions about four scenes, half of them tied in pairs."""
    questions = []
    for i in range(12):
        scene, kind = f"scene-{i // 3:06d}", ("orbit", "translation", "turn")[i % 3]
        views = (f"{scene}.v00", f"{scene}.v01")
        truth, tied = "ABC"[i % 3], "" if kind == "turn" else "lateral"
        options, labels = ("to the left", "to the right", "neither"), ("left", "right", "none")
        place = (f"{views[0]}-v01.{kind}", kind, f"{scene}.v00-v01", views)
        questions.append(Question(*place, "Which way?", options, labels, truth, "turn_deg", 20.0, 1.0, scene, tied, "boxes"))
    return questions


def evaluation(right: Mapping[str, Sequence[int]]) -> Callable[[Path], None]:
    """A body of `evaluate`: by model, the places of the questions that it answers rightly; the others get an unreadable answer or a wrong one."""

    def make(out: Path) -> None:
        params = load_params("params.yaml")
        questions, sha = toy_questions(), prompt_sha(params.prompt)
        verdicts: dict[tuple[str, Mode], list[Verdict]] = {}
        for model, places in right.items():
            for mode in MODES:
                texts = [
                    completion_text(mode, q.truth, "so") if i in places else ("no idea" if i % 2 else "<answer>A</answer>") for i, q in enumerate(questions)
                ]
                verdicts[model, mode] = [verdict_of(q, model, mode, text, 3, sha) for q, text in zip(questions, texts, strict=True)]
        write_records(out, list(verdicts.values()))
        write_scores(out, score(questions, Asked(verdicts), {}, params.evaluate, root_seed=7))

    return make
