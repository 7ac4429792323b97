"""A benchmark's questions on disk, checked once: its pictures in shards of views, each stored once, its questions as JSON lines."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from actial import ids
from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Metric, Quantity, Refused
from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.published import published_files
from actial.evaluation.benchmarks.registry import Found
from actial.questions import external_files, external_rows
from actial.records import Camera, Question, View
from actial.shards import ViewWriter, view_folders

SHARD_MB = 256
VIEWS, ITEMS, REFUSED = "views", "items.jsonl", "refused.json"


@dataclass(frozen=True)
class Stored:
    """Questions that can be asked, and what their answers are worth."""

    name: str
    title: str
    version: str
    protocol: str
    fingerprint: str
    """Of the files they were read from, and of the code that read them."""
    items: tuple[Item, ...]
    """Without the bytes of their pictures."""
    views: tuple[Path, ...]
    """Folders of shards with the pictures."""
    refused: dict[str, int]
    """Rows that cannot be asked, by reason."""
    metrics: tuple[Metric, ...]
    primary: str


def stored(found: Found, folder: Path) -> Stored:
    """A benchmark's questions, read and checked where they are not yet in `folder`/<fingerprint>.

    Raises:
        UserError: a file is unreadable or lacks a column, or no row can be asked.
    """
    benchmark = found.benchmark
    fingerprint = _fingerprint(found)
    place = folder / fingerprint
    if not place.exists():
        unfinished = place.with_name(f".{fingerprint}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _store(found, unfinished)
        unfinished.rename(place)
    items = tuple(_item_of(json.loads(line)) for line in (place / ITEMS).read_text(encoding="utf-8").splitlines())
    refused = json.loads((place / REFUSED).read_text(encoding="utf-8"))
    return _stored(benchmark, fingerprint, items, refused, (place / VIEWS,))


def stored_as_it_is(found: Found) -> Stored:
    """The questions of the project's own test, whose pictures lie in shards already.

    Raises:
        UserError: a file is unreadable, or no question can be asked.
    """
    items, refused = list[Item](), Counter[str]()
    for row in found.benchmark.items(found.folder):
        if isinstance(row, Refused):
            refused[row.reason] += 1
        else:
            items.append(row.without_pictures())
    _refuse_nothing(found, len(items), refused)
    return _stored(found.benchmark, _fingerprint(found), tuple(items), dict(sorted(refused.items())), view_folders(found.folder))


def _stored(benchmark: Benchmark, fingerprint: str, items: tuple[Item, ...], refused: dict[str, int], views: tuple[Path, ...]) -> Stored:
    about = (benchmark.name, benchmark.title, benchmark.version, benchmark.protocol)
    return Stored(*about, fingerprint, items, views, refused, benchmark.metrics, benchmark.primary)


def _fingerprint(found: Found) -> str:
    """Of everything that the stored questions depend on."""
    benchmark = found.benchmark
    code = [*Path(__file__).parent.glob("*.py"), Path(external_rows.__file__), Path(external_files.__file__)]
    digest = hashlib.sha256(f"{benchmark.name}\0{benchmark.version}\n".encode())
    for path in [*sorted(code), *published_files(benchmark.title, found.folder, benchmark.files, at_least_one=benchmark.at_least_one)]:
        with path.open("rb") as data:
            digest.update(f"{path.name}\0{hashlib.file_digest(data, 'sha256').hexdigest()}\n".encode())
    for path in sorted(path for pattern in benchmark.beside for path in found.folder.glob(pattern)):  # gigabytes: not read for this
        digest.update(f"{path.name}\0{path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
    return f"{benchmark.name}-{digest.hexdigest()[:16]}"


def _store(found: Found, folder: Path) -> None:
    refused: Counter[str] = Counter()
    folder.mkdir(parents=True)
    rows = tqdm(found.benchmark.items(found.folder), unit="row", desc=f"read {found.benchmark.title}", mininterval=1)
    with (folder / ITEMS).open("w", encoding="utf-8") as lines, ViewWriter(folder / VIEWS, SHARD_MB) as writer:
        n_items = _write(rows, found.benchmark, lines, writer, refused)
    _refuse_nothing(found, n_items, refused)
    (folder / REFUSED).write_text(json.dumps(dict(sorted(refused.items()))), encoding="utf-8")


def _refuse_nothing(found: Found, n_items: int, refused: Counter[str]) -> None:
    if not n_items:
        said = ", ".join(f"{n:,} with {reason}" for reason, n in refused.most_common(3))
        raise UserError(f"not one of {refused.total():,} rows of {found.benchmark.title} in {found.folder} can be asked ({said}): make or fetch it again")


def _write(rows: Iterable[Item | Refused], benchmark: Benchmark, lines: Any, writer: ViewWriter, refused: Counter[str]) -> int:
    n_items, scenes = 0, set[str]()
    for row in rows:
        if isinstance(row, Refused):
            refused[row.reason] += 1
            continue
        scene_id = row.question.scene_id
        if scene_id not in scenes:
            scenes.add(scene_id)
            for i, (data, size_px) in enumerate(zip(row.pictures, row.sizes_px, strict=True)):
                writer.add(View(ids.view_id(scene_id, i), scene_id, Camera(*size_px, K=(), T_world_cam=None), (), benchmark.name, benchmark.licence), data)
        lines.write(json.dumps(asdict(row.without_pictures()), ensure_ascii=False) + "\n")
        n_items += 1
    return n_items


def _item_of(row: dict[str, Any]) -> Item:
    asked: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row["question"].items()}
    written = row["number"]
    number = None if written is None else CameraMove(tuple(written["amounts"])) if "amounts" in written else Quantity(**written)
    sizes_px = tuple((width, height) for width, height in row["sizes_px"])
    return Item(**row | {"question": Question(**asked), "number": number, "pictures": (), "sizes_px": sizes_px})
