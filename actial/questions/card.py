"""The dataset card of a set of questions: what is asked, how often, what was left out and why, and what guessing scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from actial.params_questions import Band, BuildQA
from actial.questions.balance import SPLITS
from actial.questions.build import Built
from actial.questions.cues import CUES, LEAST_SHIFT
from actial.questions.deciding import unit_of
from actial.questions.kinds import CHANGE_KINDS, Kind, kinds_of
from actial.questions.sat_card import things_section
from actial.questions.sat_kinds import SatKind, sat_kinds_of
from actial.questions.three_views import ThreeViewKind, three_view_kinds_of
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

{total:,} questions about {n_scenes:,} scenes, made by stage `build_qa` with seed {seed}. Each is about {about}. \
A row names its pictures by `view_ids`; the pictures
themselves are in the views this was built from.

    from datasets import load_dataset
    questions = load_dataset("path/of/this/folder")
"""


_OF_PAIRS = "two pictures of one still scene:\nhow did the camera move? The answers are computed from the cameras' poses"
_OF_THINGS = "one picture, or two of one scene.\nThe answers are computed from the poses of cameras and things"


def write_card(path: Path, built: Built, settings: BuildQA, seed: int, audit: str = "", external: str = "", joined: Collection[str] = ()) -> None:
    """Write the card as Markdown with the front matter that `datasets.load_dataset(folder)` reads.

    Args:
        audit: the section on the shortcut audit; empty where there was none.
        external: the section on data sets from outside; empty where there are none.
        joined: splits that their questions joined.
    """
    splits = [name for name in SPLITS if built.n_scenes[name]]
    files = "\n".join(f"  - split: {name}\n    path: {name}.parquet" for name in SPLITS if built.n_scenes[name] or name in joined)
    total = sum(built.total(name) for name in splits)
    sections = [
        _HEAD.format(
            data_files=files, total=total, n_scenes=sum(built.n_scenes.values()), seed=seed, about=_OF_THINGS if sat_kinds_of(settings) else _OF_PAIRS
        ),
        _splits(built, splits),
        *([_kinds(settings)] if kinds_of(settings) else []),
        *([_three_views(built, settings)] if three_view_kinds_of(settings) else []),
        *([things_section(settings)] if sat_kinds_of(settings) else []),
        _labels(built, settings, splits),
        *([_cues(built, settings, splits)] if kinds_of(settings) else []),
        *([audit] if audit else []),
        *([_tied(built, settings, total)] if kinds_of(settings) else []),
        *([external] if external else []),
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
            " / ".join(kind.options).replace("{deg}", "n"),
            f"`{kind.quantity}`",
            _asked(kind, settings),
            f"`{kind.size}` < {_band(kind, settings).none_below:g} {unit_of(kind)}",
            _OTHER_ORDER[kind.other_order],
        ]
        for kind in kinds_of(settings)
    ]
    notes = (
        "Options stand in the order of their labels, the last says that nothing changed; for orbit, left is counter-clockwise from above. "
        "r is the first camera's distance to the subject's centre; distances to the subject are compared as ratios. "
        "Perspective is the view of an object that faces the first camera, front that of an object that faces out of its own front. "
        f"For the main direction, the largest of three parts of the movement is at least {settings.direction_ratio:g} times the next. "
        "A rotation about the line of sight is told as seen from behind the camera. "
        f"Not asked: cameras pitched beyond {settings.max_pitch_deg:g} deg; for orbit and perspective, cameras within {settings.min_level_distance_r:g} r of "
        "the subject's vertical axis. Sizes between none and asked are ambiguous and left out.\n"
    )
    wordings = f"Each kind has {settings.wordings} wording{'s' if settings.wordings > 1 else ''}; the order of the options is drawn for each question.\n"
    if angles := [kind.name for kind in kinds_of(settings) if kind.asks_angle]:
        wordings += (
            f"Options of {' and '.join(angles)}: three sizes n, at least {settings.option_gap_deg:g} deg apart, each to both sides, and none. Three pairs "
            "share their sizes, and each size is the right one of one of them: the options alone tell nothing. Left_small is the smallest, to the left.\n"
        )
    if any(kind.name in CHANGE_KINDS for kind in kinds_of(settings)):
        wordings += (
            "Consistency and alteration: the object may have been altered between the pictures, while what stands around it stayed. The residual is the "
            "smallest over all movements of the camera of the largest miss of a part or companion (root mean square over its points, of the root of the sum "
            "of squares in both pictures), with free depths before both cameras, and solids matched up to their symmetry. An alteration that some movement "
            f"explains to less than {settings.consistency.asked_from:g} px is left out. Each altered pair comes with a pair of the same object, in either of "
            "its states, in which the camera moved much the same.\n"
        )
    header = ["kind", "first wording", "options", "decided by", "asked when its size is", "none (or no) when", "in the other order"]
    return "\n".join(["## Kinds\n", _table(header, rows), "", notes, wordings])


