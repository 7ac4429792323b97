"""Shared by all tests: no hub, one thread a process."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from ray_nodes import Nodes, ray_nodes

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ |= {"HF_HUB_OFFLINE": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "TOKENIZERS_PARALLELISM": "false"}

hypothesis.settings.register_profile("here", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """A Ray cluster for all tests that need one, as far as they are in its group."""
    with ray_nodes() as started:
        yield started
