"""What the toy stages share. A stage's output is a digest of its params section and its inputs, in a few files.

What really ran is noted in `ran.log`, outside of the outputs. A body gives out, too, what lies in `runs/give-<stage>`. It waits while
`runs/hold-<stage>` exists, with a child of its own, and refuses to work while `runs/refuse-<stage>` exists.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from actial.errors import UserError
from actial.jobs import run_job
from actial.json_files import write_json
from tasks import body


def make_with(effect: str) -> Callable[[body.Job], body.Made]:
    def make(job: body.Job) -> body.Made:
        with Path("ran.log").open("a") as log:
            log.write(f"{job.stage}\n")
        if Path(f"runs/refuse-{job.stage}").exists():
            raise UserError(f"{job.stage} refuses: runs/refuse-{job.stage} exists; remove it")
        hold = Path(f"runs/hold-{job.stage}")
        if hold.exists():
            Path(f"runs/holding-{job.stage}").write_text(str(os.getpid()))
            run_job([sys.executable, "-c", f"import os, time\nwhile os.path.exists({str(hold)!r}): time.sleep(0.05)"], print)
        section = json.dumps(body.plain(getattr(job.params, job.stage)), sort_keys=True)
        inputs = "".join(
            (folder / "digest.txt").read_text() for name, folder in job.inputs.items() if name not in ("assets", "captures", "external", "benchmarks")
        )
        digest = hashlib.sha256((effect + section + str(job.params.seed) + inputs).encode()).hexdigest()
        (job.out / "digest.txt").write_text(digest)
        write_json(job.out / "metric.json", {"accuracy": int(digest[:4], 16) / 65536})
        for given in Path(f"runs/give-{job.stage}").glob("*.json"):
            shutil.copy(given, job.out)
        print(f"{job.stage} is at work")
        return body.Made({"digests": 1}, {}, "digest.txt")

    return make
