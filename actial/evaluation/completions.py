"""Completions on disk: append-only scratch, one JSON line each, keyed by all that a completion depends on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from actial.models.load import check_base, check_model_folder, folder_sha256
from actial.params import Model
from actial.records import Message, Mode, Question
from actial.shards import ViewStore


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one of several completions of a question is drawn."""

    temperature: float
    number: int
    """Which of the question's completions this is, from 0."""
    root_seed: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One question as it goes to a model."""

    key: str
    """Hash of all below but the question's id and the mode's name; pictures by their bytes."""
    question_id: str
    mode: Mode
    messages: tuple[Message, ...]
    view_ids: tuple[str, ...]
    max_new_tokens: int
    hidden: tuple[int, ...] = ()
    """Places of the pictures that are replaced by plain mid-gray ones of their sizes."""
    sampling: Sampling | None = None
    """None: greedy."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote."""

    key: str
    text: str
    n_tokens: int
    """Tokens written, the end token not counted; 0 where a server does not say."""
    finish: str = ""
    """Why it ended: `stop`, or `length` where it was cut off; another word is the server's. Empty in logs of before this was kept."""
    answer_logprob: float | None = field(default=None, compare=False)
    """Natural logarithm of the probability that the model gave the tokens of its answer (what stands in the last `<answer>`), after all that it had written
    before them. None of sampled completions, of those without an answer there, of servers that do not tell it, and in logs of before this was kept. Not
    compared: rounding differs from batch to batch."""


def ask(
    question: Question,
    mode: Mode,
    messages: tuple[Message, ...],
    views: ViewStore,
    max_new_tokens: int,
    *,
    hidden: tuple[int, ...] = (),
    sampling: Sampling | None = None,
) -> Ask:
    """A question with its key."""
    places = hidden if len(hidden) > 1 else hidden[0] if hidden else None  # as in keys of before several could be hidden
    depends_on = [[asdict(m) for m in messages], max_new_tokens, places, None if sampling is None else asdict(sampling)]
    digest = hashlib.sha256(json.dumps(depends_on).encode())
    for view_id in question.view_ids:
        original = views.mirrored_from(view_id)
        digest.update(hashlib.sha256(views.picture_bytes(original or view_id) or b"").digest() + (b"turned over" if original else b""))
    return Ask(digest.hexdigest()[:24], question.question_id, mode, messages, question.view_ids, max_new_tokens, hidden, sampling)


def log_name(source: str, model: Model) -> str:
    """A name for all that a model's completions depend on beside the question: its content, and the settings it is run with.

    Args:
        source: a checkpoint's folder, or `model.base`.

    Raises:
        UserError: there is no usable model there.
    """
    if source == model.base:
        check_base(model)
    else:
        check_model_folder(Path(source), "the checkpoint")
    content = f"{source}@{model.revision}" if source == model.base and model.revision else folder_sha256(source)
    settings = asdict(model) | {"base": None, "revision": None, "sha256": None, "torch": version("torch"), "transformers": version("transformers")}
    return hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode()).hexdigest()[:24]


def append_completions(path: Path, completions: Sequence[Completion]) -> None:
    """Write whole lines in one call, so that they outlive this process at once and those of several processes do not mix."""
    lines = b"".join(json.dumps(asdict(c), ensure_ascii=False).encode() + b"\n" for c in completions)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        while lines:
            lines = lines[os.write(file, lines) :]
    finally:
        os.close(file)


class CompletionLog:
    """A file of completions. A killed process loses at most what it had not yet appended; a line cut in the middle is taken off when the file is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, Completion] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()

    def missing(self, asks: Iterable[Ask]) -> list[Ask]:
        """The asks that no completion is known for, each key once."""
        return list({a.key: a for a in asks if a.key not in self.known}.values())

    def append(self, completions: Sequence[Completion]) -> None:
        """See `append_completions`."""
        append_completions(self.path, completions)
        self.known.update({c.key: c for c in completions})

    def _load(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        unreadable = 0
        for line in data[:whole].splitlines():
            try:
                completion = Completion(**json.loads(line))
            except (ValueError, TypeError):
                unreadable += 1
                continue
            self.known[completion.key] = completion
        if whole < len(data):
            with self.path.open("rb+") as file:
                file.truncate(whole)
        if unreadable:
            print(f"{self.path}: {unreadable} lines are unreadable; their questions are asked again", flush=True)
