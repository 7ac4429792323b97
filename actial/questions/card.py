"""The dataset card of a set of questions: what is asked, how often, what was left out and why, and what guessing scores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from actial.params import BuildQA
from actial.questions.balance import SPLITS
from actial.questions.build import Built
from actial.questions.cues import CUES, LEAST_SHIFT
from actial.questions.kinds import LABELS, Kind, band_of, kinds_of, unit_of
from actial.records import LETTERS

_HEAD = """---
configs:
- config_name: default
  data_files:
{data_files}
task_categories:
- visual-question-answering
---
# Viewpoint questions

{total:,} questions about {n_scenes:,} scenes, made by stage `build_qa` with seed {seed}. Each is about two pictures of one still scene:
how did the camera move? The answers are computed from the cameras' poses. A row names its pictures by `view_ids`; the pictures
themselves are in the views this was built from.

    from datasets import load_dataset
    questions = load_dataset("path/of/this/folder")
"""


def write_card(path: Path, built: Built, settings: BuildQA, seed: int, audit: str = "") -> None:
    """Write the card as Markdown with the front matter that `datasets.load_dataset(folder)` reads.

    Args:
        audit: the section on the shortcut audit; empty where there was none.
    """
    splits = [name for name in SPLITS if built.n_scenes[name]]
    files = "\n".join(f"  - split: {name}\n    path: {name}.parquet" for name in splits)
    total = sum(built.total(name) for name in splits)
    sections = [
        _HEAD.format(data_files=files, total=total, n_scenes=sum(built.n_scenes.values()), seed=seed),
        _splits(built, splits),
        _kinds(settings),
        _labels(built, settings, splits),
        _cues(built, settings, splits),
        *([audit] if audit else []),
        _tied(built, settings, total),
        _refused(built),
    ]
    path.write_text("\n".join(sections), encoding="utf-8")


def _splits(built: Built, splits: list[str]) -> str:
    rows = [[name, f"{built.n_scenes[name]:,}", f"{built.total(name):,}"] for name in splits]
    rule = (
        "Splits share no scene: scenes are ranked by a seeded hash of their id and cut at the stated shares. "
        "Every pair of views is asked about in both orders, each with its own truth.\n"
    )
    rule += "Scenes of one asset are in one split. " if built.n_things < sum(built.n_scenes.values()) else ""
    rule += f"Licences of the pictures: {', '.join(f'{name} ({n:,} scenes)' for name, n in sorted(built.licences.items()))}.\n"
    if built.n_held_out:
        families = ", ".join(f"{name} ({n:,} scenes)" for name, n in built.n_held_out.items())
        rule += f"Geometry families held out of training: {families}. All their scenes are in the test and marked (column `held_out`).\n"
    return "\n".join(["## Splits\n", rule, _table(["split", "scenes", "questions"], rows), ""])


def _kinds(settings: BuildQA) -> str:
    rows = [
        [
            kind.name,
            kind.texts[0],
            " / ".join(kind.options),
            f"`{kind.quantity}`",
            _asked(kind, settings),
            f"`{kind.size}` < {band_of(kind, settings).none_below:g} {unit_of(kind)}",
        ]
        for kind in kinds_of(settings)
    ]
    notes = (
        "Labels are left, right, none; for orbit, left is counter-clockwise from above. r is the first camera's distance to the subject's centre. "
        "Perspective is the view of an object that faces the first camera. "
        f"Not asked: cameras pitched beyond {settings.max_pitch_deg:g} deg; for orbit and perspective, cameras within {settings.min_level_distance_r:g} r of "
        "the subject's vertical axis. Sizes between none and asked are ambiguous and left out.\n"
    )
    wordings = f"Each kind has {settings.wordings} wording{'s' if settings.wordings > 1 else ''}; the order of the options is drawn for each question.\n"
    header = ["kind", "first wording", "options (left / right / none)", "decided by", "asked when its size is", "none when"]
    return "\n".join(["## Kinds\n", _table(header, rows), "", notes, wordings])


def _asked(kind: Kind, settings: BuildQA) -> str:
    band = band_of(kind, settings)
    return f"at least {band.asked_from:g} {unit_of(kind)}" if band.asked_to is None else f"{band.asked_from:g} to {band.asked_to:g} {unit_of(kind)}"


def _labels(built: Built, settings: BuildQA, splits: list[str]) -> str:
    rows = []
    for split in splits:
        for kind in kinds_of(settings):
            counts = [built.labels.get((split, kind.name, label), 0) for label in LABELS]
            letters = built.letters.get((split, kind.name), Counter[str]())
            n = sum(counts)
            shares = [f"{max(counts) / n:.1%}", f"{max(letters.values()) / n:.1%}"] if n else ["no questions", "no questions"]
            by_letter = " / ".join(str(letters.get(letter, 0)) for letter in LETTERS[: len(LABELS)])
            rows.append([split, kind.name, *map(str, counts), by_letter, f"{1 / len(LABELS):.1%}", *shares])
    rule = (
        "Within a split, each kind's labels are equally frequent: at most "
        f"{settings.pairs_per_kind} pairs of a scene are drawn for a kind, a third of them none, "
        "and the more frequent labels are thinned at random by the seed to the rarest.\n"
        "Chance is a blind guess among three options; majority label and majority letter are what the best constant answer scores.\n"
    )
    header = ["split", "kind", *LABELS, "right letter A / B / C", "chance", "majority label", "majority letter"]
    return "\n".join(["## Labels\n", rule, _table(header, rows), ""])


def _cues(built: Built, settings: BuildQA, splits: list[str]) -> str:
    rows = []
    for split in splits:
        for kind in kinds_of(settings):
            aligned, conflict, none = (built.cues[split, kind.name, word] for word in ("aligned", "conflict", "none"))
            directional = sum(built.labels.get((split, kind.name, label), 0) for label in LABELS[:2])
            shares = [f"{aligned / directional:.1%}", f"{conflict / directional:.1%}"] if directional else ["no questions"] * 2
            rows.append([split, kind.name, CUES[kind.name].name, *(f"{n:,}" for n in (aligned, conflict, none)), *shares])
    rules = "\n".join(f"- {rule.name}: {rule.text}" for rule in {CUES[kind.name].name: CUES[kind.name] for kind in kinds_of(settings)}.values())
    rule = (
        "What the pictures suggest without any depth may agree with the truth (column `cue` is aligned) or mislead (conflict); none where the truth is none "
        f"or the cue is weaker than {LEAST_SHIFT:g} picture widths. Whoever follows it gets the aligned ones right. "
        "Cues look at the parts of the subject whose centres lie in both pictures:\n\n"
    )
    header = ["split", "kind", "cue", "aligned", "conflict", "none", "aligned of left and right", "conflict of left and right"]
    return "\n".join(["## 2D cues\n", rule + rules + "\n", _table(header, rows), ""])


def _tied(built: Built, settings: BuildQA, total: int) -> str:
    tied = ", ".join(f"{n:,} {kind}" for kind, n in built.tied.items()) or "none"
    return (
        "## Tied class `sideways`\n\n"
        "Orbit sense and perspective are the same bit of a pair. The lateral sign is that bit too where the first camera looks at the subject so closely "
        f"that the two cannot disagree (bearing below {settings.orbit.asked_from:g} deg with its sine below {settings.lateral.asked_from:g}).\n"
        f"In the class: {tied}. Counted once for a pair, the {total:,} questions are {built.bits:,} different bits.\n"
    )


def _refused(built: Built) -> str:
    rows = [[reason, f"{n:,}"] for reason, n in built.refused.items()]
    head = (
        f"{built.n_pairs:,} ordered pairs of views were looked at. A picture counts as readable when its PNG checksums hold to the end chunk; "
        "other formats are decoded. Counts of views for `views:`, of questions otherwise.\n"
    )
    return "\n".join(["## Left out\n", head, _table(["reason", "count"], rows), ""])


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
