"""Serve the deployment `actial/full-pipeline`: `python -m flows.serve`, with a Prefect server running (`actial up` starts both)."""

from __future__ import annotations

from flows.pipeline import pipeline


def main() -> None:
    """Wait for runs of the deployment and start them here, one at a time."""
    pipeline.serve(name="full-pipeline", limit=1, description="render_views, build_qa, cold_start_mix, sft, grpo, evaluate; DVC says which of them run")


if __name__ == "__main__":
    main()
