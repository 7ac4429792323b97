"""`actial export`: what is in `outputs/` as a folder for another tool."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actial.errors import UserError
from actial.export import grpo, hf, llamafactory, vlmeval
from actial.export.card import write_card
from actial.export.folder import refuse_to_overwrite, whole_folder, write_record
from actial.export.pictures import Pictures
from actial.export.tally import Tally
from actial.report.reviews import Review, standing_reviews
from actial.shards import ViewStore, view_folders
from actial.tables import count_rows

Writer = Callable[[Path, Mapping[str, Path], Pictures, Tally], None]
NAMED_BROKEN = 3
"""Views named in the summary; the rest stand in the folder's record."""


@dataclass(frozen=True)
class Form:
    """A form of export."""

    stage: str
    """Whose tables are exported."""
    splits: tuple[str, ...]
    """Those that can be, where the stage has made them."""
    default: tuple[str, ...]
    """Those that are, where none is named."""
    rows: str
    write: Writer
    left_by_tool: tuple[str, ...] = ()
    """What the tool that reads the folder puts into it."""


_QUESTIONS = ("train", "rl", "val", "test", "test_2d")
FORMS = {
    "hf": Form("build_qa", _QUESTIONS, _QUESTIONS, "questions", hf.write_hf),
    "llamafactory": Form("cold_start_mix", ("sft",), ("sft",), "conversations", llamafactory.write_llamafactory),
    "grpo": Form("cold_start_mix", ("rl",), ("rl",), "prompts", grpo.write_grpo),
    "vlmeval": Form("build_qa", _QUESTIONS, ("test", "test_2d"), "questions", vlmeval.write_vlmeval, (vlmeval.PICTURES_FOLDER,)),
}


def export(outputs: Path, to: str, splits: Sequence[str], out: Path, commit: str | None) -> str:
    """Write an export to the folder `out`, whole or not at all.

    Args:
        outputs: folder of the stages' outputs.
        to: a name in `FORMS`.
        splits: those to export; empty for the form's default.
        out: folder to make; an earlier export there is replaced.
        commit: of the project, for the card.

    Returns:
        Three lines: what was made, what was set aside and why, where to look.

    Raises:
        UserError: a stage's output is missing or damaged, a split is unknown, `out` may not be written, or no row can be exported.
    """
    form = FORMS[to]
    refuse_to_overwrite(out, form.left_by_tool)
    tables = _tables(outputs / form.stage, form, splits)
    pictures, tally = Pictures(_views(outputs)), Tally()
    reviews, notices = _reviews(outputs, form, tables)
    with whole_folder(out, form.left_by_tool) as folder:
        form.write(folder, tables, pictures, tally)
        if not tally.rows:
            why = "".join(f"; {n:,} {reason}" for reason, n in tally.aside.most_common(3))
            raise UserError(f"not one of the {form.rows} of {', '.join(tables)} can be exported{why}{_named(pictures)}: run `actial run` again")
        write_card(folder, to, outputs, tally, reviews, commit)
        told = {"to": to, form.rows: dict(tally.rows), "pictures": len(tally.views), "set_aside": dict(tally.aside), "broken_views": pictures.broken}
        write_record(folder, told)
    made = ", ".join(f"{n:,} {split}" for split, n in tally.rows.items())
    aside = ", ".join(f"{n:,} {reason}" for reason, n in tally.aside.items())
    return (
        f"export: made {sum(tally.rows.values()):,} {form.rows} ({made}) with {len(tally.views):,} pictures\n"
        f"export: set aside {aside or 'nothing'}{_named(pictures)}{''.join(f'; {notice}' for notice in notices)}\n"
        f"export: look at {out / 'README.md'}"
    )


def _tables(folder: Path, form: Form, splits: Sequence[str]) -> dict[str, Path]:
    """The file of each split that is to be exported and has rows.

    Raises:
        UserError: the stage has not run, or a named split is none of its.
    """
    there = [split for split in form.splits if (folder / f"{split}.parquet").exists()]
    if not there:
        raise UserError(f"{folder} holds no {form.rows}: run `actial run --only {form.stage}` first, which makes them")
    for split in splits:
        if split not in there:
            nearest = difflib.get_close_matches(split, there, n=1)
            raise UserError(f"--split names {split}; {folder} has {', '.join(there)}" + (f", the nearest is {nearest[0]}" if nearest else ""))
    wanted = {split: folder / f"{split}.parquet" for split in form.splits if split in (splits or form.default) and split in there}
    n_rows = {split: count_rows(path) for split, path in wanted.items()}
    for split in splits or ([] if any(n_rows.values()) else form.default[:1]):
        if not n_rows.get(split):
            raise UserError(f"{folder / split}.parquet holds no {form.rows}: name other splits with --split ({', '.join(there)})")
    return {split: path for split, path in wanted.items() if n_rows[split]}


def _reviews(outputs: Path, form: Form, tables: Mapping[str, Path]) -> tuple[list[Review], list[str]]:
    """What people said to the questions exported, and why other reviews are left out; of conversations none."""
    return standing_reviews(outputs, tables) if form.stage == "build_qa" else ([], [])


def _views(outputs: Path) -> ViewStore:
    folder = outputs / "render_views" / "views"
    if not folder.exists():
        raise UserError(f"{folder} does not exist: run `actial run --only render_views` first, or fetch it with `dvc checkout`")
    return ViewStore(*view_folders(outputs))


def _named(pictures: Pictures) -> str:
    """Which views are broken, the first of them by name."""
    broken = [f"{view_id}: {why}" for view_id, why in pictures.broken.items()]
    more = f" and {len(broken) - NAMED_BROKEN:,} more" if len(broken) > NAMED_BROKEN else ""
    return f" ({'; '.join(broken[:NAMED_BROKEN])}{more})" if broken else ""
