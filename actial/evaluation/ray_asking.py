"""Models asked by a Ray cluster: batch by batch, by one copy of the model on each of its GPUs, or on each node where it has none.

The batches are those of one process on this machine, so that the same is written beyond the rounding of another device. A batch goes to a node with its prompts
and its encoded pictures; a model that lies in a folder goes there, too, where the node does not have the same files at the same path, and one of the hub is
fetched there. Completions come back, and this process alone writes them down: what is lost with a node is the batch that it was asking, which is asked again
elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from tqdm import tqdm

from actial.cluster import folders
from actial.cluster.crew import Crew, connected, node_address, node_id, other_version, source_version
from actial.errors import UserError
from actial.evaluation.completions import append_completions
from actial.evaluation.generate import Batch, Interview, batches_of, complete_batch, device_name, load_for_asking, seen_in
from actial.machine import Machine
from actial.models.load import folder_sha256, load_processor
from actial.params import Model
from actial.shards import ViewStore, decode_picture

if TYPE_CHECKING:
    from PIL import Image

ATTEMPTS = 3
"""Times that a batch may be begun: nodes of a cluster come and go, but a batch that is too large ends them one after the other."""


@dataclass(frozen=True)
class _Task:
    interview: int
    """Place in the list of all."""
    batch: Batch


def hold_on_cluster(interviews: Sequence[Interview], model: Model, machine: Machine, views: Sequence[Path]) -> None:
    """Ask every model what it is to be asked, as `generate.hold` does.

    Raises:
        UserError: there is no cluster, it has no room, a node has another version of Actial or cannot load a model, or a batch ended all who asked it.
    """
    store = ViewStore(*views)
    tasks = [_Task(place, batch) for place, interview in enumerate(interviews) for batch in _batches(interview, model, store, machine.generate_rows)]
    if not tasks:
        return
    sources = [_absolute(interview.source) for interview in interviews]

    def what(task: _Task) -> tuple[str, Batch, dict[str, bytes]]:
        view_ids = dict.fromkeys(view_id for a in task.batch.asks for view_id in a.view_ids)
        return sources[task.interview], task.batch, {view_id: store.picture_bytes(view_id) or b"" for view_id in view_ids}

    with contextlib.ExitStack() as stack:
        bars = {
            place: stack.enter_context(tqdm(total=len(i.asks), unit="question", desc=f"ask {i.name}", mininterval=1, smoothing=0.1, position=place))
            for place, i in enumerate(interviews)
            if i.asks
        }
        stack.enter_context(connected(machine))
        crew = _crew(machine, model, sorted({sources[place] for place in bars}), len(tasks))
        crew.what = what
        for task, reply in stack.enter_context(contextlib.closing(crew.work(tasks))):
            log = interviews[task.interview].log
            if reply is None:
                raise UserError(
                    f"{len(task.batch.asks)} questions at once ended the actors of the Ray cluster that asked them, {ATTEMPTS} times: set machine setting "
                    f"generate_rows (now {machine.generate_rows}) to fewer; what came before is kept in {log}"
                )
            append_completions(log, reply["completions"])
            bars[task.interview].update(len(task.batch.asks))


def _batches(interview: Interview, model: Model, store: ViewStore, rows: int) -> list[Batch]:
    """The longest completions first, so that at the end nobody waits long for one."""
    if not interview.asks:
        return []
    return list(batches_of(load_processor(interview.source, model), interview.asks, store, rows))[::-1]


def _absolute(source: str) -> str:
    """A folder as it is called from anywhere; a hub id as it is."""
    return str(Path(source).resolve()) if Path(source).is_dir() else source


def _crew(machine: Machine, model: Model, sources: Sequence[str], n_tasks: int) -> Crew[_Task]:
    """One actor a GPU of the cluster, or one a node; fewer or, without GPUs, more where machine setting `workers` says so."""
    there = ray.cluster_resources()
    n_gpus = int(there.get("GPU", 0)) if machine.device != "cpu" else 0
    if machine.device == "cuda" and n_gpus == 0:
        raise UserError("machine setting device is cuda, but no node of the Ray cluster has a GPU: set it to auto or cpu")
    n_nodes = sum(node["Alive"] and node["Resources"].get("CPU", 0) >= machine.threads for node in ray.nodes())
    if n_nodes == 0:
        raise UserError(f"machine setting threads is {machine.threads}, but no node of the Ray cluster has as many CPUs: set it to fewer")
    n_actors = min(machine.workers or n_gpus, n_gpus) if n_gpus else machine.workers or n_nodes
    device = "cuda" if n_gpus else "cpu"
    return Crew(
        RayAsker,
        (model, device, machine.threads),
        code_version(),
        {source: folder_sha256(source) for source in sources if Path(source).is_dir()},
        n_actors=min(n_tasks, n_actors),
        n_cpus=machine.threads,
        n_gpus=1 if n_gpus else 0,
        attempts=ATTEMPTS,
        on_devices=_announce,
    )


def _announce(devices: list[str]) -> None:
    said = ", ".join(f"{n} cop{'ies' if n > 1 else 'y'} of the model on {device}" for device, n in sorted(Counter(devices).items()))
    print(f"evaluate: {said}", flush=True)


class RayAsker:
    """On a node: one model at a time, and what it has seen."""

    def __init__(self, model: Model, device: str, threads: int) -> None:
        self._model, self._device, self._threads = model, device, threads
        self._folder = Path(tempfile.mkdtemp(prefix="actial-"))
        self._moved: dict[str, str] = {}
        self._source: str | None = None
        self._pictures: dict[str, bytes] = {}

    def ready(self, version: str, checksums: dict[str, str]) -> dict[str, Any]:
        """Whether this node can take part, and which models it "needs": by their content, since checkpoints of one kind all have the same size."""
        needed = [folder for folder, sha256 in checksums.items() if not Path(folder).is_dir() or folder_sha256(folder) != sha256]
        return other_version(code_version(), version) or {"needs": needed}

    def take(self, names: list[str], *packed: dict[str, bytes]) -> dict[str, Any]:
        """Unpack models that this node needs."""
        for i, (name, files) in enumerate(zip(names, packed, strict=True)):
            self._moved[name] = str(self._folder / f"model-{i}")
            folders.unpack(files, Path(self._moved[name]))
        return {}

    def make(self, source: str, batch: Batch, pictures: dict[str, bytes]) -> dict[str, Any]:
        """Ask a model.

        Args:
            pictures: encoded, by view.

        Returns:
            {"completions": of the batch, "device": what it was asked on, "node": where}, or what is to be raised.
        """
        self._pictures = pictures
        try:
            self._load(source)
        except UserError as error:
            return {"mistake": f"on the Ray node {node_address()}: {error}"}
        completions = complete_batch(self._loaded, self._processor, batch, self._seen)
        return {"completions": completions, "device": device_name(self._device), "node": node_id()}

    def _load(self, source: str) -> None:
        if source == self._source:
            return
        self._source = self._loaded = self._processor = self._seen = None  # two models at once might not fit
        self._loaded, self._processor = load_for_asking(self._moved.get(source, source), self._model, self._device, self._threads)
        self._seen = seen_in(self._loaded, self._processor, self)
        self._source = source

    def picture(self, view_id: str) -> Image.Image:
        """One of those that came with the batch."""
        return decode_picture(self._pictures[view_id], view_id)

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def code_version() -> str:
    """Of the source that asks, and of the packages whose version shows in completions."""
    return source_version(("models/*.py", "evaluation/completions.py", "evaluation/generate.py"), ("torch", "transformers", "tokenizers", "numpy", "pillow"))
