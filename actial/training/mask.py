"""`actial mask`: a conversation as SFT sees it, with the tokens marked that the loss falls on. Made by the collator that training uses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.params import load_params
from actial.records import Conversation
from actial.shards import ViewStore, view_folders
from actial.tables import read_conversations, stream_conversations

LOSS, PICTURE, RESET = "\x1b[30;42m", "\x1b[36m", "\x1b[0m"
"""Terminal colours: black on green; cyan."""
LOSS_OPEN, LOSS_CLOSE = "[[", "]]"
"""Marks where there are no colours."""
MODES = ("think", "direct", "describe")


@dataclass(frozen=True)
class Span:
    """Tokens that stand together and are alike."""

    text: str
    n_tokens: int
    is_picture: bool
    is_learned: bool


def told(question_id: str, mode: str | None, outputs: Path, params_path: Path, coloured: bool) -> str:
    """A conversation of the SFT mix, its loss tokens marked, and its counts of tokens.

    Args:
        question_id: as `outputs/cold_start_mix/sft.parquet` has it; in mode describe also an id of any question about the pair.
        mode: think, direct or describe; None for the first there is.
        coloured: mark by terminal colours instead of brackets.

    Raises:
        UserError: there is no such conversation, a picture is unreadable, or the processor cannot be loaded.
    """
    params = load_params(params_path)
    rows = _rows(question_id, outputs / "cold_start_mix" / "sft.parquet")
    row = _in_mode(rows, question_id, mode)
    # Seconds of imports, which a mistyped id need not wait for
    from actial.models.load import load_processor
    from actial.training.checks import IGNORED, check_labels
    from actial.training.collate import sft_collator
    from actial.training.data import sft_columns, with_pictures

    processor = load_processor(params.model.base, params.model)
    example = with_pictures(sft_columns(row), row, ViewStore(*view_folders(outputs)).picture)
    batch = sft_collator(processor)([example])
    spans = list(_spans(processor, batch["input_ids"][0].tolist(), (batch["labels"][0] != IGNORED).tolist()))
    times = sum(r.question_id == row.question_id and r.mode == row.mode for r in rows)
    others = [name for name in MODES if name != row.mode and any(r.mode == name for r in rows)]
    lines = [
        f"{row.question_id}  {row.mode}, {'once' if times == 1 else f'{times} times'} in the mix" + (f"; also there: {', '.join(others)}" if others else ""),
        f"{f'{LOSS}green{RESET}' if coloured else f'{LOSS_OPEN}…{LOSS_CLOSE}'}: the loss falls on it",
        "",
        "".join(_shown(span, coloured) for span in spans).rstrip("\n"),
        "",
        _counts(spans, row),
    ]
    try:
        check_labels(processor, batch, [row])
    except UserError as wrong:
        lines.append(f"sft would refuse this: {wrong}")
    return "\n".join(lines)


def _rows(question_id: str, path: Path) -> list[Conversation]:
    """The conversations about a question, and the description of its pair.

    Raises:
        UserError: there is none.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: run `actial run --only cold_start_mix` first, which makes it")
    scene_id, pair_id = question_id.partition(".")[0], question_id.rpartition(".")[0]
    near = read_conversations(path, scene_id)
    if rows := [row for row in near if row.question_id in (question_id, f"{pair_id}.describe")]:
        return rows
    example = next(iter([*near[:1], *itertools.islice(stream_conversations(path), 1)]), None)
    there = f"; {example.question_id} is there" if example else ""
    raise UserError(f"{path} holds no conversation about {question_id}: not every question is drawn into the mix{there}")


def _in_mode(rows: Sequence[Conversation], question_id: str, mode: str | None) -> Conversation:
    own_first = sorted(rows, key=lambda row: (row.question_id != question_id, MODES.index(row.mode)))
    for row in own_first:
        if mode in (None, row.mode):
            return row
    raise UserError(f"{question_id} has no conversation in mode {mode}: it has {', '.join(dict.fromkeys(row.mode for row in own_first))}")


def _spans(processor: Any, ids: Sequence[int], is_learned: Sequence[bool]) -> Iterator[Span]:
    """Runs of picture tokens, of learned text, and of other text."""
    n_pictures = 0
    tokens = zip(ids, (i == processor.image_token_id for i in ids), is_learned, strict=True)
    for (is_picture, learned), run in itertools.groupby(tokens, key=lambda token: token[1:]):
        run_ids = [token[0] for token in run]
        n_pictures += is_picture
        text = f"(picture {n_pictures}: {len(run_ids)} tokens)" if is_picture else processor.tokenizer.decode(run_ids, skip_special_tokens=False)
        yield Span(text, len(run_ids), is_picture, learned)


def _shown(span: Span, coloured: bool) -> str:
    text = _printable(span.text)
    if not coloured:
        return f"{LOSS_OPEN}{text}{LOSS_CLOSE}" if span.is_learned else text
    colour = LOSS if span.is_learned else PICTURE if span.is_picture else None
    return "\n".join(f"{colour}{line}{RESET}" if line else "" for line in text.split("\n")) if colour else text


def _printable(text: str) -> str:
    """Control characters are shown, not sent to the terminal."""
    return "".join(c if c == "\n" or c.isprintable() else repr(c)[1:-1] for c in text)


def _counts(spans: Sequence[Span], row: Conversation) -> str:
    count = lambda chosen: sum(span.n_tokens for span in spans if chosen(span))
    total, pictures, learned = count(lambda _: True), count(lambda span: span.is_picture), count(lambda span: span.is_learned)
    said = f"{total} tokens: {total - pictures} of text, {pictures} of {len(row.view_ids)} pictures; the loss falls on {learned} ({learned / total:.0%})"
    if row.n_tokens in (0, total):
        return said
    return f"{said}\ncold_start_mix counted {row.n_tokens} tokens: it ran with another model.base or another budget of pixels"
