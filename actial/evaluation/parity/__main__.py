"""`python -m actial.evaluation.parity RECORDS …`: what VLMEvalKit and lmms-eval would have scored on our completions, and why not the same.

Their rules are written anew from what they do (`vlmevalkit`, `lmms_eval`), by rules alone: a row for which a kit would ask a language model, or draw a letter,
is counted apart and wrong. Printed as Markdown: a table a model and mode, and which of their rules against which of ours makes the difference; every row of
the difference with its completion goes into the file that --rows names.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from actial.errors import exit_on_user_error
from actial.evaluation.parity.compare import Compared, compared
from actial.evaluation.parity.kits import kit_tasks
from actial.evaluation.parity.records import load_records

COLUMNS = (
    *("benchmark", "model", "mode", "sample", "kit", "task", "row_id", "truth", "their_answer", "their_rule", "to_judge", "our_answer", "our_rule"),
    *("options", "completion"),
)
Key = tuple[str, str, str, int | None]


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code.

    Raises:
        UserError: there are no records.
    """
    parser = argparse.ArgumentParser(prog="python -m actial.evaluation.parity", description="What VLMEvalKit and lmms-eval would have scored on our records.")
    parser.add_argument(
        "records", nargs="+", type=Path, metavar="RECORDS", help="folder of records (outputs/evaluate/records, or that of an evaluation), or files"
    )
    parser.add_argument("--rows", type=Path, metavar="FILE", help="write every row that makes a difference into this CSV file")
    parser.add_argument("--split-think", action="store_true", help="as VLMEvalKit does where SPLIT_THINK is set: only what follows the last </think> counts")
    options = parser.parse_args(arguments)
    tasks = kit_tasks(options.split_think)
    found, n_broken = load_records(options.records, frozenset(task.benchmark for task in tasks))
    if n_broken:
        print(f"{n_broken:,} lines are cut, or records of something else, and left out\n")
    results = [(key, [c for task in tasks if (c := compared(task, records)) is not None]) for key, records in found.items()]
    for key, of_key in results:
        print("\n".join(_table(key, of_key)), end="\n\n")
    if options.rows is not None:
        _write_rows(options.rows, results)
    return 0


def _table(key: Key, of_key: Sequence[Compared]) -> Iterator[str]:
    benchmark, model, mode, sample = key
    yield f"## {benchmark}, {model}, {mode}{'' if sample is None else f', sample {sample}'}\n"
    yield "| kit | task | number | theirs | ours, same formula | rows | to a judge | unread by us | rows that differ |"
    yield "| --- | --- | --- | --: | --: | --: | --: | --: | --: |"
    for c in of_key:
        for name, theirs, ours in c.values:
            numbers = " | ".join("n/a" if value is None else f"{100 * value:.2f}" for value in (theirs, ours))
            yield f"| {c.task.kit} | {c.task.name} | {name} | {numbers} | {c.n:,} | {c.n_to_judge:,} | {c.n_unread:,} | {len(c.differences):,} |"
    for c in of_key:
        if c.differences:
            yield f"\n{c.task.kit} {c.task.name}, rows that differ:\n"
            yield "| their rule | our rule | right is | rows | such as |"
            yield "| --- | --- | --- | --: | --- |"
            for d, n in c.causes():
                said = f"{d.record.item.row_id}: {d.theirs.letter or 'nothing'}, ours {d.ours.letter or 'nothing'}"
                yield f"| {d.theirs.rule} | {d.ours.rule} | {'ours' if d.ours_is_right else 'theirs'} | {n:,} | {said} |"


def _write_rows(path: Path, results: Sequence[tuple[Key, Sequence[Compared]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for (benchmark, model, mode, sample), of_key in results:
            for c in of_key:
                for d in c.differences:
                    question = d.record.item.question
                    row = (benchmark, model, mode, "" if sample is None else sample, c.task.kit, c.task.name, d.record.item.row_id, question.truth)
                    readings = (d.theirs.letter or "", d.theirs.rule, d.theirs.by_judge, d.ours.letter or "", d.ours.rule)
                    table.writerow((*row, *readings, " | ".join(question.options), d.record.completion))


if __name__ == "__main__":
    raise SystemExit(exit_on_user_error(lambda: main(sys.argv[1:])))
