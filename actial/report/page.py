"""The HTML skeleton that every report shares: one self-contained file, no network, no build step.

Text is untrusted by default: whatever is not `Html` gets escaped. The page's Content-Security-Policy lets nothing load and
nothing run but the one script whose hash it names, so that even an escape forgotten would not execute.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


_VOID = frozenset({"br", "hr", "img", "input", "meta"})
_SPECIAL = re.compile("[&<>\"']")


def escape(value: object) -> Html:
    """`value` as text of a page: markup stays (`Html`), all else is escaped, quotes too."""
    if isinstance(value, Html):
        return value
    text = str(value)
    return Html(html.escape(text, quote=True) if _SPECIAL.search(text) else text)


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """One element. `class_="x"` is class, `data_view="y"` is data-view; True is a bare attribute, None and False leave it out."""
    parts = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            key = key.rstrip("_").replace("_", "-")
            parts.append(key if value is True else f'{key}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening) if name in _VOID else Html(f"{opening}{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Children one after the other, each escaped unless it is markup; None is nothing."""
    return Html("".join(escape(child) for child in children if child is not None))


def table(
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    numeric: Sequence[int] = (),
    class_: str | None = None,
    groups: Sequence[tuple[str, int]] = (),
) -> Html:
    """A table that scrolls sideways on a narrow screen; the columns in `numeric` are set flush right. `groups`: what stands over how many columns each."""
    side = lambda i: "number" if i in numeric else None
    head = [tag("tr", *(tag("th", cell, scope="col", class_=side(i)) for i, cell in enumerate(header)))]
    if groups:
        over = (tag("th", name, scope="colgroup", colspan=n) if name else tag("td", colspan=n) for name, n in groups)
        head.insert(0, tag("tr", *over, class_="groups"))
    body = [tag("tr", *(tag("td", cell, class_=side(i)) for i, cell in enumerate(row))) for row in rows]
    body_of_table = tag("table", tag("thead", *head), tag("tbody", *body), class_=class_)
    scroll = tag("div", body_of_table, class_="scroll", tabindex="0", role="group", aria_label=caption or "table")
    return join([tag("p", caption, class_="caption") if caption else None, scroll])


def section(identifier: str, title: str, *children: object) -> Html:
    """A section of the page, named in its menu."""
    return tag("section", tag("h2", title), *children, id=identifier)


def missing(what: str) -> Html:
    """Says that something is not there, in place of a number that would look like a result."""
    return tag("p", what, class_="missing")


def data_block(identifier: str, value: Any, **attributes: str) -> Html:
    """JSON for the page's script, in a block that no text in it can close; further attributes as of `tag`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Html(text), type="application/json", id=identifier, **attributes)


def page(
    title: str,
    sections: Sequence[tuple[str, str, Html]],
    *,
    lead: object = "",
    data: Html | None = None,
    script: str = "",
    style: str = "",
    policy: str = "default-src 'none'; img-src data:",
) -> str:
    """A whole page.

    Args:
        title: shown as the heading and in the window's bar.
        sections: (id, title, content), in order; the menu is made of them.
        lead: what stands under the heading.
        data: `data_block`s for the script.
        script: JavaScript source of the page, the only script that its policy lets run.
        style: CSS of this page alone.
        policy: what the page may load besides its own style and script.
    """
    policy += f"; style-src 'unsafe-inline'; script-src 'sha256-{_sha256_base64(script)}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Html(f"<style>{asset('page.css')}{style}</style>"),
    )
    menu = tag("nav", *(tag("a", name, href=f"#{identifier}") for identifier, name, _ in sections), aria_label="Sections") if len(sections) > 1 else None
    main = tag("main", *(section(*entry) for entry in sections), id="main")
    skip = tag("a", "Skip to the content", href="#main", class_="skip")
    body = tag("body", skip, tag("header", tag("h1", title), lead), menu, main, data, Html(f"<script>{script}</script>") if script else None)
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def write_page(text: str, target: Path) -> Path:
    """Write a page in one step, and the folders above it; returns where."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(target)
    return target


def data_uri(kind: str, data: bytes) -> str:
    """The bytes of a picture, `kind` being png or jpeg, as an address that an `img` loads without a network."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def asset(name: str) -> str:
    """The text of a style sheet or script that stands beside this module."""
    return (files("actial.report") / name).read_text(encoding="utf-8")


def _sha256_base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
