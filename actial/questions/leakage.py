"""Whether pictures that questions for training show are also in a benchmark, or in our own test: by perceptual hash, and by the ids of assets.

Two pictures count as the same when their 64-bit perceptual hashes (`cv2.img_hash.pHash`: signs of low frequencies of the cosine transform) differ in at most
`MOST_BITS` bits. Measured on 2,300 rendered pictures of 112 px: shrunk to 70 % and encoded as JPEG of quality 60 they differ in 0 bits (median), 3 (99th
percentile) and 4 (largest). Of the 1.4 million pairs of different scenes none differs in 4 or fewer, 8 in at most 6, 44 in at most 8. Pictures that were
cropped, turned or mirrored are not found. Views of one scene look alike, those of similar scenes, too: pictures are compared between data sets and benchmarks
only, never within what was made here.
"""

from __future__ import annotations

import base64
import binascii
import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from actial.errors import UserError
from actial.questions.external_files import batches, open_parquet
from actial.shards import ViewStore

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BITS = 4
MADE_HERE, OUR_TEST = "made here", "our test"
LEAST_CONTRAST = 3.0
"""Standard deviation of the gray values, 0 to 255, below which a picture shows too little to be known again."""
AT_ONCE = 4096
"""Pictures compared at a time."""
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")
_CELL_CHARS = 1 << 30
_HASH_PX = 32

Named = tuple[str, bytes]
"""A picture: its name, its encoded bytes."""


@dataclass(frozen=True)
class Hashed:
    """The pictures of a data set, of a benchmark or of our test by their hashes; 8 bytes and a name each are what stays in memory."""

    name: str
    pictures: tuple[str, ...]
    """Names of those that can be compared."""
    hashes: np.ndarray
    """(n, 8) uint8."""
    n_not_compared: int
    """Pictures that do not open or show too little."""


@dataclass(frozen=True)
class Leak:
    """A picture shown in training, and one that is the same or shows the same asset."""

    data_set: str
    view_id: str
    reference: str
    picture: str
    by: str
    """`picture` or `asset`."""
    bits: int | None
    """Bits in which the hashes differ; None where it was the asset."""


