"""Captures as they arrive when something went wrong: each is a whole one of a real format, with one thing changed."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from toy_captures import NO_POINTS, ToyCapture, ring, write_capture

from actial.geometry.conventions import opencv_from_blender
from actial.rng import generator_for
from actial.shards import encode_png

Damage = Callable[[Path], object]
"""Done to a capture's folder."""
UNREADABLE, FEW, LINK, NONE = "files not readable", "too few usable pictures", "symbolic link to a folder", "no COLMAP model, no transforms.json"
UP, CENTER = "up not known", "object's centre not known"
WIDTH_PX, HEIGHT_PX = 24, 20


def whole(seed: int = 0) -> ToyCapture:
    """Eight small grey pictures of nothing, from all around."""
    rng = generator_for(seed, "whole")
    K = np.array([[21.0, 0, 12.5], [0, 20.0, 9.5], [0, 0, 1]])
    grey = encode_png(np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8))
    points = rng.normal(scale=0.2, size=(60, 3))
    return ToyCapture([f"{i}.png" for i in range(8)], [grey] * 8, [K] * 8, ring(rng, 8), points, np.zeros(3), (WIDTH_PX, HEIGHT_PX))


def malformed() -> Iterator[tuple[str, str, Damage, str | None]]:
    """Name, format, damage, and the reason for which the capture is refused; None where it is as good as before, or has enough pictures left."""
    for form, damages in (("colmap-binary", _binary()), ("colmap-text", _text()), ("transforms", _transforms()), ("co3d", _co3d())):
        yield from ((f"{form}: {name}", form, damage, reason) for name, damage, reason in damages)
    for name, damage, reason in _pictures():
        yield f"pictures: {name}", "colmap-binary", damage, reason


def write_malformed(root: Path) -> dict[str, str | None]:
    """All of them, each in a folder of its own below `root`: the reason for refusing it by the folder's name."""
    reasons = {}
    for number, (name, form, damage, reason) in enumerate(malformed()):
        set_name = f"set {number:03d}" if form == "co3d" else "."  # a category of its own: the annotations are its sequences' common file
        folder = root / set_name / name.replace("/", "_")
        write_capture(folder, whole(), form)
        damage(folder)
        reasons[folder.relative_to(root).as_posix()] = reason
    return reasons


