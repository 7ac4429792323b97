"""Questions spread over several real Ray nodes, one of which is killed on the way: the same completions as from this machine alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import Nodes, marked
from toy_evaluation import ROOT, make_project, program_environment, toy_questions, write_views

from actial.errors import UserError
from actial.evaluation.completions import Completion, CompletionLog, ask
from actial.machine import load_machine
from actial.params import load_params
from actial.prompts import prompt_messages
from actial.shards import ViewStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

TOKENS = {"think": 48, "direct": 8}
N_ASKS = 2 * 36


def run(project: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = program_environment(ACTIAL_GENERATE_ROWS="4", **settings)
    return subprocess.run([sys.executable, "-m", "tasks.evaluate"], cwd=project, env=env, capture_output=True, text=True, timeout=300, check=False)


def logs(project: Path) -> dict[str, dict[str, Completion]]:
    return {path.name: CompletionLog(path).known for path in (project / "runs/evaluate/records").iterdir()}


def files(project: Path) -> dict[str, bytes]:
    out = project / "outputs/evaluate"
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_cluster_that_loses_a_node_writes_the_same_completions(nodes: Nodes, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    here = make_project(tmp_path / "here", checkpoints["base"], {"sft": checkpoints["sft"]}, max_new_tokens=TOKENS)
    spread = shutil.copytree(here, tmp_path / "spread")
    done = run(here)
    assert done.returncode == 0, done.stderr

    nodes.tell("two")
    env = program_environment(ACTIAL_GENERATE_ROWS="4", **nodes.settings())
    with (
        (tmp_path / "told.txt").open("w+") as told,
        subprocess.Popen([sys.executable, "-m", "tasks.evaluate"], cwd=spread, env=env, stdout=subprocess.PIPE, stderr=told, text=True) as process,
    ):
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("evaluate: 2 copies"):
                assert line.strip() == "evaluate: 2 copies of the model on the CPU of 2 Ray nodes"
                nodes.tell("kill")
                written = [path.read_bytes().count(b"\n") for path in (spread / "runs/evaluate/records").iterdir()]
                assert sum(written) < 2 * N_ASKS, "on the way"
        assert process.wait() == 0, (tmp_path / "told.txt").read_text()
    assert any(line.startswith("evaluate: 2 copies") for line in said)
    assert logs(spread) == logs(here) and len(logs(here)) == 2
    assert files(spread) == files(here)

    log = max((spread / "runs/evaluate/records").iterdir())
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-5]))
    again = run(spread, **nodes.settings())
    assert again.returncode == 0, again.stderr
    assert [int(n) for n in re.findall(r"ask \w+: 100%.*?\| \d+/(\d+)", again.stderr)] == [5], "only what is missing is asked"
    assert logs(spread) == logs(here) and files(spread) == files(here)
    assert not any("RayAsker" in command for command in marked())


def test_a_model_goes_to_nodes_that_have_another_of_its_name(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Checkpoints of one kind differ in no file's size: they are told apart by content."""
    from actial.cluster import folders
    from actial.evaluation.ray_asking import RayAsker, code_version
    from actial.models.load import folder_sha256

    there = shutil.copytree(checkpoints["sft"], tmp_path / "model")
    asker = RayAsker(load_params(ROOT / "profiles" / "tiny.yaml").model, "cpu", 1)
    try:
        sums = {str(there): folder_sha256(there), str(checkpoints["base"]): folder_sha256(checkpoints["base"])}
        assert asker.ready(code_version(), sums) == {"needs": []}
        assert asker.ready(code_version(), sums | {str(there): folder_sha256(checkpoints["base"])}) == {"needs": [str(there)]}
        asker.take([str(there)], folders.pack(checkpoints["base"]))
        assert folder_sha256(asker._moved[str(there)]) == folder_sha256(checkpoints["base"])
        assert "another version of Actial" in asker.ready("0123456789ab", sums)["mistake"]
    finally:
        asker.close()
    assert not Path(asker._moved[str(there)]).exists()


def test_there_is_one_copy_a_gpu_or_a_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a cluster says of itself, and what is asked of it then: three nodes with eight CPUs, two of them with four GPUs, and one node that is gone."""
    import ray

    from actial.evaluation.ray_asking import _crew

    model = load_params(ROOT / "profiles" / "tiny.yaml").model
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0}} for _ in range(3)] + [{"Alive": False, "Resources": {"CPU": 8.0}}]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    there = {"CPU": 24.0, "GPU": 8.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: there)

    def taken(n_tasks: int = 100, **settings: Any) -> tuple[int, int, float]:
        crew = _crew(replace(load_machine(tmp_path), **settings), model, [], n_tasks)
        return crew.n_actors, crew.n_cpus, crew.n_gpus

    assert [taken(), taken(workers=2), taken(workers=20), taken(3)] == [(8, 1, 1), (2, 1, 1), (8, 1, 1), (3, 1, 1)]
    assert [taken(device="cpu", threads=8), taken(device="cpu", workers=20)] == [(3, 8, 0), (20, 1, 0)]
    there.pop("GPU")
    assert taken() == (3, 1, 0)
    with pytest.raises(UserError, match="device is cuda, but no node of the Ray cluster has a GPU"):
        taken(device="cuda")
    with pytest.raises(UserError, match="threads is 9, but no node of the Ray cluster has as many CPUs"):
        taken(threads=9)


@pytest.mark.parametrize(("installed", "said"), [(False, "the package ray is not installed"), (True, "no Ray cluster answers at 127.0.0.1:9 .*refused")])
def test_without_ray_or_its_cluster_there_is_a_sentence(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, said: str
) -> None:
    from actial.evaluation.generate import Interview, hold

    if not installed:
        monkeypatch.setitem(sys.modules, "ray", None)
    params = load_params(ROOT / "profiles" / "tiny.yaml")
    write_views(tmp_path / "views", 1)
    q = toy_questions(1)[0]
    asks = [ask(q, "think", prompt_messages(params.prompt, q, "think"), ViewStore(tmp_path / "views"), 4)]
    machine = replace(load_machine(tmp_path), launcher="ray", ray_address="127.0.0.1:9", device="cpu")
    with pytest.raises(UserError, match=said):
        hold([Interview("base", str(checkpoints["base"]), tmp_path / "log.jsonl", asks)], params.model, machine, [tmp_path / "views"])
    assert not (tmp_path / "log.jsonl").exists()
