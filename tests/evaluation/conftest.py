from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny base with random weights, and two others with its weights scaled: they write other things."""
    import shutil

    from safetensors.torch import load_file, save_file

    from actial.models.tiny import build

    folder = tmp_path_factory.mktemp("checkpoints")
    build(folder / "base")
    for name, scale in (("sft", 1.2), ("grpo", 1.4)):
        shutil.copytree(folder / "base", folder / name)
        weights = folder / name / "model.safetensors"
        save_file({key: tensor * scale for key, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    return {path.name: path for path in folder.iterdir()}
