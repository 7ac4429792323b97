"""Files as they are published: pictures in TSV cells, rows in JSON lines, and files that are broken."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from toy_benchmarks import png, write_tsv

from actial.errors import UserError
from actial.evaluation.benchmarks.published import Row, published_rows
from actial.questions.external_rows import RefusedRow


def encoded(name: str) -> str:
    return base64.b64encode(png(name)).decode()


def rows(folder: Path, name: str, columns: tuple[str, ...] = ("index",)) -> list[Row]:
    return list(published_rows("Toy", folder, (name,), columns))


def test_a_tsv_cell_holds_a_picture_a_list_of_them_or_the_index_of_a_row_before_or_after(tmp_path: Path) -> None:
    cells = {0: "4", 1: encoded("a"), 2: f"['{encoded('b')}', '{encoded('c')}']", 3: "2", 4: encoded("d")}
    write_tsv(tmp_path / "toy.tsv", ("index", "image"), [{"index": index, "image": cell} for index, cell in cells.items()])
    found = [row.base64_pictures() for row in rows(tmp_path, "toy.tsv", ("index", "image"))]
    assert found == [[png("d")], [png("a")], [png("b"), png("c")], [png("b"), png("c")], [png("d")]]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1", "a picture that cannot be read"),  # refers to a row that itself refers on
        ("99", "no image"),
        ("[not a list, but long enough not to be taken for the index of a row]", "a picture that cannot be read"),
        ("not base64, but long enough not to be taken for the index of another row", "a picture that cannot be read"),
        ("", "no picture"),
    ],
)
def test_a_tsv_cell_that_holds_no_picture_is_refused(tmp_path: Path, cell: str, reason: str) -> None:
    write_tsv(tmp_path / "toy.tsv", ("index", "image"), [{"index": 0, "image": encoded("a")}, {"index": 1, "image": "0"}, {"index": 2, "image": cell}])
    with pytest.raises(RefusedRow, match=reason):
        rows(tmp_path, "toy.tsv", ("index", "image"))[2].base64_pictures()


def test_json_lines_that_are_none_end_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    path.write_text(json.dumps({"index": 1, "text": "one"}) + "\n\n" + json.dumps({"index": 2}) + "\n")
    assert [(row.number, row.cells["index"], row.word("text")) for row in rows(tmp_path, "toy.jsonl")] == [(0, 1, "one"), (1, 2, "")]
    path.write_text('{"index": 1}\n{"index": 2, "te')
    with pytest.raises(UserError, match=r"line 2 of .*toy.jsonl is not JSON: fetch Toy again"):
        rows(tmp_path, "toy.jsonl")
    path.write_text('{"index": 1}\n[2]\n')
    with pytest.raises(UserError, match=r"line 2 of .*toy.jsonl is not a JSON object"):
        rows(tmp_path, "toy.jsonl")
    path.write_text('{"index": 1}\n{"idx": 2}\n')
    with pytest.raises(UserError, match=r"has no column index in line 2, which Toy is published with; it has idx"):
        rows(tmp_path, "toy.jsonl")
