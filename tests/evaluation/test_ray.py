"""Questions spread over several real Ray nodes, one of which is killed on the way: the same completions as from this machine alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_nodes import Nodes, marked, ray_nodes
from toy_evaluation import make_project, program_environment

from actial.evaluation.completions import Completion, CompletionLog

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

TOKENS = {"think": 48, "direct": 8}
N_ASKS = 2 * 36


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes() as started:
        yield started


def run(project: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = program_environment(ACTIAL_GENERATE_ROWS="4", **settings)
    return subprocess.run([sys.executable, "-m", "tasks.evaluate"], cwd=project, env=env, capture_output=True, text=True, timeout=300, check=False)


def logs(project: Path) -> dict[str, dict[str, Completion]]:
    return {path.name: CompletionLog(path).known for path in (project / "runs/evaluate/records").iterdir()}


def files(project: Path) -> dict[str, bytes]:
    out = project / "outputs/evaluate"
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_cluster_that_loses_a_node_writes_the_same_completions(nodes: Nodes, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """One of the models is not where the nodes could see it: it is sent."""
    here = make_project(tmp_path / "here", checkpoints["base"], {"sft": checkpoints["sft"]}, max_new_tokens=TOKENS)
    spread = shutil.copytree(here, tmp_path / "spread")
    done = run(here)
    assert done.returncode == 0, done.stderr

    refused = run(spread, **nodes.settings() | {"ACTIAL_DEVICE": "cuda"})
    assert refused.returncode == 2 and "device is cuda, but no node of the Ray cluster has a GPU" in refused.stderr
    refused = run(spread, **nodes.settings() | {"ACTIAL_THREADS": "8"})
    assert refused.returncode == 2 and "threads is 8, but no node of the Ray cluster has as many CPUs" in refused.stderr
    assert logs(spread) == {}

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
                nodes.kill_one()
                assert sum(map(len, logs(spread).values())) < 2 * N_ASKS, "on the way"
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
    from actial.params import load_params

    there = shutil.copytree(checkpoints["sft"], tmp_path / "model")
    asker = RayAsker(load_params(Path(__file__).parents[2] / "profiles" / "tiny.yaml").model, "cpu", 1)
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


@pytest.mark.parametrize(("package", "said"), [(False, "the package ray is not installed"), (True, "no Ray cluster answers at 127.0.0.1:9")])
def test_without_ray_or_its_cluster_there_is_a_sentence(checkpoints: dict[str, Path], tmp_path: Path, package: bool, said: str) -> None:
    project = make_project(tmp_path / "project", checkpoints["base"], {})
    if not package:
        (tmp_path / "ray.py").write_text("raise ImportError(name='ray')\n")
    done = run(project, ACTIAL_LAUNCHER="ray", ACTIAL_RAY_ADDRESS="127.0.0.1:9", PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert done.returncode == 2 and said in done.stderr
    assert done.stderr.count("machine setting") == 1
