"""Several at once, and the sudden end of any of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from project import ALL, REPO, Flow, Project, change_sft, start_up, wait_for
from test_faults import FRESH

from actial.jobs import stop_job
from flows.servers import answers, free_port, wait_until_answers

REST = ["sft", "grpo", "evaluate"]


def test_two_flows_at_once(project: Project, changed: Project, flow: Flow) -> None:
    change_sft(project)
    project.hold("sft")
    first = project.start("flows.cli", "run", log="first")
    project.wait_until_held("sft")
    second = project.start("flows.cli", "run", log="second")
    wait_for(lambda: f"another flow (process {first.pid}) is at work" in project.log("second"), "the second flow to wait")
    project.release("sft")
    assert first.wait(120) == 0, project.log("first")
    assert second.wait(120) == 0, project.log("second")
    assert project.ran() == REST
    assert project.outputs() == changed.outputs()
    assert project.log("second").count(" Cached ") >= len(ALL)


def test_flow_and_bare_dvc_repro_at_once(project: Project, changed: Project, flow: Flow) -> None:
    change_sft(project)
    project.hold("sft")
    bare = project.start("dvc", "repro", log="bare")
    project.wait_until_held("sft")
    threading.Timer(4.0, lambda: project.release("sft")).start()
    states = flow()
    assert "stopped" not in states, states
    code = bare.wait(120)
    lost_the_lock = "Unable to acquire lock" in project.log("bare")
    assert code == 0 or "is busy, it is being blocked by" in project.log("bare") or lost_the_lock, project.log("bare")
    ran = project.ran()
    if lost_the_lock and ran.count("sft") == 2:
        ran.remove("sft")  # bare DVC could not note what it had made
    assert sorted(ran) == sorted(REST), "each body once"
    assert project.outputs() == changed.outputs()
    assert flow() == FRESH


@pytest.mark.parametrize("victim", ["flow", "dvc", "job"])
def test_sigkill(victim: str, project: Project, changed: Project, flow: Flow) -> None:
    change_sft(project)
    project.hold("sft")
    run = project.start("flows.cli", "run", log="run")
    job = project.wait_until_held("sft")
    dvc = next(p.pid for p in psutil.Process(run.pid).children(recursive=True) if "dvc" in p.cmdline())
    os.kill({"flow": run.pid, "dvc": dvc, "job": job}[victim], signal.SIGKILL)
    code = run.wait(60)
    assert code == (-signal.SIGKILL if victim == "flow" else 1), project.log("run")
    wait_for(lambda: not project.processes(), f"the end of {project.processes()}")
    project.release("sft")
    assert project.ran() == ["sft"]
    if victim == "job":
        assert "Failed: sft failed" in project.log("run")
    again = flow()
    assert again == FRESH | dict.fromkeys(REST, "Completed")
    assert project.ran() == REST
    assert project.outputs() == changed.outputs()
    assert "are up to date" in project.dvc("repro").stdout


def deploy(project: Project, *options: str) -> str:
    return project.run(sys.executable, "-m", "prefect", "deployment", "run", "actial/full-pipeline", *options).stdout


@pytest.mark.slow
def test_every_door_after_every_other(served: Project, made: Project) -> None:
    doors = {
        "prefect deployment run": lambda: deploy(served, "--watch"),
        "dvc repro": lambda: served.dvc("repro").stdout,
        "actial run": lambda: served.actial("run").stdout,
    }
    changes = (("render_views", {"n_scenes": 1001}, ALL), ("sft", {"max_steps": 1001}, REST), ("sft", {"max_steps": 1002}, REST))
    for (first, run), (section, values, expected) in zip(doors.items(), changes, strict=True):
        served.change_params(section, **values)
        run()
        assert served.ran() == expected, first
        for other, run_other in doors.items():
            if other == first:
                continue
            said = run_other()
            assert served.ran() == [], f"{other} after {first}"
            if other == "actial run":
                assert said.count(" Cached ") >= len(ALL)
                assert f"report: {os.path.join('runs', 'report', 'index.html')}" in said


@pytest.mark.slow
def test_cancel_from_prefect_leaves_no_process(served: Project) -> None:
    before = {p.pid for p in served.processes()}

    def of_the_run() -> list[str]:
        # the tracker is the deployment's: its first run ever starts it, and it stays
        said = []
        for process in served.processes():
            with contextlib.suppress(psutil.Error):  # it has just ended
                said += [] if process.pid in before else [" ".join(process.cmdline())]
        return [s for s in said if "multiprocessing.resource_tracker" not in s]

    served.change_params("sft", freeze_vision=False)
    served.hold("sft")
    said = deploy(served)
    flow_run = said.split("UUID: ")[1].split()[0]
    served.wait_until_held("sft")
    assert of_the_run()
    served.run(sys.executable, "-m", "prefect", "flow-run", "cancel", flow_run)
    wait_for(lambda: not of_the_run(), "all processes of the cancelled run to end")
    wait_for(lambda: "Cancelled" in served.run(sys.executable, "-m", "prefect", "flow-run", "inspect", flow_run).stdout, "state Cancelled")
    served.release("sft")
    served.ran()
    deploy(served, "--watch", "--params", json.dumps({"only": ["sft"]}))
    assert served.ran() == ["sft"]
    served.dvc("repro")


@pytest.mark.slow
def test_a_killed_up_leaves_nothing_behind(own_prefect: Project) -> None:
    """Neither its servers, nor what waits for runs, nor the run that it had started."""
    project = own_prefect
    change_sft(project)
    project.hold("sft")
    up = start_up(project)
    deploy(project)
    project.wait_until_held("sft")
    up.kill()
    up.wait()
    wait_for(lambda: not project.processes(), f"the end of {project.processes()}")
    assert project.ran() == ["sft"]


@pytest.mark.slow
def test_a_worker_of_a_work_pool_runs_the_deployment(own_prefect: Project, changed: Project) -> None:
    """As prefect.yaml says, with a server that serves no deployment of its own."""
    project = own_prefect
    shutil.copy(REPO / "prefect.yaml", project.root)
    shutil.copytree(REPO / "flows", project.root / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    change_sft(project)
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    project.env["PREFECT_API_URL"] = api_url
    server = project.start("prefect", "server", "start", "--port", str(port), log="server")
    try:
        wait_until_answers(api_url, server, "the server")
        prefect = lambda *command: project.run(sys.executable, "-m", "prefect", *command).stdout
        prefect("work-pool", "create", "local", "--type", "process")
        prefect("--no-prompt", "deploy", "--all")
        deploy(project)
        said = prefect("worker", "start", "--pool", "local", "--run-once")
        assert project.ran() == REST, said
        assert project.outputs() == changed.outputs()
    finally:
        stop_job(server)
    assert project.processes() == []


class Stranger(BaseHTTPRequestHandler):
    """Another server that was given a dead one's port: in good health, and it knows nothing of Prefect's pages."""

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/api/health" else 404)

    def do_POST(self) -> None:
        self._answer(404)

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(b"true")


@pytest.mark.slow
@pytest.mark.parametrize("port_is_taken", [False, True])
def test_a_server_that_is_not_there_and_one_that_dies(own_prefect: Project, changed: Project, port_is_taken: bool) -> None:
    project = own_prefect
    project.env |= {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "1"}
    change_sft(project)
    project.hold("sft")
    run = project.start("flows.cli", "run", log="run")
    project.wait_until_held("sft")
    assert project.log("run").splitlines()[0].startswith("no Prefect server answers at http://127.0.0.1:9/api: this run uses a temporary one")
    server = next(p for p in psutil.Process(run.pid).children() if "uvicorn" in p.cmdline())
    port = int(server.cmdline()[-1])
    server.kill()
    with ExitStack() as stack:
        if port_is_taken:
            wait_for(lambda: not answers(f"http://127.0.0.1:{port}/api"), "the server's end")
            stranger = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", port), Stranger))
            threading.Thread(target=stranger.serve_forever, daemon=True).start()
            stack.callback(stranger.shutdown)
        project.release("sft")
        assert run.wait(300) == 2, project.log("run")
    *before, last = project.log("run").splitlines()
    assert last.startswith("actial: error: the Prefect server at ") and "stopped answering" in last
    assert [line for line in before[1:] if "| INFO " not in line] == [], "Prefect says nothing of its own about it"
    assert project.processes() == []
    finished = project.ran()
    assert finished[:1] == ["sft"]
    project.dvc("repro")
    assert project.ran() == REST[len(finished) :]
    assert project.outputs() == changed.outputs()
