"""The card's section on data sets from outside, and on what training shares with benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from actial.params_external import External
from actial.questions.external import Joined
from actial.questions.leakage import MOST_BITS, Leakage

_JOINED = """## From outside

Beside the questions counted above the splits hold these, as their authors wrote them, with the options in an order drawn by the seed. Their pictures, in
`views/`, have no known camera: nothing here is computed, mirrored or told in chains of thought.

"""
_COMPARED = """## Shared with benchmarks

Pictures that questions of train and rl show, compared with each benchmark in `data/external/benchmarks`, and those from outside with our own test. The same
picture: 64-bit perceptual hashes that differ in at most {bits} bits, which finds pictures that were resized or encoded anew, not such as were cropped or
mirrored. The same asset: its id stands in the name of the other picture. Not compared: what does not open, or is nearly of one gray. All finds are listed in
`leakage.json`; none is left out of training for it.

"""


def external_section(external: Sequence[External], joined: Joined, leakage: Leakage | None) -> str:
    """Markdown; empty where there is nothing to tell."""
    told = []
    if external:
        told.append(_JOINED + _data_sets(external, joined) + "\n")
    if leakage is not None:
        told.append(_COMPARED.format(bits=MOST_BITS) + _comparisons(leakage) + "\n")
    return "\n".join(told)


def _data_sets(external: Sequence[External], joined: Joined) -> str:
    rows = ["| data set | from | licence of its pictures | rows read | set aside | train | rl | kinds |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for entry in external:
        questions = {split: [q for q in found if q.source == entry.name] for split, found in joined.questions.items()}
        kinds = Counter(q.kind for found in questions.values() for q in found)
        aside = {reason: n for (name, reason), n in sorted(joined.refused.items()) if name == entry.name}
        cells = [
            entry.name,
            f"{entry.hub} at {entry.revision}, {entry.path}" if entry.hub else f"data/external/{entry.path}",
            entry.licence,
            f"{joined.n_read[entry.name]:,}",
            ", ".join(f"{n:,} {reason}" for reason, n in aside.items()) or "0",
            *(f"{len(found):,}" for found in questions.values()),
            ", ".join(f"{kind} {n:,}" for kind, n in sorted(kinds.items())),
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _comparisons(leakage: Leakage) -> str:
    found, by_asset = leakage.n_leaks(), Counter((leak.data_set, leak.reference) for leak in leakage.leaks if leak.by == "asset")
    rows = ["| pictures of | compared | not compared | with | its pictures | not compared | found in it | of these by asset id |", "| --- " * 8 + "|"]
    for shown, references in leakage.compared:
        for of in references:
            pictures = f"{len(of.pictures):,} | {of.n_not_compared:,} | {found[shown.name, of.name]:,} | {by_asset[shown.name, of.name]:,}"
            rows.append(f"| {shown.name} | {len(shown.pictures):,} | {shown.n_not_compared:,} | {of.name} | {pictures} |")
    return "\n".join(rows) + "\n"