@dataclass(frozen=True)
class Leakage:
    """What was compared with what, and what was found."""

    compared: Sequence[tuple[Hashed, Sequence[Hashed]]]
    """Pictures of each data set, and what they were compared with."""
    leaks: Sequence[Leak]

    def n_leaks(self) -> Counter[tuple[str, str]]:
        """Pictures of each data set that are in each reference, however found out."""
        return Counter((data_set, of) for data_set, _, of in {(leak.data_set, leak.view_id, leak.reference) for leak in self.leaks})

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a file of deterministic bytes."""
        said = lambda of: {"pictures": len(of.pictures), "not_compared": of.n_not_compared}
        compared = {shown.name: said(shown) | {"with": {of.name: said(of) for of in references}} for shown, references in self.compared}
        return {"most_bits": MOST_BITS, "compared": compared, "leaks": [asdict(leak) for leak in self.leaks]}


def find_leaks(made: ViewStore, shown: Mapping[str, Collection[str]], outside: ViewStore, scenes: Mapping[str, str], root: Path) -> Leakage:
    """Compare pictures for training with every benchmark on disk, and those from outside with our test, too.

    Args:
        made: views made here.
        shown: ids of those that questions show, by split.
        outside: views of data sets from outside; all are for training.
        scenes: what a data set calls its scenes, by our id.
        root: folder of benchmarks.

    Raises:
        UserError: a file of a benchmark is damaged.
    """
    external: dict[str, list[str]] = {}
    for view in outside:
        external.setdefault(view.source, []).append(view.view_id)
    found = [hashed(name, benchmark_pictures(path)) for name, path in benchmarks(root).items()]
    compared: list[tuple[Hashed, list[Hashed]]] = []
    leaks: list[Leak] = []
    if found:
        ours = {v for split in ("train", "rl") for v in shown[split]}
        compared.append((hashed(MADE_HERE, _pictures(made, ours)), found))
        leaks += same_assets(MADE_HERE, {v: made[v].source for v in sorted(ours)}, found)
    tested = [hashed(OUR_TEST, _pictures(made, shown["test"], with_source=True))] if external else []
    for name, view_ids in sorted(external.items()):
        compared.append((hashed(name, _pictures(outside, set(view_ids))), found + tested))
        leaks += same_assets(name, {v: scenes[v.partition(".")[0]] for v in view_ids}, found + tested)
    leaks += [leak for of_data_set, references in compared for leak in same_pictures(of_data_set, references)]
    return Leakage(compared, sorted(leaks, key=lambda leak: (leak.data_set, leak.reference, leak.view_id, leak.by, leak.picture)))


def _pictures(store: ViewStore, wanted: Collection[str], with_source: bool = False) -> Iterator[Named]:
    """In the order stored."""
    for view_id in store.view_ids():
        if view_id in wanted:
            yield f"{store[view_id].source}/{view_id}" if with_source else view_id, store.picture_bytes(view_id) or b""


def perceptual_hash(data: bytes) -> np.ndarray | None:
    """(8,) uint8; None for a picture that does not open or shows too little."""
    gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if gray is None:
        return None
    small = cv2.resize(gray, (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    if small.std() < LEAST_CONTRAST:
        return None
    return cv2.img_hash.pHash(small)[0]


def hashed(name: str, pictures: Iterable[Named]) -> Hashed:
    """Hash pictures, one of them in memory at a time."""
    names, hashes, n_not = [], [], 0
    for picture, data in pictures:
        found = perceptual_hash(data)
        if found is None:
            n_not += 1
        else:
            names.append(picture)
            hashes.append(found)
    return Hashed(name, tuple(names), np.array(hashes, dtype=np.uint8).reshape(-1, 8), n_not)


def same_pictures(shown: Hashed, references: Sequence[Hashed]) -> Iterator[Leak]:
    """Pictures that are the same as one of a reference, with the nearest one of each."""
    for of in references:
        for start in range(0, len(shown.hashes) if len(of.hashes) else 0, AT_ONCE):
            part = shown.hashes[start : start + AT_ONCE]
            bits, places = cv2.batchDistance(part, of.hashes, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
            for i in np.flatnonzero(bits[:, 0] <= MOST_BITS):
                yield Leak(shown.name, shown.pictures[start + i], of.name, of.pictures[places[i, 0]], "picture", int(bits[i, 0]))


def same_assets(data_set: str, assets: Mapping[str, str], references: Sequence[Hashed]) -> Iterator[Leak]:
    """Views whose asset, capture or scene has an id that stands in the name of a reference's picture.

    Args:
        assets: name of what a view shows, by the view's id.
    """
    for of in references:
        picture_of = {part: picture for picture in of.pictures for part in asset_ids(picture)}
        for view_id, asset in assets.items():
            for part in sorted(asset_ids(asset) & picture_of.keys())[:1]:
                yield Leak(data_set, view_id, of.name, picture_of[part], "asset", None)


def asset_ids(name: str) -> set[str]:
    """The parts of a name that look like an id (at least six characters, digits among them, but not digits alone): words and counters are shared by chance."""
    parts = re.split(r"[/\\.\s]+", name.lower())
    return {part for part in parts if len(part) >= 6 and any(c.isdigit() for c in part) and not part.isdigit()}


# ------------------------------------------------------------------------------------------------ benchmarks on disk


def benchmarks(root: Path) -> dict[str, Path]:
    """What lies directly in a folder of benchmarks, by name: a folder or a file each, but no note of DVC. Empty where there is no such folder."""
    return {path.stem: path for path in sorted(root.iterdir()) if not path.name.startswith(".") and path.suffix != ".dvc"} if root.is_dir() else {}


def benchmark_pictures(path: Path) -> Iterator[Named]:
    """The pictures of a benchmark: picture files, columns of Parquet files (however deep), and base64 in the cells of VLMEvalKit's TSV files.

    Raises:
        UserError: a file is damaged.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        name = file.relative_to(path.parent).as_posix()
        if file.suffix.lower() in PICTURE_SUFFIXES:
            yield name, file.read_bytes()
        elif file.suffix == ".parquet":
            yield from ((f"{name} {place}", data) for place, data in _in_parquet(file))
        elif file.suffix == ".tsv":
            yield from ((f"{name} {place}", data) for place, data in _in_tsv(file))


def _in_parquet(path: Path) -> Iterator[Named]:
    schema = open_parquet(path).schema_arrow
    columns = [field.name for field in schema if _holds_bytes(field.type)]
    row = 0
    for batch in batches(path, columns) if columns else ():
        for cells in batch.to_pylist():
            for column, cell in cells.items():
                yield from ((f"row {row} {column} {inner}".rstrip(), data) for inner, data in _bytes_in(cell))
            row += 1


def _holds_bytes(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype):
        return True
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return _holds_bytes(dtype.value_type)
    return pa.types.is_struct(dtype) and any(_holds_bytes(field.type) for field in dtype)


def _bytes_in(cell: Any) -> Iterator[Named]:
    """Encoded pictures in a cell; the name is the path that the Hugging Face Image form gives, where it gives one."""
    if isinstance(cell, bytes) and cell:
        yield "", cell
    elif isinstance(cell, list):
        for inner in cell:
            yield from _bytes_in(inner)
    elif isinstance(cell, dict):
        path = cell.get("path")
        named = path.decode("utf-8", "replace") if isinstance(path, bytes) else ""
        data = cell.get("bytes")
        if isinstance(data, bytes) and data:
            yield named, data
        else:
            for inner in cell.values():
                yield from _bytes_in(inner if isinstance(inner, list | dict) else None)


def _in_tsv(path: Path) -> Iterator[Named]:
    csv.field_size_limit(_CELL_CHARS)
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for row, cells in enumerate(csv.reader(lines, delimiter="\t")):
                for written in (found for cell in cells for found in _BASE64.findall(cell)):
                    try:
                        yield f"row {row}", base64.b64decode(written, validate=True)
                    except binascii.Error:
                        continue  # a long word, no picture
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a readable TSV file ({error}): fetch it again, or take it out of the folder of benchmarks") from None
