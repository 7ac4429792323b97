"""Where the files of data sets from outside are: below `data/external`, or on the Hugging Face hub at a fixed commit. All are looked for before any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actial.errors import UserError
from actial.params_external import External

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BENCHMARKS = "benchmarks"
"""Folder below `data/external` with what questions are only compared with (`leakage`)."""
ROWS_AT_ONCE = 32
"""Rows with their pictures that are in memory at a time."""
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Found:
    """A data set whose files are there and have the columns named."""

    settings: External
    files: tuple[Path, ...]
    n_rows: int

    @property
    def n_wanted(self) -> int:
        """Rows that are read."""
        return self.n_rows if self.settings.n is None else min(self.settings.n, self.n_rows)


def find_external(external: Sequence[External], root: Path) -> list[Found]:
    """The files of every data set.

    Args:
        root: `data/external`.

    Raises:
        UserError: files are missing, unreadable or empty, or lack a column.
    """
    return [_found(entry, f"build_qa.external[{i}]", root) for i, entry in enumerate(external)]


def _found(entry: External, key: str, root: Path) -> Found:
    files = _on_hub(entry, key) if entry.hub else _in_folder(entry, key, root)
    n_rows = 0
    for path in files:
        file = open_parquet(path)
        n_rows += file.metadata.num_rows
        for what in ("images", "question", "options", "answer", "kind", "id", "scene"):
            column = entry.column(what)
            if column is not None and column_of(column, file.schema_arrow.names) is None:
                raise UserError(f"{path} has no column {column}, which {key}.columns takes for {what}; it has {', '.join(file.schema_arrow.names)}")
    if not n_rows:
        raise UserError(f"{key} ({entry.name}): {files[0]} holds no rows: take another file")
    return Found(entry, files, n_rows)


def _in_folder(entry: External, key: str, root: Path) -> tuple[Path, ...]:
    path = root / entry.path
    files = tuple(sorted(path.rglob("*.parquet"))) if path.is_dir() else (path,)
    if not files:
        raise UserError(f"{path}, which {key}.path names, holds no .parquet file: put those of {entry.name} there ({root}/README.md says where to get them)")
    if not path.exists():
        raise UserError(f"{path}, which {key}.path names, does not exist: put {entry.name} there ({root}/README.md says where to get it), or take it out")
    return files


def _on_hub(entry: External, key: str) -> tuple[Path, ...]:
    """From the hub's cache, or fetched into it; offline (HF_HUB_OFFLINE=1) from the cache alone."""
    where = f"{entry.path} of {entry.hub} at {entry.revision}"
    aid = f"fetch it where there is a network, or put the files into data/external and set {key}.hub and {key}.revision to null"
    try:
        folder = hub_folder(str(entry.hub), str(entry.revision), [entry.path])
    except NotFetched as why:
        raise UserError(f"{where}, which {key} names, {why}: {aid}") from None
    files = tuple(sorted(folder.glob(entry.path)))
    if not files:
        raise UserError(f"{where}, which {key} names, is not there (or not in this machine's cache): correct {key}.path, or {aid}")
    return files


class NotFetched(Exception):
    """Files on the hub that cannot be had. The message says why, to follow on their name."""


def hub_folder(hub: str, revision: str, patterns: Sequence[str]) -> Path:
    """The folder in the hub's cache that holds files of a data set at a commit, which are fetched into it where there is a network.

    Raises:
        NotFetched: they are not in the cache, and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(hub, repo_type="dataset", revision=revision, allow_patterns=list(patterns)))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise NotFetched("is not in this machine's cache of the hub, and the hub cannot be reached") from None
    except (HfHubHTTPError, OSError) as error:
        raise NotFetched(f"cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})") from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file, to be read in small pieces.

    Raises:
        UserError: it is none, or not readable.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file ({error}): fetch it again") from None


def batches(path: Path, places: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The columns that places such as `messages.0.content` are in, a few rows at a time, with text as bytes: what is no UTF-8 shall cost its row, not the file.

    A whole row group of nested pictures need not fit into an Arrow array (array/SAT), nor into memory.
    """
    import pyarrow as pa

    file = open_parquet(path)
    columns = list(dict.fromkeys(name for place in places if (name := column_of(place, file.schema_arrow.names)) is not None))
    raw = pa.schema([pa.field(name, _without_text(file.schema_arrow.field(name).type)) for name in columns])
    try:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns, use_threads=False):
            yield pa.record_batch([batch[name].cast(raw.field(name).type) for name in columns], schema=raw)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read to its end ({error}): fetch it again") from None


def _without_text(dtype: pa.DataType) -> pa.DataType:
    """The same type with bytes where it has text."""
    import pyarrow as pa

    if pa.types.is_dictionary(dtype):
        return _without_text(dtype.value_type)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return pa.binary()
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return pa.list_(_without_text(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(field.name, _without_text(field.type)) for field in dtype])
    return dtype


def column_of(place: str, names: Sequence[str]) -> str | None:
    """The column that a place such as `messages.0.content` is in; a column may have dots in its own name."""
    parts = place.split(".")
    return next((name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in names), None)
