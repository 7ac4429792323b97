"""Which files a USD layer names: USD follows references as soon as it opens a layer, so they are read before.

Sources: OpenUSD's crate format as written in its `pxr/usd/usd/crateFile.h` (bootstrap, table of contents, section TOKENS: every path and asset name of a
layer is a token), its compression `pxr/base/tf/fastCompression.h`, and the LZ4 block format description.
"""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

from actial.errors import RefusedAsset

MAGIC = b"PXR-USDC"
LARGEST_TOKENS_BYTES = 64_000_000
LARGEST_PACKAGE_BYTES = 2_000_000_000
LAYERS = (".usd", ".usda", ".usdc")
_ASSET_PATH = re.compile(rb"@@@(.+?)@@@|@([^@\n]+)@", re.DOTALL)
_FILE_NAME = re.compile(r"\.(usd[acz]?|abc|png|jpe?g|exr|hdr|tiff?|tga|bmp|webp|mtlx|osl|py|vdb)(\[|$)", re.IGNORECASE)


def named_files(path: Path) -> list[str]:
    """Paths that a layer (.usd, .usda, .usdc), or any layer of a package (.usdz), names, as they stand there.

    Raises:
        RefusedAsset: the file is no such layer or package.
    """
    if path.suffix.lower() != ".usdz":
        return _named_in(path.read_bytes())
    try:
        with zipfile.ZipFile(path) as package:
            if sum(entry.file_size for entry in package.infolist()) > LARGEST_PACKAGE_BYTES:
                raise RefusedAsset("too large", f"its package unpacks to more than {LARGEST_PACKAGE_BYTES / 1e9:g} GB")
            layers = [name for name in package.namelist() if name.lower().endswith(LAYERS)]
            return package.namelist() + [name for layer in layers for name in _named_in(package.read(layer))]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:  # what zipfile raises: damaged, cut, packed oddly, encrypted
        raise RefusedAsset("cannot be read", f"it is no USD package ({str(error)[:80]})") from None


def _named_in(layer: bytes) -> list[str]:
    if layer.startswith(MAGIC):
        return [token for token in _tokens(layer) if _FILE_NAME.search(token)]
    if not layer.startswith(b"#usda"):
        raise RefusedAsset("cannot be read", "it is neither a text nor a binary USD layer")
    return [(quoted or plain).decode("utf-8", "replace") for quoted, plain in _ASSET_PATH.findall(layer)]


def _tokens(layer: bytes) -> list[str]:
    """The strings of a binary layer."""
    try:
        (contents,) = struct.unpack_from("<q", layer, 16)
        (n_sections,) = struct.unpack_from("<Q", layer, contents)
        for i in range(min(n_sections, 64)):
            name, start, _ = struct.unpack_from("<16sqq", layer, contents + 8 + 32 * i)
            if name.rstrip(b"\0") == b"TOKENS":
                _, size, n_compressed = struct.unpack_from("<QQQ", layer, start)
                if size > LARGEST_TOKENS_BYTES:
                    raise RefusedAsset("too large", f"its strings have {size / 1e6:.0f} MB, more than {LARGEST_TOKENS_BYTES / 1e6:.0f}")
                text = _decompressed(layer[start + 24 : start + 24 + n_compressed], size)
                return [token.decode("utf-8", "replace") for token in text.split(b"\0")]
    except (struct.error, IndexError, ValueError) as error:
        raise RefusedAsset("cannot be read", f"its strings cannot be read ({error})") from None
    raise RefusedAsset("cannot be read", "it has no section of strings")


def _decompressed(data: bytes, size: int) -> bytes:
    """Chunks of LZ4: a count, 0 for a single one without a length, else each after its length."""
    if data[0] == 0:
        return _lz4_block(data[1:], size)
    out, at = b"", 1
    for _ in range(data[0]):
        (length,) = struct.unpack_from("<i", data, at)
        out += _lz4_block(data[at + 4 : at + 4 + length], size - len(out))
        at += 4 + length
    return out


def _lz4_block(data: bytes, limit: int) -> bytes:
    out, at = bytearray(), 0

    def length(nibble: int) -> int:
        """A length of 15 goes on in the next bytes, as long as they are 255."""
        nonlocal at
        total, more = nibble, nibble == 15
        while more:
            total, more = total + data[at], data[at] == 255
            at += 1
        return total

    while at < len(data):
        token = data[at]
        at += 1
        n = length(token >> 4)
        out += data[at : at + n]
        at += n
        if at >= len(data):
            break
        offset = data[at] | data[at + 1] << 8
        at += 2
        n = length(token & 15) + 4
        if not 0 < offset <= len(out) or len(out) + n > limit:
            raise ValueError("compressed text is broken")
        for _ in range(n):
            out.append(out[-offset])
    return bytes(out)
