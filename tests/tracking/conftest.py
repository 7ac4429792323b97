"""A temporary project with a real MLflow database (sqlite) in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from actial.machine import load_machine
from actial.params import load_params
from actial.shards import write_json
from tasks import body, run_facts, tracking

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, without a run: making them takes a second, so every test gets a copy."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    tracking.connect(f"sqlite:///{path}").search_experiments()
    return path


class Project:
    """The current folder, with stages that are run in this process and a dvc.lock that says what they made."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def client(self) -> Any:
        return tracking.connect(tracking.tracking_uri())

    def runs(self, where: str = "") -> list[Any]:
        """Oldest first."""
        return list(self.client.search_runs([tracking.experiment_id(tracking.tracking_uri())], where, order_by=["attributes.start_time ASC"]))

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
        write_json(folder / body.MANIFEST, {"stage": folder.name, "files": {}})
        self.lock(folder.name)

    def lock(self, stage: str) -> str:
        """Write the stage's entry of dvc.lock."""
        path = Path("dvc.lock")
        lock = yaml.safe_load(path.read_text()) if path.exists() else {"schema": "2.0", "stages": {}}
        spec = body.stage_spec(stage)
        md5 = lambda p: hashlib.md5((p / body.MANIFEST).read_bytes()).hexdigest() + ".dir"  # noqa: E731
        deps = [{"path": p.as_posix(), "md5": md5(p)} for p in spec.inputs.values() if p.exists()]
        lock["stages"][stage] = {"cmd": f"python -m tasks.{stage}", "deps": deps, "outs": [{"path": spec.out.as_posix(), "md5": md5(spec.out)}]}
        path.write_text(yaml.safe_dump(lock))
        return lock["stages"][stage]["outs"][0]["md5"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_database: Path) -> Project:
    for name in (tracking.SWITCH, tracking.PARENT_RUN, tracking.FLOW_RUN_URL, "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPO / "params.yaml", "params.yaml")
    stages = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
    for entry in stages.values():
        entry["deps"] = [d for d in entry.get("deps", []) if not d.endswith(".py")]
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    shutil.copytree(REPO / "profiles", "profiles")
    shutil.copy(blank_database, "mlflow.db")
    return Project(tmp_path)
