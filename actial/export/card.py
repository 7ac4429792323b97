"""The README of an export: what it holds, how its tool opens it, whose the pictures are, what it cannot tell, how to make it again.

For Hugging Face it is the dataset card, with the YAML header that the Hub and `datasets.load_dataset` read.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from actial.export import grpo, llamafactory, vlmeval
from actial.export.histograms import N_STEPS, histogram_rows
from actial.export.tally import Tally
from actial.params import STAGES
from actial.report.outputs import Outputs
from actial.report.reviews import AGREEMENT_HEADER, NAMED, OTHERWISE_TABLES, Review, agreement_rows, otherwise_rows, said_of

SOURCES_SHOWN = 40
"""Rows of the table of sources; captures and assets may be thousands, and each row of the data names its own."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_HUB_LICENCES: tuple[str, ...] = ("apache-2.0", "mit", "cc0-1.0", "odc-by", "odbl", "pddl", "unlicense", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0")
_HUB_LICENCES += tuple(f"cc-by{variant}-{version}" for variant in ("", "-sa", "-nc", "-nd", "-nc-sa", "-nc-nd") for version in ("2.0", "3.0", "4.0"))
"""Identifiers of the Hub; another licence is `other` there, with its name in the text."""

_COLUMNS = """| column | what it is |
| --- | --- |
| `images` | the pictures in the order asked about, the bytes as they were rendered or read |
| `text`, `options`, `truth` | the question, its options, and the letter of the right one |
| `labels` | what each option means, in one word |
| `kind`, `family_id`, `tied_class` | what is asked; questions whose answers constrain each other; kinds that are one bit of a pair |
| `deciding_quantity`, `deciding_value`, `margin` | what decides the answer, its value, and how far that is from the nearest boundary, as a share of it |
| `cue`, `held_out` | whether what the flat pictures suggest agrees with the truth; whether the subject's family is in no training split |
| `K`, `T_world_cam` | of each picture: row-major 3x3 intrinsics, pixels; row-major 4x4 camera to world (+X right, +Y up, looks along -Z), null where unknown |
| `sources`, `licences` | of each picture |
| `question_id`, `scene_id`, `view_ids`, `source` | ids, which carry their parents |
"""

_COLUMNS_GRPO = """| column | what it is |
| --- | --- |
| `prompt` | what the model is asked, as TRL takes it: turns of parts, `image` where the next picture goes |
| `chat` | the same as verl takes it: turns of text, `<image>` where the next picture goes |
| `images` | the pictures in order, the bytes as they were rendered or read |
| `options`, `truth`, `labels` | the options, the letter of the right one, and what each option means, in one word |
| `mode` | whether the system turn asks for reasoning and answer (think) or for the answer alone (direct), in tags |
| `kind`, `question_id`, `scene_id`, `view_ids` | what is asked, and ids, which carry their parents |
| `n_tokens` | length with the processor of the profile, pictures included; 0 where it was not counted |
| `sources`, `licences` | of each picture |
| `data_source`, `ability`, `reward_model`, `extra_info` | what verl hands to its reward: `actial`, the kind, the truth, the options |
"""


