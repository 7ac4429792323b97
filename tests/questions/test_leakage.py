"""What training shares with benchmarks: planted copies are found, other pictures are not."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_external import SAT, encoded, sat_row, write_sat
from toy_scenes import make_project, run_stage

from actial.errors import UserError
from actial.questions.leakage import MOST_BITS, asset_ids, benchmark_pictures, benchmarks, hashed, perceptual_hash, same_assets, same_pictures
from actial.shards import encode_png
from actial.views import committed
from actial.views.boxes import render_scene
from actial.views.committed import Plan

N_SCENES = 150
PLAN = Plan(root_seed=11, source="boxes", views_per_scene=2, width_px=112, height_px=112, samples=2)


@pytest.fixture(scope="module")
def rendered() -> dict[str, bytes]:
    """One picture of each of many scenes."""
    pictures = {}
    for i in range(N_SCENES):
        scene, shots = committed.composed(PLAN, f"scene-{i:06d}")
        pictures[f"scene-{i:06d}.v00"] = encode_png(render_scene(scene, shots[:1])[0].pixels)
    return pictures


def encoded_anew(data: bytes, scale: float, quality: int) -> bytes:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    out = io.BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS).save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.mark.parametrize(("scale", "quality"), [(1.0, 95), (0.7, 60), (2.5, 75)])
def test_a_copy_that_was_resized_and_encoded_anew_is_found_and_no_other_scene(rendered: dict[str, bytes], scale: float, quality: int) -> None:
    copies = hashed("benchmark", ((f"copy of {name}", encoded_anew(data, scale, quality)) for name, data in rendered.items()))
    found = list(same_pictures(hashed("ours", rendered.items()), [copies]))
    assert {(leak.view_id, leak.picture) for leak in found} == {(name, f"copy of {name}") for name in rendered}
    assert all(leak.by == "picture" and leak.bits is not None and leak.bits <= MOST_BITS for leak in found)


def test_different_scenes_are_not_the_same(rendered: dict[str, bytes]) -> None:
    names = list(rendered)
    half = {name: rendered[name] for name in names[::2]}, {name: rendered[name] for name in names[1::2]}
    assert not list(same_pictures(hashed("a", half[0].items()), [hashed("b", half[1].items())]))


def test_the_nearest_is_named_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a count of differing bits, over more pictures than are compared at a time."""
    monkeypatch.setattr("actial.questions.leakage.AT_ONCE", 7)
    shown = hashed("shown", ((f"s{i}", encoded(f"blobs {i % 30}", quality=90 - i)) for i in range(60)))
    of = hashed("of", ((f"o{i}", encoded(f"blobs {i}")) for i in range(20)))
    bits = np.unpackbits(shown.hashes[:, None] ^ of.hashes[None], axis=2).sum(axis=2)
    expected = {(f"s{i}", f"o{bits[i].argmin()}", int(bits[i].min())) for i in range(60) if bits[i].min() <= MOST_BITS}
    assert {(leak.view_id, leak.picture, leak.bits) for leak in same_pictures(shown, [of])} == expected and len(expected) == 40


def test_what_shows_nothing_is_not_compared() -> None:
    gray = encode_png(np.full((50, 50, 3), 120, np.uint8))
    assert perceptual_hash(gray) is None and perceptual_hash(b"no picture") is None and perceptual_hash(b"") is None
    found = hashed("x", [("gray", gray), ("cut", encoded("a")[:100]), ("good", encoded("a"))])
    assert found.pictures[-1:] == ("good",) and found.n_not_compared + len(found.pictures) == 3


