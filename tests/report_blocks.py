"""What a report's page carries for its script, read back."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any


def pictures_of(report: Path) -> dict[str, str]:
    """Addresses of the pictures, by view id."""
    blocks = re.findall(r'<script type="application/json" id="pictures[^>]*>(.*?)</script>', _text(report))
    assert blocks
    return {view_id: address for block in blocks for view_id, address in json.loads(block).items()}


def index_of(report: Path) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="index">(.*?)</script>', _text(report))
    assert block is not None
    return json.loads(block[1])


def questions_of(report: Path) -> dict[str, dict[str, Any]]:
    """By id, what the page shows of each question."""
    found = [q for block in _blocks(report) for q in block["questions"]]
    return dict(zip(index_of(report)["ids"], found, strict=True))


def sketches_of(report: Path) -> dict[str, str]:
    """By the ids of their views."""
    return {views: sketch for block in _blocks(report) for views, sketch in block["sketches"].items()}


def _blocks(report: Path) -> list[dict[str, Any]]:
    packed = re.findall(r'<script type="text/plain" id="questions-\d+">(.*?)</script>', _text(report))
    return [json.loads(gzip.decompress(base64.b64decode(block))) for block in packed]


def _text(report: Path) -> str:
    return report.read_text(encoding="utf-8")
