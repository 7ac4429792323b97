from pathlib import Path

from tasks import body
from toy.body import make_with

EFFECT = "1"


def make(job: body.Job) -> body.Made:
    """As every toy stage, and a part of its output that later stages read by itself."""
    made = make_with(EFFECT)(job)
    views = Path(job.out / "views")
    views.mkdir()
    (views / "digest.txt").write_text((job.inputs["external"] / "README.md").read_text())
    return made


if __name__ == "__main__":
    body.main("build_qa", make)