def test_an_assets_id_in_a_name_is_found_and_words_are_not() -> None:
    assert asset_ids("co3d/apple/110_13051_23361") == {"110_13051_23361"} and asset_ids("12/0a003405/images/000012.jpg") == {"0a003405"}
    assert not asset_ids("chairs/wooden_chair.png") and not asset_ids("blender")
    of = hashed("benchmark", [("val/0A003405/7.jpg", encoded("a")), ("val/other/8.jpg", encoded("b"))])
    (leak,) = same_assets("ours", {"scene-000001.v00": "mvimgnet/12/0a003405", "scene-000002.v00": "boxes"}, [of])
    assert (leak.view_id, leak.picture, leak.by, leak.bits) == ("scene-000001.v00", "val/0A003405/7.jpg", "asset", None)


def write_benchmarks(root: Path, wanted: bytes) -> None:
    """The same picture in every form that benchmarks come in."""
    (root / "folder/images").mkdir(parents=True)
    (root / "folder/images/1.jpg").write_bytes(wanted)
    (root / "folder/notes.txt").write_text("no picture")
    nested = [
        {"question": "?", "frames": [{"bytes": encoded("other"), "path": "a.jpg"}, {"bytes": wanted, "path": "b.jpg"}], "extra": {"thumb": {"bytes": wanted}}}
    ]
    pq.write_table(pa.Table.from_pylist(nested), root / "hub.parquet")
    pq.write_table(pa.Table.from_pylist([{"image_bytes": [encoded("other"), wanted]}]), root / "sat.parquet")
    as_text = lambda data: base64.b64encode(data).decode()
    lines = ["index\timage\tquestion", f"0\t['{as_text(encoded('other'))}', '{as_text(wanted)}']\tWhich?", f"1\t{as_text(wanted)}\t{'x' * 300}"]
    (root / "kit.tsv").write_text("\n".join(lines))


def test_every_form_of_benchmark_is_read(tmp_path: Path) -> None:
    wanted = encoded("wanted", 80, "PNG")
    write_benchmarks(tmp_path, wanted)
    (tmp_path / ".hidden").mkdir()
    found = {name: list(benchmark_pictures(path)) for name, path in benchmarks(tmp_path).items()}
    places = {name: [picture for picture, data in pictures if data == wanted] for name, pictures in found.items()}
    assert places == {
        "folder": ["folder/images/1.jpg"],
        "hub": ["hub.parquet row 0 frames b.jpg", "hub.parquet row 0 extra"],
        "kit": ["kit.tsv row 1", "kit.tsv row 2"],
        "sat": ["sat.parquet row 0 image_bytes"],
    }
    assert benchmarks(tmp_path / "none") == {}
    (tmp_path / "bad.parquet").write_text("no Parquet")
    with pytest.raises(UserError, match="is not a readable Parquet file"):
        list(benchmark_pictures(tmp_path / "bad.parquet"))


def test_the_stage_says_what_was_compared_and_found(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 24, build_qa__external=[SAT])
    write_sat(root, [sat_row(i) for i in range(12)])
    (root / "data/external/benchmarks").mkdir()
    write_benchmarks(root / "data/external/benchmarks", encoded("sat 3", 70, quality=60))
    done = run_stage(root, "build_qa")
    assert done.returncode == 0, done.stderr
    out = root / "outputs/build_qa"
    found = json.loads((out / "leakage.json").read_text())
    assert {(leak["data_set"], leak["reference"], leak["by"]) for leak in found["leaks"]} == {
        ("sat", name, "picture") for name in ("folder", "hub", "kit", "sat")
    }
    assert len({leak["view_id"] for leak in found["leaks"]}) == 1 and set(found["compared"]) == {"made here", "sat"}
    assert found["compared"]["sat"]["with"]["our test"] == {"pictures": 0, "not_compared": 24}, "toy pictures are of one gray"
    assert json.loads((out / "manifest.json").read_text())["made"]["pictures of sat that are in kit"] == 1
    assert "| sat | 16 | 0 | folder | 1 | 0 | 1 | 0 |" in (out / "README.md").read_text()
    assert str(tmp_path) not in (out / "leakage.json").read_text() + (out / "README.md").read_text()
