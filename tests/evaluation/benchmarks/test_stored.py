"""What is stored of a benchmark is what was read of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from test_cv_bench import ROWS_2D, ROWS_3D, SCHEMA
from toy_benchmarks import asked, write_parquet

from actial.evaluation.benchmarks.benchmark import Item, Quantity, Refused
from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.cv_bench import CV_BENCH
from actial.evaluation.benchmarks.registry import Found
from actial.evaluation.benchmarks.stored import _item_of, stored
from actial.shards import ViewStore


def published(folder: Path) -> Found:
    write_parquet(folder / "test_2d.parquet", SCHEMA, ROWS_2D)
    write_parquet(folder / "test_3d.parquet", SCHEMA, ROWS_3D)
    return Found(CV_BENCH, folder)


def without_nan(item: Item) -> Item:
    return replace(item.without_pictures(), question=replace(item.question, deciding_value=0.0, margin=0.0))


def test_items_and_pictures_come_back_each_picture_once(tmp_path: Path) -> None:
    found = published(tmp_path / "files")
    items, _ = asked(CV_BENCH, found.folder)
    for again in (stored(found, tmp_path / "store"), stored(found, tmp_path / "store")):
        assert [without_nan(i) for i in again.items] == [without_nan(i) for i in items]
    views = ViewStore(*again.views)
    assert len(views) == len({v for i in items for v in i.question.view_ids}) < len(items)
    for item in items:
        assert tuple(views.picture_bytes(v) for v in item.question.view_ids) == item.pictures
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_other_files_are_stored_anew(tmp_path: Path) -> None:
    before = stored(published(tmp_path / "files"), tmp_path / "store")
    write_parquet(tmp_path / "files" / "test_3d.parquet", SCHEMA, ROWS_3D[:1])
    after = stored(Found(CV_BENCH, tmp_path / "files"), tmp_path / "store")
    assert after.fingerprint != before.fingerprint and len(after.items) == len(before.items) - 1


def test_numbers_and_moves_come_back(tmp_path: Path) -> None:
    items, _ = asked(CV_BENCH, published(tmp_path).folder)
    for number in (None, Quantity(1.5, "m"), CameraMove((0.1, 0.0, -2.0, 0.0, 30.0))):
        item = replace(without_nan(items[0]), number=number, scene="room 3", prompt="<image>\nHow far?")
        assert _item_of(json.loads(json.dumps(asdict(item)))) == item


def test_every_item_is_stored_or_refused(tmp_path: Path) -> None:
    broken = [*ROWS_2D, ROWS_2D[0], ROWS_2D[1] | {"idx": 90, "answer": "(Q)"}, ROWS_2D[1] | {"idx": 91, "image": {"bytes": b"no picture", "path": None}}]
    write_parquet(tmp_path / "test_2d.parquet", SCHEMA, broken)
    write_parquet(tmp_path / "test_3d.parquet", SCHEMA, ROWS_3D)
    found = stored(Found(CV_BENCH, tmp_path), tmp_path / "store")
    assert found.refused == Counter(r.reason for r in CV_BENCH.items(tmp_path) if isinstance(r, Refused))
    assert len(found.items) + sum(found.refused.values()) == len(broken) + len(ROWS_3D) and sum(found.refused.values()) == 3
