"""What stands before the first `import ray`: Ray reads the environment when it is imported."""

from __future__ import annotations

import importlib
import os

from actial.errors import UserError
from actial.machine import Machine


def ray_or_refuse(machine: Machine) -> None:
    """Import Ray, with an environment in which it is silent and, where it is started here, listens on localhost alone; what is set already, stays.

    Raises:
        UserError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if (machine.ray_address or os.environ.get("RAY_ADDRESS")) is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on Linux, too: what is started here listens on localhost alone
        os.environ.setdefault("RAY_worker_niceness", "0")  # as local workers: else 15
    try:
        importlib.import_module("ray")
    except ImportError as error:
        if error.name != "ray":
            raise
        raise UserError("machine setting launcher is ray, but the package ray is not installed: `pip install 'actial[ray]'`, or set launcher: local") from None