def write_card(folder: Path, to: str, outputs: Path, tally: Tally, reviews: Sequence[Review], commit: str | None) -> None:
    """Write README.md into an export that is otherwise finished.

    Args:
        to: the form, a name in `export.FORMS`.
        reviews: what people said to the questions that are exported.
        commit: of the project, in words; None where it is unknown.
    """
    opening = {"hf": _opening_hf, "llamafactory": _opening_llamafactory, "grpo": _opening_grpo, "vlmeval": _opening_vlmeval}[to]
    sections = [opening(folder, tally), _kinds(tally), _quantities(tally), _pictures(tally), _reviews(reviews), _aside(tally)]
    if to == "hf":
        sections += [_limits(tally), _from_the_stage(outputs)]
    sections.append(_again(to, outputs, tally, commit))
    (folder / "README.md").write_text("\n".join(filter(None, sections)), encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns of which every cell begins with a digit or a sign stand on the right."""
    numeric = [bool(rows) and all(re.match(r"[-+]?\d", row[i]) for row in rows) for i in range(len(header))]
    lines = [header, ["---:" if right else "---" for right in numeric], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines) + "\n"


def hub_licences(licences: Sequence[str]) -> list[str]:
    """The licences in the Hub's words, each once."""
    known = [licence.lower() if licence.lower() in _HUB_LICENCES else "other" for licence in licences]
    return sorted(set(known))


def _opening_hf(folder: Path, tally: Tally) -> str:
    total, n_scenes = sum(tally.rows.values()), len(set().union(*tally.scenes.values()))
    return (
        f"{_hub_header('Actial viewpoint questions', tally)}# Viewpoint questions\n\n"
        f"{total:,} multiple-choice questions about {len(tally.views):,} pictures of {n_scenes:,} scenes: how did the camera move between the pictures,\n"
        "and what follows from it? The answers are computed from the cameras.\n\n"
        '    from datasets import load_dataset\n    questions = load_dataset("path/of/this/folder")\n\n'
        f"{_COLUMNS}\n{_splits(tally)}"
    )


def _opening_grpo(_: Path, tally: Tally) -> str:
    total, n_scenes = sum(tally.rows.values()), len(set().union(*tally.scenes.values()))
    modes = ", ".join(f"{n:,} {mode}" for mode, n in sorted(tally.modes.items()))
    return (
        f"{_hub_header('Actial prompts for GRPO', tally)}# Prompts for GRPO\n\n"
        f"{total:,} prompts ({modes}) about {len(tally.views):,} pictures of {n_scenes:,} scenes, which are in no other split. No answer is written: the\n"
        "truth stands beside each prompt, for a reward that reads what a model writes. Each prompt stands once, in the order of `cold_start_mix`.\n\n"
        f'    from datasets import load_dataset\n    prompts = load_dataset("path/of/this/folder", split="{next(iter(tally.rows))}")\n\n'
        f"{_COLUMNS_GRPO}\n## How trainers take them\n\n"
        "TRL: `GRPOTrainer(model, reward_funcs=right_answer, train_dataset=prompts)`. verl: the files in `data/` as `data.train_files`,\n"
        "`data.prompt_key=chat`, and a file with `compute_score` as its custom reward function. This reward asks for the right letter, or the right option's\n"
        "text, in the one pair of answer tags; add others for the form, or the length, of what is written:\n\n"
        f"```python\n{grpo.REWARD}```\n"
    )


def _hub_header(name: str, tally: Tally) -> str:
    """The YAML that the Hub and `datasets.load_dataset` read."""
    total = sum(tally.rows.values())
    header = {
        "pretty_name": name,
        "language": ["en"],
        "license": hub_licences([licence for _, licence in tally.views.values()]),
        "task_categories": ["visual-question-answering"],
        "tags": ["spatial-reasoning", "multi-view", "camera-motion"],
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>10M")],
        "configs": [{"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in tally.rows]}],
    }
    return f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n"


def _opening_llamafactory(_: Path, tally: Tally) -> str:
    names = ",".join(llamafactory.dataset_name(split) for split in tally.rows)
    modes = ", ".join(f"{n:,} {mode}" for mode, n in sorted(tally.modes.items()))
    return (
        "# Conversations for LLaMA-Factory\n\n"
        f"{sum(tally.rows.values()):,} conversations ({modes}) about {len(tally.views):,} pictures, in the sharegpt form, each with the system prompt\n"
        "of its mode. A row stands as often, and in the same order, as `cold_start_mix` has it. In LLaMA-Factory's settings:\n\n"
        f"    dataset_dir: path/of/this/folder\n    dataset: {names}\n    template: qwen2_vl\n\n"
        "`image_max_pixels` and `image_min_pixels` there are what `model.max_pixels` and `model.min_pixels` are here.\n"
        + (
            f"{tally.n_mirrored:,} pictures are mirror images, turned over and encoded as PNG; the others are the stored bytes.\n"
            if tally.n_mirrored
            else "Pictures are the stored bytes.\n"
        )
    )


def _opening_vlmeval(folder: Path, tally: Tally) -> str:
    names = [path.stem for path in sorted(folder.glob("*.tsv"))]
    return (
        "# Questions for VLMEvalKit\n\n"
        f"{sum(tally.rows.values()):,} multiple-choice questions about {len(tally.views):,} pictures, {len(names)} file{'s' if len(names) > 1 else ''}.\n"
        "VLMEvalKit takes a file it does not know as a custom multiple-choice set:\n\n"
        f"    LMUData=path/of/this/folder python run.py --data {' '.join(names)} --model MODEL\n\n"
        "`category` is the kind of question, `l2-category` says whether what the flat pictures suggest agrees with the answer. Pictures are the stored bytes\n"
        "in base64; a row about the pictures of an earlier one names its index instead. Options are asked in the order stored, once.\n\n"
        f"A file ends below {vlmeval.FILE_BYTES / 1e9:g} GB, since VLMEvalKit reads larger ones in another way, which fails where rows share pictures.\n\n"
        f"{_splits(tally)}"
    )


def _splits(tally: Tally) -> str:
    rows = [[split, f"{n:,}", f"{len(tally.scenes[split]):,}"] for split, n in tally.rows.items()]
    return "## Splits\n\n" + markdown_table(["split", "questions", "scenes"], rows)


def _kinds(tally: Tally) -> str:
    kinds = sorted(set().union(*tally.kinds.values()))
    header = ["kind", *tally.rows]
    rows = [[kind, *(f"{tally.kinds[split][kind]:,}" for split in tally.rows)] for kind in kinds]
    if tally.examples:
        header.append("for example")
        for kind, row in zip(kinds, rows, strict=True):
            asked = tally.examples[kind]
            row.append(f"{asked.text} ({' / '.join(asked.options)})")
    return "## Kinds\n\n" + markdown_table(header, rows)


def _quantities(tally: Tally) -> str:
    if not tally.values:
        return ""
    rule = (
        f"What decides an answer, over all splits. The last column is a histogram of {N_STEPS} equal steps from the least to the greatest. Lengths in r, the\n"
        "first camera's distance to the subject.\n\n"
    )
    header = ["kind", "decided by", "mostly, where positive", "questions", "least", "5 %", "median", "95 %", "greatest", "histogram"]
    rows = histogram_rows(tally.values)
    for row in rows:
        row.insert(2, next((label for label, _ in tally.positive[row[0]].most_common(1)), "never positive"))
    return "## Deciding quantities\n\n" + rule + markdown_table(header, rows)


def _pictures(tally: Tally) -> str:
    counts = Counter(tally.views.values())
    rows = [[source or "unknown", licence or "not stated", f"{n:,}"] for (source, licence), n in sorted(counts.items())]
    more = f"\n{len(rows) - SOURCES_SHOWN:,} more sources: see the licences below and each row.\n" if len(rows) > SOURCES_SHOWN else ""
    licences = Counter(licence or "not stated" for _, licence in tally.views.values())
    said = ", ".join(f"{name} ({n:,})" for name, n in sorted(licences.items()))
    table = markdown_table(["source", "licence", "pictures"], rows[:SOURCES_SHOWN])
    return f"## Pictures and their licences\n\nPictures by licence: {said}. The licence of each asset or capture travels with its pictures.\n\n{table}{more}"


def _reviews(reviews: Sequence[Review]) -> str:
    if not reviews:
        return ""
    answers = [answer for review in reviews for answer in review.answers]
    parts = [f"## People's answers\n\n{said_of(reviews)}\n\n{markdown_table(AGREEMENT_HEADER, agreement_rows(answers))}"]
    for (title, header), rows in zip(OTHERWISE_TABLES, otherwise_rows(reviews), strict=True):
        more = f"\n{len(rows) - NAMED:,} more.\n" if len(rows) > NAMED else ""
        if rows:
            parts.append(f"{title}:\n\n{markdown_table(header, rows[:NAMED])}{more}")
    return "\n".join(parts)


def _aside(tally: Tally) -> str:
    if not tally.aside:
        return ""
    return "## Set aside in this export\n\n" + markdown_table(["reason", "rows"], [[reason, f"{n:,}"] for reason, n in sorted(tally.aside.items())])


def _limits(tally: Tally) -> str:
    sources = {source for source, _ in tally.views.values()}
    limits = [
        "Answers follow from the stored cameras; where those were estimated (captures), they are as good as the estimate.",
        "Questions are templates in English with few wordings; the subject of a scene stands still.",
        "A model may answer by what slid where in the flat pictures. Column `cue` says where that misleads: read scores on the rows in conflict by themselves.",
    ]
    if sources <= {"blender", "boxes"}:
        limits.append("All pictures are rendered scenes of simple parts; what is learned from them need not hold for photographs.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits) + "\n"


def _from_the_stage(outputs: Path) -> str:
    """What the stage's own card tells of how the questions were made, whatever sections it has."""
    path = outputs / "build_qa" / "README.md"
    if not path.exists():
        return ""
    told = re.split(r"(?m)^## ", path.read_text(encoding="utf-8"))[1:]
    sections = [f"### {section.strip()}\n" for section in told if not section.startswith("Splits")]
    return (
        "## How the questions were made\n\nThe rest of this section is told by stage `build_qa`, of all its splits.\n\n" + "\n".join(sections)
        if sections
        else ""
    )


def _again(to: str, outputs: Path, tally: Tally, commit: str | None) -> str:
    stage = "cold_start_mix" if to in ("grpo", "llamafactory") else "build_qa"
    needed = STAGES[: STAGES.index(stage) + 1]
    steps = f"    dvc repro {stage}\n    actial export --to {to} --split {' '.join(tally.rows)}\n"
    settings = _merged({name: params for name, params in Outputs(outputs).settings.items() if name in needed})
    told = yaml.safe_dump(settings, sort_keys=True, allow_unicode=True, width=140) if settings else ""
    shown = (
        f"Settings that dvc.lock holds of these stages, to be put into `params.yaml`:\n\n```yaml\n{told}```\n"
        if told
        else "The settings are not known: the stages did not run by `dvc repro` or `actial run`.\n"
    )
    manifests = {name: outputs / name / "manifest.json" for name in needed}
    sums = [[f"`outputs/{name}/manifest.json`", f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`"] for name, path in manifests.items() if path.exists()]
    same = "\nThe same data has these checksums, which hold those of every file:\n\n" + markdown_table(["file", "SHA-256"], sums) if sums else ""
    return f"## How to make it again\n\nExported by Actial at {commit or 'an unknown commit'}. There:\n\n{steps}\n{shown}{same}"


def _merged(settings: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    return {key: value for params in settings.values() for key, value in params.items()}
