"""Questions, conversations and rollouts on disk: one Parquet file each, which `datasets.load_dataset` opens.

Bytes are deterministic: the same records give the same file.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actial.errors import UserError
from actial.records import Conversation, Message, Question, Rollout

if TYPE_CHECKING:
    import pyarrow as pa


def write_questions(path: Path, questions: Iterable[Question]) -> int:
    """Write questions to one Parquet file, in batches; returns how many."""
    names = [f.name for f in fields(Question)]  # all flat: `asdict` would copy every text
    return _write_rows(path, ({name: getattr(q, name) for name in names} for q in questions), question_schema())


def read_questions(path: str | Path, scene_id: str | Sequence[str] | None = None) -> list[Question]:
    """All questions of a Parquet file, or those about one scene or several.

    Raises:
        UserError: the file is missing or not a table of questions, or two questions have one id.
    """
    questions = [Question(**_with_tuples(row)) for row in _read_rows(Path(path), question_schema(), scene_id)]
    if len({q.question_id for q in questions}) < len(questions):
        question_id, n = Counter(q.question_id for q in questions).most_common(1)[0]
        raise UserError(f"{path} holds {n} questions with the id {question_id}: give each an id of its own, or rebuild the questions with build_qa")
    return questions


def stream_questions(path: str | Path) -> Iterator[Question]:
    """The questions of a Parquet file, a batch of them in memory at a time.

    Raises:
        UserError: the file is missing or not a table of questions.
    """
    return (Question(**_with_tuples(row)) for row in _stream_rows(Path(path), question_schema()))


def count_questions(path: str | Path) -> dict[tuple[str, str], int]:
    """Questions of a Parquet file by kind and scene, in memory that does not grow with the questions of a scene.

    Raises:
        UserError: the file is missing or not a table of questions.
    """
    table = _read_table(Path(path), ["kind", "scene_id"]).group_by(["kind", "scene_id"]).aggregate([([], "count_all")])
    columns = (table[name].to_pylist() for name in ("kind", "scene_id", "count_all"))
    return {(kind, scene_id): n for kind, scene_id, n in zip(*columns, strict=True)}


def write_conversations(path: Path, conversations: Iterable[Conversation]) -> int:
    """Write conversations to one Parquet file, in batches; returns how many."""
    return _write_rows(path, (asdict(c) for c in conversations), _conversation_schema())


def read_conversations(path: str | Path, scene_id: str | None = None) -> list[Conversation]:
    """All conversations of a Parquet file, or those about one scene.

    Raises:
        UserError: the file is missing or not a table of conversations.
    """
    return list(map(_conversation, _read_rows(Path(path), _conversation_schema(), scene_id)))


def stream_conversations(path: str | Path) -> Iterator[Conversation]:
    """The conversations of a Parquet file, a batch of them in memory at a time.

    Raises:
        UserError: the file is missing or not a table of conversations.
    """
    return map(_conversation, _stream_rows(Path(path), _conversation_schema()))


def count_rows(path: str | Path) -> int:
    """How many rows a Parquet file has, from its footer.

    Raises:
        UserError: the file is missing or no Parquet file.
    """
    import pyarrow.parquet as pq

    with _readable(Path(path)):
        return pq.read_metadata(path).num_rows


def write_rollouts(path: Path, rollouts: Sequence[Rollout]) -> int:
    """Write rollouts (at least one, all with the same rewards) to one Parquet file, with a field for each reward; returns how many."""
    import pyarrow as pa

    rewards = pa.struct([(name, pa.float64()) for name in sorted(rollouts[0].rewards)])
    schema = pa.schema([("question_id", pa.string()), ("step", pa.int64()), ("completion", pa.string()), ("rewards", rewards)])
    return _write_rows(path, (asdict(r) for r in rollouts), schema)


def read_rollouts(path: str | Path) -> list[Rollout]:
    """All rollouts of a Parquet file.

    Raises:
        UserError: the file is missing or not a table of rollouts.
    """
    import pyarrow as pa

    schema = pa.schema([("question_id", pa.string()), ("step", pa.int64()), ("completion", pa.string()), ("rewards", pa.struct([]))])
    return [Rollout(**row) for row in _read_rows(Path(path), schema)]


def _conversation(row: Mapping[str, Any]) -> Conversation:
    return Conversation(**_with_tuples({**row, "messages": [Message(**m) for m in row["messages"]]}))


def _with_tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


def _write_rows(path: Path, rows: Iterator[dict[str, Any]], schema: pa.Schema, batch: int = 10_000) -> int:
    import itertools

    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    n = 0
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, batch)):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            n += len(chunk)
    return n


def _read_rows(path: Path, schema: pa.Schema, scene_id: str | Sequence[str] | None = None) -> list[dict[str, Any]]:
    filters = None if scene_id is None else [("scene_id", "in", [scene_id] if isinstance(scene_id, str) else scene_id)]
    return _read_table(path, schema.names, filters).to_pylist()


def _read_table(path: Path, columns: Sequence[str], filters: list[Any] | None = None) -> pa.Table:
    import pyarrow.parquet as pq

    with _readable(path):
        table = pq.read_table(path, filters=filters)
        table.validate(full=True)  # text may not be UTF-8, which nothing else checks
    _refuse_if_lacking(path, columns, table.column_names)
    return table.select(columns)


def _stream_rows(path: Path, schema: pa.Schema, batch: int = 1_000) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with _readable(path), pq.ParquetFile(path) as file:
        _refuse_if_lacking(path, schema.names, file.schema_arrow.names)
        for rows in file.iter_batches(batch, columns=schema.names, use_threads=False):
            rows.validate(full=True)
            yield from rows.to_pylist()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: run the stage that makes it first") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file: {error}") from None


def _refuse_if_lacking(path: Path, wanted: Sequence[str], columns: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in columns]:
        raise UserError(f"{path} lacks the column {missing[0]}")


@functools.cache
def question_schema() -> pa.Schema:
    """The columns of a table of questions."""
    import pyarrow as pa

    text, texts, number = pa.string(), pa.list_(pa.string()), pa.float64()
    return pa.schema(
        [
            ("question_id", text),
            ("kind", text),
            ("family_id", text),
            ("view_ids", texts),
            ("text", text),
            ("options", texts),
            ("labels", texts),
            ("truth", text),
            ("deciding_quantity", text),
            ("deciding_value", number),
            ("margin", number),
            ("scene_id", text),
            ("tied_class", text),
            ("source", text),
            ("cue", text),
            ("held_out", pa.bool_()),
        ]
    )


@functools.cache
def _conversation_schema() -> pa.Schema:
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    return pa.schema(
        [
            ("question_id", text),
            ("view_ids", texts),
            ("kind", text),
            ("mode", text),
            ("messages", messages),
            ("options", texts),
            ("labels", texts),
            ("truth", text),
            ("scene_id", text),
            ("prompt_sha", text),
            ("n_tokens", pa.int64()),
        ]
    )
