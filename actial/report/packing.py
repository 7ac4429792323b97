"""Data inside a page: pictures in blocks that are read when one of them is first shown, records packed small."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from actial.report.page import Html, data_block, escape, join

BLOCK_CHARACTERS = 1_000_000
"""A block of pictures ends at so many; a page's script reads it whole to show one of them."""


def picture_blocks(addresses: Mapping[str, str]) -> Html:
    """Addresses of pictures (see `page.data_uri`), by id, for `pictures.js`: sorted, and each block names the id it begins with."""
    blocks: list[dict[str, str]] = [{}]
    n_characters = 0
    for picture_id in sorted(addresses):
        if n_characters > BLOCK_CHARACTERS:
            blocks.append({})
            n_characters = 0
        blocks[-1][picture_id] = addresses[picture_id]
        n_characters += len(addresses[picture_id])
    more = (data_block(f"pictures-{i}", block, data_from=next(iter(block))) for i, block in enumerate(blocks[1:], start=1))
    return join([data_block("pictures", blocks[0]), *more])


def packed_block(identifier: str, value: Any) -> Html:
    """JSON for the page's script, packed by gzip: what models write repeats itself, and shrinks to a tenth. The bytes are the same each time."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()
    return Html(f'<script type="text/plain" id="{escape(identifier)}">{packed}</script>')
