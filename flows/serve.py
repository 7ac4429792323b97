"""Serve the deployment `actial/full-pipeline`: `python -m flows.serve`, with a Prefect server running (`actial up` starts both)."""

from __future__ import annotations

from prefect.types.entrypoint import EntrypointType

from flows.pipeline import pipeline


def main() -> None:
    """Wait for runs of the deployment and start them here, one at a time."""
    pipeline.serve(
        name="full-pipeline",
        description="render_views, build_qa, cold_start_mix, sft, grpo, evaluate; DVC says which of them run",
        limit=1,
        entrypoint_type=EntrypointType.MODULE_PATH,  # wherever the package is installed; the runs work in this folder
    )


if __name__ == "__main__":
    main()
