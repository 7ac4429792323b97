"""Stage build_qa: views -> questions about pairs of views, with answers computed from geometry. `python -m tasks.build_qa`."""

from __future__ import annotations

from actial.questions.build import build_questions
from actial.questions.card import write_card
from actial.questions.scan import scan_scenes
from tasks import body


def make(job: body.Job) -> body.Made:
    """Write the four splits and the dataset card."""
    settings = job.params.build_qa
    built = build_questions(scan_scenes(job.inputs["render_views"] / "views"), job.out, settings, job.params.seed)
    write_card(job.out / "README.md", built, settings, job.params.seed)
    counts = {f"{name} questions": built.total(name) for name in built.n_scenes}
    return body.Made(counts=counts, refused=built.refused, look="README.md")


if __name__ == "__main__":
    body.main("build_qa", make)
