"""Stage grpo: the SFT checkpoint, optimised on fresh questions: rewarded for the form, the right answer, and claims that are true."""

from __future__ import annotations

from actial.models.load import check_model_folder
from actial.shards import ViewStore
from actial.training.plan import TrainingPlan, completions_per_update, launch, split_batch, usable_rows
from tasks.body import Job, Made, main


def make(job: Job) -> Made:
    """Check checkpoint, settings and prompts, then train in processes of their own.

    Raises:
        UserError: something of this cannot be trained with.
        JobFailed: training broke; its last lines are in the message.
    """
    settings = job.params.grpo
    source = job.inputs["sft"] / "model"
    check_model_folder(source, "the SFT checkpoint")
    split_batch(completions_per_update(job.params), "the number of completions of an update of grpo", job.machine)
    rows, views = job.inputs["cold_start_mix"] / "rl.parquet", (job.inputs["render_views"] / "views", job.inputs["views"])
    n_rows, broken, refused = usable_rows(rows, ViewStore(*views), "user", settings.max_refused_share, "grpo.max_refused_share")
    plan = TrainingPlan(
        stage=job.stage,
        params=job.params,
        machine=job.machine,
        source=str(source),
        rows=str(rows),
        views=tuple(map(str, views)),
        broken_views=broken,
        out=str(job.out),
        scratch=str(job.scratch),
    )
    launch(plan, "actial.training.grpo")
    return Made({"prompts": n_rows, "rollouts": settings.rollouts}, refused, "rollouts.parquet")


if __name__ == "__main__":
    main("grpo", make)