def _three_views(built: Built, settings: BuildQA) -> str:
    three, kinds = settings.three_views, three_view_kinds_of(settings)
    rule = (
        f"Questions of {' and '.join(f'`{kind.name}`' for kind in kinds)} are about three pictures, whose cameras stand on one arc of less than "
        f"{three.max_arc_deg:g} deg around the subject, at least {three.min_gap_deg:g} deg between neighbours; the smaller of the two gaps is stored. "
        "An arc can be walked both ways: the order asked for is the counter-clockwise one as seen from above, so that an order and its reverse are different "
        f"answers. Of the {built.n_triples:,} triples looked at up to {three.triples_per_kind} of a scene are asked about by a kind. In a split they are dealt "
        "round the labels at random, and the pictures put into an order of which the label is true: all labels are equally frequent. "
        "Their 2D cue takes the cameras to follow each other along the arc as what stands higher slides against what stands lower; there is none where two of "
        f"the three slides are closer than {LEAST_SHIFT:g} picture widths.\n"
    )
    rows = [[kind.name, kind.texts[0], " / ".join(kind.options), " / ".join(kind.labels)] for kind in kinds]
    for row, kind in zip(rows, kinds, strict=True):
        row += [f"{sum(n for (_, name, word), n in built.cues.items() if (name, word) == (kind.name, cue)):,}" for cue in ("aligned", "conflict", "none")]
    header = ["kind", "first wording", "options", "labels", "cue aligned", "in conflict", "no cue"]
    return "\n".join(["## Three views\n", rule, _table(header, rows), ""])


_OTHER_ORDER = {"opposite": "the opposite", "same": "the same", "anew": "computed anew"}


def _band(kind: Kind, settings: BuildQA) -> Band:
    """The thresholds as params give them."""
    band: Band = getattr(settings, kind.band)
    return band


def _asked(kind: Kind, settings: BuildQA) -> str:
    band = _band(kind, settings)
    return f"at least {band.asked_from:g} {unit_of(kind)}" if band.asked_to is None else f"{band.asked_from:g} to {band.asked_to:g} {unit_of(kind)}"


def _labels(built: Built, settings: BuildQA, splits: list[str]) -> str:
    rows = []
    asked: list[Kind | ThreeViewKind | SatKind] = [*kinds_of(settings), *three_view_kinds_of(settings), *sat_kinds_of(settings)]
    for split in splits:
        for kind in asked:
            labels = kind.asked_labels
            counts = [built.labels.get((split, kind.name, label), 0) for label in labels]
            letters = built.letters.get((split, kind.name), Counter[str]())
            n = sum(counts)
            shares = [f"{max(counts) / n:.1%}", f"{max(letters.values()) / n:.1%}"] if n else ["no questions", "no questions"]
            by_label = ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
            by_letter = " / ".join(str(letters.get(letter, 0)) for letter in LETTERS[: len(labels)])
            rows.append([split, kind.name, by_label, by_letter, f"{1 / len(labels):.1%}", *shares])
    of_none = " (none is offered, and never right)" if settings.none == "never" else " (a third of them none, where there are two sides)"
    rule = (
        "Within a split, each kind's labels are equally frequent: at most "
        f"{settings.pairs_per_kind} pairs of a scene are drawn for a kind{of_none}, "
        "and the more frequent labels are thinned at random by the seed to the rarest.\n"
        "A kind that lacks pairs for one of its labels in a split has no questions there.\n"
        "Chance is a blind guess among the options; majority label and majority letter are what the best constant answer scores.\n"
    )
    header = ["split", "kind", "truths", "right letter A / B / …", "chance", "majority label", "majority letter"]
    return "\n".join(["## Labels\n", rule, _table(header, rows), ""])


def _cues(built: Built, settings: BuildQA, splits: list[str]) -> str:
    rows = []
    asked = [kind for kind in kinds_of(settings) if kind.name in CUES]
    for split in splits:
        for kind in asked:
            aligned, conflict, none = (built.cues[split, kind.name, word] for word in ("aligned", "conflict", "none"))
            directional = sum(built.labels.get((split, kind.name, label), 0) for label in kind.asked_labels[:-1])
            shares = [f"{aligned / directional:.1%}", f"{conflict / directional:.1%}"] if directional else ["no questions"] * 2
            rows.append([split, kind.name, " / ".join(cue.rule.name for cue in CUES[kind.name]), *(f"{n:,}" for n in (aligned, conflict, none)), *shares])
    rules = "\n".join(f"- {name}: {text}" for name, text in {cue.rule.name: cue.rule.text for kind in asked for cue in CUES[kind.name]}.items())
    rule = (
        "What the pictures suggest without any depth may agree with the truth (column `cue` is aligned) or mislead (conflict); none where the truth is none "
        f"or the cue is weaker than {LEAST_SHIFT:g} picture widths. Whoever follows it gets the aligned ones right. "
        "Kinds that are not listed have no such cue. Cues look at the parts of the subject whose centres lie in both pictures:\n\n"
    )
    header = ["split", "kind", "cue", "aligned", "conflict", "none", "aligned of those with a direction", "conflict of those"]
    return "\n".join(["## 2D cues\n", rule + rules + "\n", _table(header, rows), ""])


def _tied(built: Built, settings: BuildQA, total: int) -> str:
    tied = ", ".join(f"{n:,} {kind}" for kind, n in built.tied.items()) or "none"
    return (
        "## Tied class `sideways`\n\n"
        "Orbit sense and perspective are the same bit of a pair. The lateral sign is that bit too where the first camera looks at the subject so closely "
        f"that the two cannot disagree (bearing below {settings.orbit.asked_from:g} deg with its sine below {settings.lateral.asked_from:g}); "
        "so is the perspective by the object's own front, where that front faces the first camera, or away from it, as closely.\n"
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
