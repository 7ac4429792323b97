"""Stage sft: the base model, fine-tuned on conversations."""

from __future__ import annotations

from actial.models.load import check_base
from actial.shards import ViewStore
from actial.training.plan import TrainingPlan, launch, split_batch, usable_rows
from tasks.body import Job, Made, main


def make(job: Job) -> Made:
    """Check base, settings and conversations, then train in processes of their own.

    Raises:
        UserError: something of this cannot be trained with.
        JobFailed: training broke; its last lines are in the message.
    """
    settings = job.params.sft
    check_base(job.params.model)
    split_batch(settings.batch_rows, "sft.batch_rows", job.machine)
    rows, views = job.inputs["cold_start_mix"] / "sft.parquet", (job.inputs["render_views"] / "views", job.inputs["views"])
    n_rows, broken, refused = usable_rows(rows, ViewStore(*views), "assistant", settings.max_refused_share, "sft.max_refused_share")
    plan = TrainingPlan(
        stage=job.stage,
        params=job.params,
        machine=job.machine,
        source=job.params.model.base,
        rows=str(rows),
        views=tuple(map(str, views)),
        broken_views=broken,
        out=str(job.out),
        scratch=str(job.scratch),
    )
    launch(plan, "actial.training.sft")
    return Made({"conversations": n_rows}, refused, "model/README.md")


if __name__ == "__main__":
    main("sft", make)