def _in_file(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def _put(form: str, at: int, *values: Any) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + struct.pack("<" + form, *values) + data[at + struct.calcsize("<" + form) :]


def _bits(seed: int) -> Callable[[bytes], bytes]:
    def turned_over(data: bytes) -> bytes:
        rng, damaged = generator_for(seed, "bits"), bytearray(data)
        for at in rng.integers(0, len(data), 30):
            damaged[at] ^= 1 << int(rng.integers(8))
        return bytes(damaged)

    return turned_over


def _pipe_instead(name: str) -> Damage:
    return lambda folder: ((folder / name).unlink(), os.mkfifo(folder / name))


def _binary() -> list[tuple[str, Damage, str | None]]:
    cameras, images, points = (f"sparse/0/{name}.bin" for name in ("cameras", "images", "points3D"))
    first_name = 8 + 4 + 7 * 8 + 4  # count; id, pose, camera: where the name of the first image begins
    return [
        ("cameras cut by a byte", _in_file(cameras, lambda d: d[:-1]), UNREADABLE),
        ("images cut in the middle", _in_file(images, lambda d: d[: len(d) // 2]), UNREADABLE),
        ("images empty", _in_file(images, lambda d: b""), UNREADABLE),
        ("points cut", _in_file(points, lambda d: d[:-5]), UNREADABLE),
        ("a count of 2^63", _in_file(images, _put("Q", 0, 2**63)), UNREADABLE),
        ("a count of observations of 2^60", _in_file(images, _put("Q", first_name + 6, 2**60)), UNREADABLE),
        ("no cameras", _in_file(cameras, lambda d: bytes(8)), FEW),
        ("bytes after the end", _in_file(images, lambda d: d + b"more"), UNREADABLE),
        ("an unknown lens model", _in_file(cameras, _put("i", 12, 99)), UNREADABLE),
        ("a camera 2^60 wide", _in_file(cameras, _put("Q", 16, 2**60)), None),
        ("a focal length of NaN", _in_file(cameras, _put("d", 32, float("nan"))), None),
        ("a quaternion of zeros", _in_file(images, _put("4d", 12, 0, 0, 0, 0)), None),
        ("a quaternion of 1e300", _in_file(images, _put("4d", 12, 1e300, 1e300, 0, 0)), None),
        ("a translation of infinity", _in_file(images, _put("d", 44, float("inf"))), None),
        ("a name without end", _in_file(images, lambda d: d[: first_name + 3]), UNREADABLE),
        ("a name that is not UTF-8", _in_file(images, _put("5s", first_name, b"\xff\xfe\xfd\xfc\xfb")), UNREADABLE),
        ("a name that leads out", _in_file(images, _put("5s", first_name, b"../.p")), None),
        ("a name from the root", _in_file(images, _put("5s", first_name, b"/etc/")), None),
        ("a picture where the images belong", _in_file(images, lambda d: whole().pictures[0]), UNREADABLE),
        ("a folder where the images belong", lambda f: ((f / images).unlink(), (f / images).mkdir()), NONE),
        ("a pipe where the images belong", _pipe_instead(images), NONE),
        ("a link in a circle where the points belong", lambda f: ((f / points).unlink(), (f / points).symlink_to(f / points)), None),
    ]


def _text() -> list[tuple[str, Damage, str | None]]:
    cameras, images = "sparse/0/cameras.txt", "sparse/0/images.txt"
    return [
        ("a word where a number belongs", _in_file(images, lambda d: d.replace(b"0.", b"zero.", 1)), UNREADABLE),
        ("a number of 5,000 digits", _in_file(cameras, lambda d: d.replace(b"1 PINHOLE", b"1" * 5000 + b" PINHOLE", 1)), UNREADABLE),
        ("not UTF-8", _in_file(images, lambda d: d.replace(b"0.png", b"\xff\xfe.png")), UNREADABLE),
        ("UTF-16", _in_file(images, lambda d: d.decode().encode("utf-16")), UNREADABLE),
        ("a line of 8 MB", _in_file(images, lambda d: b"1 " * 4_000_000 + b"\n" + d), UNREADABLE),
        ("a line cut", _in_file(images, lambda d: d[:-100].rsplit(b"\n", 1)[0][:-30]), UNREADABLE),
        ("nan in a pose", _in_file(images, lambda d: d.replace(b" 0.", b" nan ", 1).replace(b" nan ", b" nan0.", 1)), UNREADABLE),
        ("a camera without its last parameter", _in_file(cameras, lambda d: b"\n".join(line.rsplit(b" ", 1)[0] for line in d.splitlines())), UNREADABLE),
        ("an invented lens model", _in_file(cameras, lambda d: d.replace(b"PINHOLE", b"KEYHOLE")), FEW),
        ("line ends of Windows", _in_file(images, lambda d: d.replace(b"\n", b"\r\n")), None),
        ("no cameras but comments", _in_file(cameras, lambda d: b"# none\n"), FEW),
    ]


def _json(change: Callable[[Any], Any]) -> Damage:
    """`change` edits what is in the file, or returns what takes its place."""

    def damage(folder: Path) -> None:
        data = json.loads((folder / "transforms.json").read_text())
        data = change(data) or data
        (folder / "transforms.json").write_text(json.dumps(data))

    return damage


def _frames(key: str, *values: object) -> Damage:
    """The same key of as many frames set to these values."""
    return _json(lambda data: [frame.update({key: value}) for frame, value in zip(data["frames"], values, strict=False)] and None)


def _poses(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    return _json(lambda data: [frame.update(transform_matrix=change(np.array(frame["transform_matrix"])).tolist()) for frame in data["frames"]] and None)


def _scaled(by: float) -> Damage:
    return _poses(lambda T: T * np.array([[1, 1, 1, by]] * 3 + [[1, 1, 1, 1]]))


def _transforms() -> list[tuple[str, Damage, str | None]]:
    file = "transforms.json"
    return [
        ("cut", _in_file(file, lambda d: d[: len(d) // 2]), UNREADABLE),
        ("empty", _in_file(file, lambda d: b""), UNREADABLE),
        ("not UTF-8", _in_file(file, lambda d: d.replace(b"0.png", b"\xff.png")), UNREADABLE),
        ("a hundred thousand brackets", _in_file(file, lambda d: b"[" * 100_000), UNREADABLE),
        ("frames nested deep", _in_file(file, lambda d: b'{"frames": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), UNREADABLE),
        ("no frames", _json(lambda d: {"frames": []}), FEW),
        ("frames that are no list", _json(lambda d: {"frames": {"0": d["frames"][0]}}), UNREADABLE),
        ("frames that are numbers", _json(lambda d: {"frames": [1, 2, 3]}), UNREADABLE),
        ("a number of 5,000 digits", _in_file(file, lambda d: d.replace(b'"w": 24', b'"w": ' + b"9" * 5000, 1)), UNREADABLE),
        ("a number of 400 digits", _in_file(file, lambda d: d.replace(b'"w": 24', b'"w": ' + b"9" * 400, 1)), None),
        ("names that lead out, are none, or too long", _frames("file_path", "../../../etc/hostname", "/dev/zero"), None),
        ("a name of 5,000 letters and one with a zero byte", _frames("file_path", "x" * 5000 + ".png", "a\0b.png"), None),
        ("names of the wrong kind in every frame", _frames("file_path", *[None, 3, [], {}, True, "", ".", "images"]), FEW),
        ("poses of the wrong kind", _frames("transform_matrix", "identity", [[1]]), None),
        ("poses of NaN and infinity", _frames("transform_matrix", [[float("nan")] * 4] * 4, [[float("inf")] * 4] * 4), None),
        ("every pose a reflection", _poses(lambda T: T @ np.diag([-1.0, 1, 1, 1])), FEW),
        ("every pose the same", _json(lambda d: [frame.update(transform_matrix=d["frames"][0]["transform_matrix"]) for frame in d["frames"]] and None), UP),
        ("OpenCV's axes", _poses(opencv_from_blender), CENTER),
        ("the world's transform to the camera", _poses(np.linalg.inv), UP),
        ("millimetres", _scaled(1000), None),
        ("micrometres of another galaxy", _scaled(1e18), FEW),
        ("a focal length of zero", _frames("fl_x", *[0] * 8), FEW),
        ("pictures of negative size", _frames("w", *[-24] * 8), FEW),
        ("width and height exchanged", _json(lambda d: [f.update(w=HEIGHT_PX, h=WIDTH_PX) for f in d["frames"]] and None), FEW),
        ("points that lead out", _json(lambda d: d | {"ply_file_path": "../../../points.ply"}), UNREADABLE),
        ("a thousand million points in 60 bytes", _ply(b"element vertex 999999999\nproperty float x\nproperty float y\nproperty float z\n"), UNREADABLE),
        ("points in a pipe", lambda f: (_json(lambda d: d | {"ply_file_path": "points.ply"})(f), os.mkfifo(f / "points.ply")), UNREADABLE),
    ]


def _ply(header: bytes) -> Damage:
    data = b"ply\nformat binary_little_endian 1.0\n" + header + b"end_header\n"
    return lambda f: (_json(lambda d: d | {"ply_file_path": "points.ply"})(f), (f / "points.ply").write_bytes(data))


def _annotations(change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder.parent / "frame_annotations.jgz"
        frames = json.loads(gzip.decompress(path.read_bytes()))
        frames = change(frames) or frames
        path.write_bytes(gzip.compress(json.dumps(frames).encode(), mtime=0))

    return damage


def _viewpoints(**values: object) -> Damage:
    return _annotations(lambda frames: [frame["viewpoint"].update(values) for frame in frames] and None)


def _co3d() -> list[tuple[str, Damage, str | None]]:
    file = "../frame_annotations.jgz"
    return [
        ("cut", _in_file(file, lambda d: d[: len(d) // 2]), UNREADABLE),
        ("bits turned over", _in_file(file, _bits(1)), UNREADABLE),
        ("not compressed", _in_file(file, gzip.decompress), UNREADABLE),
        ("a bomb of three gigabytes of spaces", _in_file(file, lambda d: gzip.compress(b" " * 2**24, 1, mtime=0) * 200), UNREADABLE),
        ("a bomb of nested lists", _in_file(file, lambda d: gzip.compress(b'[{"a":' + b"[" * 2**22, mtime=0)), UNREADABLE),
        ("a map where the list belongs", _annotations(lambda frames: {"frames": frames}), UNREADABLE),
        ("frames without a sequence", _annotations(lambda frames: [{"image": frame["image"]} for frame in frames]), UNREADABLE),
        ("another sequence's frames", _annotations(lambda frames: [frame | {"sequence_name": "1_2_3"} for frame in frames]), "not in the annotations"),
        ("paths that lead out", _annotations(lambda frames: [frame["image"].update(path="../../../../etc/hostname") for frame in frames] and None), FEW),
        ("another sequence's pictures", _annotations(lambda frames: [frame["image"].update(path="a/b/images/0.png") for frame in frames] and None), FEW),
        ("no viewpoints", _annotations(lambda frames: [frame | {"viewpoint": None} for frame in frames]), FEW),
        ("R transposed", _annotations(lambda fs: [f["viewpoint"].update(R=np.array(f["viewpoint"]["R"]).T.tolist()) for f in fs] and None), UP),
        ("T of NaN", _viewpoints(T=[float("nan")] * 3), FEW),
        ("focal lengths of infinity", _viewpoints(focal_length=[float("inf"), 1.0]), FEW),
        ("an unknown format of intrinsics", _viewpoints(intrinsics_format="pixels"), FEW),
        ("height and width exchanged", _annotations(lambda frames: [frame["image"].update(size=[WIDTH_PX, HEIGHT_PX]) for frame in frames] and None), FEW),
        ("points cut", lambda f: (f / "pointcloud.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 5\n"), UNREADABLE),
    ]


def _each(change: Callable[[Path], object]) -> Damage:
    """Done to every picture."""
    return lambda folder: [change(path) for path in sorted((folder / "images").iterdir())]


def _instead(make: Callable[[Path], object]) -> Damage:
    return _each(lambda path: (path.unlink(), make(path)))


def _png_of(width_px: int, height_px: int) -> bytes:
    """A picture whose header announces another size."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()[:16] + struct.pack(">II", width_px, height_px) + data.getvalue()[24:]


def _pictures() -> list[tuple[str, Damage, str | None]]:
    noise = encode_png(generator_for(0, "noise").integers(0, 255, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8))
    return [
        ("none", lambda f: [path.unlink() for path in (f / "images").iterdir()], FEW),
        ("half of them gone", lambda f: [path.unlink() for path in sorted((f / "images").iterdir())[:4]], FEW),
        ("one gone", lambda f: (f / "images/3.png").unlink(), None),
        ("empty", _each(lambda path: path.write_bytes(b"")), FEW),
        ("cut", _each(lambda path: path.write_bytes(noise[: len(noise) // 2])), FEW),
        ("text", _each(lambda path: path.write_text("a picture")), FEW),
        ("a header of 60,000 pixels squared", _each(lambda path: path.write_bytes(_png_of(60_000, 60_000))), FEW),
        ("a header of the right size, other data", _each(lambda path: path.write_bytes(_png_of(WIDTH_PX, HEIGHT_PX))), FEW),
        ("of another size", _each(lambda path: path.write_bytes(encode_png(np.zeros((40, 48, 3), np.uint8)))), FEW),
        ("folders", _instead(lambda path: path.mkdir()), FEW),
        ("pipes", _instead(os.mkfifo), FEW),
        ("links in a circle", _instead(lambda path: path.symlink_to(path.name)), FEW),
        ("links to /dev/zero", _instead(lambda path: path.symlink_to("/dev/zero")), FEW),
        ("a folder that links to its own parent", lambda f: (f / "images/again").symlink_to(f, target_is_directory=True), LINK),
        ("masks that are text", lambda f: ((f / "masks").mkdir(), [(f / f"masks/{i}.png").write_text("a mask") for i in range(8)]), None),
        ("a mask of 60,000 pixels squared", lambda f: ((f / "masks").mkdir(), (f / "masks/0.png").write_bytes(_png_of(60_000, 60_000))), None),
        ("a licence of zero bytes", lambda f: (f / "LICENSE").write_bytes(bytes(1000)), "licence not readable"),
    ]


def write_good(root: Path, n: int) -> None:
    """Captures without a fault, a third of them in each of three formats."""
    for i in range(n):
        capture = replace(whole(i + 1), points=NO_POINTS)
        write_capture(root / f"good {i:03d}", capture, ("colmap-binary", "colmap-text", "transforms")[i % 3])
