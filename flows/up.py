"""`actial up`: Prefect's server, the deployment `full-pipeline` and MLflow's pages on localhost, until Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from actial.errors import UserError
from actial.jobs import exit_on_terminate, start_job, stop_job
from flows.servers import API_URL, POLL_S, QUIET, START_TIMEOUT_S, require_free_port, wait_until_answers
from tasks import run_log, versioning

LOGS = Path("runs/up")


def up(prefect_port: int, mlflow_port: int) -> int:
    """Start all three, wait until they answer, print where they are, and stop all on Ctrl-C or SIGTERM.

    Returns:
        The exit code 0 after Ctrl-C.

    Raises:
        UserError: a port is taken, or one of the three ended.
    """
    versioning.require_checkout()
    require_free_port(prefect_port, "--prefect-port")
    require_free_port(mlflow_port, "--mlflow-port")
    exit_on_terminate()
    runs = f"#/experiments/{run_log.experiment_id(run_log.tracking_uri())}/runs?workflowType=machine_learning"  # MLflow opens on its chat pages
    api_url, mlflow_url = f"http://127.0.0.1:{prefect_port}/api", f"http://127.0.0.1:{mlflow_port}"
    env = QUIET | {API_URL: api_url, "ACTIAL_MLFLOW_UI": mlflow_url}
    local = ["--host", "127.0.0.1", "--port"]
    with ExitStack() as stack:
        try:
            prefect = _start(stack, "prefect-server", ["-m", "prefect", "server", "start", *local, str(prefect_port)], env)
            store = ["--backend-store-uri", run_log.tracking_uri(), "--workers", "1"]
            mlflow = _start(stack, "mlflow", ["-m", "mlflow", "server", *local, str(mlflow_port), *store], env)
            wait_until_answers(api_url, prefect, f"Prefect's server ({LOGS}/prefect-server.log)")
            deployment = _start(stack, "deployment", ["-m", "flows.serve"], env)
            _wait_until_served(deployment)
            wait_until_answers(mlflow_url, mlflow, f"MLflow ({LOGS}/mlflow.log)")
            print(
                f"Prefect   http://127.0.0.1:{prefect_port}\nMLflow    {mlflow_url}/{runs}\nrun       prefect deployment run actial/full-pipeline", flush=True
            )
            if prefect_port != 4200:
                print(f"in other terminals first: export {API_URL}={api_url}", flush=True)
            print("Ctrl-C stops all three", flush=True)
            running = {"prefect-server": prefect, "mlflow": mlflow, "deployment": deployment}
            while True:
                time.sleep(POLL_S * 5)
                for name, child in running.items():
                    if child.poll() is not None:
                        raise UserError(f"{name} ended with exit code {child.returncode}, so all were stopped: {LOGS / name}.log says why")
        except KeyboardInterrupt:
            print("\nstopping", flush=True)
    return 0


def _start(stack: ExitStack, name: str, arguments: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("wb") as log:
        child = start_job([sys.executable, *arguments], env, log)
    stack.callback(stop_job, child)
    return child


def _wait_until_served(deployment: subprocess.Popen[bytes]) -> None:
    log, give_up_s = LOGS / "deployment.log", time.monotonic() + START_TIMEOUT_S
    while "being served" not in log.read_text(encoding="utf-8", errors="replace"):
        if deployment.poll() is not None or time.monotonic() > give_up_s:
            raise UserError(f"the deployment full-pipeline could not be served: {log} says why")
        time.sleep(POLL_S)
