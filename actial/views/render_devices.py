"""Which device a rendering process takes, of those that Cycles found: plain data in, a choice out."""

from __future__ import annotations

from dataclasses import dataclass

from actial.errors import UserError

GPU_KINDS = ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL")
"""Cycles' words, the fastest first where one GPU answers to several."""


@dataclass(frozen=True, slots=True)
class RenderDevice:
    """A device as Cycles names it; one GPU may be there once for OptiX and once for CUDA."""

    name: str
    kind: str
    """One of `GPU_KINDS`, or CPU."""
    id: str


def gpus_of(devices: list[RenderDevice], wanted: str) -> list[RenderDevice]:
    """The GPUs to render on; none for the CPU.

    `wanted` is machine setting `render_device`: auto, cpu, or a kind of GPU in small letters.

    Raises:
        UserError: a kind of GPU is asked for that is not there.
    """
    if wanted == "cpu":
        return []
    for kind in GPU_KINDS if wanted == "auto" else (wanted.upper(),):
        if found := [d for d in devices if d.kind == kind]:
            return found
    if wanted == "auto":
        return []
    there = ", ".join(sorted({f"{d.name} ({d.kind})" for d in devices})) or "nothing"
    raise UserError(
        f"machine setting render_device is {wanted}, but Blender finds no such device here, only {there}: set it to auto or cpu, or install the GPU's driver"
    )
