"""Prefect servers: whether the configured one answers, and a temporary one for a run without."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from actial.errors import UserError
from actial.jobs import start_job, stop_job

API_URL = "PREFECT_API_URL"
START_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 5.0
POLL_S = 0.2

TEMPORARY = "ACTIAL_TEMPORARY_PREFECT"
"""Set where the server ends with this process, so that no lasting record links to its pages."""

QUIET = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Environment of every server started here: nothing leaves this machine, and MLflow starts no job runners that nobody uses."""


@dataclass(frozen=True)
class Reached:
    """The Prefect server of a run."""

    api_url: str
    own: subprocess.Popen[bytes] | None
    """Its process, where it ends with this one."""

    def is_there(self) -> bool:
        """Whether it answers. Where its own process has ended, somebody else may have been given its port."""
        return (self.own is None or self.own.poll() is None) and answers(self.api_url)


def reach_prefect_server() -> Reached:
    """Put the address of a Prefect API that answers into the environment: the configured one, or else a temporary one on this machine.

    Prefect must not have been imported before: it reads its settings then. The temporary server ends with this process.

    Raises:
        UserError: the temporary server did not start.
    """
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")  # a server that died is noticed in seconds, not minutes
    configured = configured_api_url()
    if configured and answers(configured):
        os.environ[API_URL] = configured
        return Reached(configured, None)
    if configured:
        print(f"no Prefect server answers at {configured}: this run uses a temporary one (`actial up` starts a lasting one)", flush=True)
    port = free_port()
    os.environ |= {API_URL: f"http://127.0.0.1:{port}/api", TEMPORARY: "1"} | QUIET
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--log-level", "error", "--lifespan", "on"]
    server = start_job(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"},
        stdout=subprocess.DEVNULL,
    )
    atexit.register(stop_job, server)  # before Prefect registers what delivers its last logs, so it runs after that
    import prefect  # noqa: F401  # takes seconds, while the server starts

    wait_until_answers(os.environ[API_URL], server, "the temporary Prefect server")
    return Reached(os.environ[API_URL], server)


def configured_api_url() -> str:
    """Prefect's address from the environment or `prefect.toml`; empty where none is set."""
    if API_URL in os.environ:
        return os.environ[API_URL]
    path = Path("prefect.toml")
    return str(tomllib.loads(path.read_text(encoding="utf-8")).get("api", {}).get("url", "")) if path.exists() else ""


def answers(api_url: str, path: str = "/health") -> bool:
    """Whether a server answers there. On this machine it must be a Prefect server: others use port 4200 too."""
    try:
        with urllib.request.urlopen(api_url + path, timeout=ANSWER_TIMEOUT_S) as answer:
            said = answer.read(100).strip()
    except urllib.error.HTTPError:
        return "//127.0.0.1" not in api_url and "//localhost" not in api_url  # it wants a key: Prefect will tell
    except (OSError, ValueError):
        return False
    return said in (b"true", b"OK")


def wait_until_answers(url: str, server: subprocess.Popen[bytes], name: str, path: str = "/health") -> None:
    """Wait for a server that was just started.

    Raises:
        UserError: it ended, or did not answer in time.
    """
    give_up_s = time.monotonic() + START_TIMEOUT_S
    while not answers(url, path):
        if server.poll() is not None:
            raise UserError(f"{name} ended at start with exit code {server.returncode}: run `prefect server start` to see why")
        if time.monotonic() > give_up_s:
            raise UserError(f"{name} did not answer at {url} within {START_TIMEOUT_S:.0f} s: try again when this machine is less busy")
        time.sleep(POLL_S)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_free_port(port: int, option: str) -> None:
    """Check that nobody listens on a port of this machine.

    Raises:
        UserError: somebody does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} of 127.0.0.1 is taken ({error.strerror}): stop what listens there, or choose another with {option}") from None
