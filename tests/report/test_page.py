"""The HTML skeleton: whatever text goes in comes out as text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_outputs import HOSTILE

from actial.report.page import Html, data_block, escape, join, page, table, tag


class Parsed(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


NO_NUL = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]))


@given(NO_NUL)
def test_text_stays_text(text: str) -> None:
    parsed = Parsed(tag("p", text, title=text))
    assert parsed.tags == [("p", {"title": text})]
    assert parsed.text == text


@given(NO_NUL)
def test_no_text_closes_a_data_block_and_all_of_it_is_read_back(text: str) -> None:
    block = data_block("data", {"completion": text})
    inside = re.fullmatch(r'<script type="application/json" id="data">(.*)</script>', block, re.DOTALL)
    assert inside is not None
    assert "<" not in inside[1]
    assert json.loads(inside[1]) == {"completion": text}


def test_a_hostile_completion_adds_no_tag() -> None:
    markup = table(["completion"], [[HOSTILE]], caption=HOSTILE)
    assert {name for name, _ in Parsed(markup).tags} == {"p", "div", "table", "thead", "tbody", "tr", "th", "td"}


def test_markup_stays_markup_and_is_not_escaped_twice() -> None:
    assert tag("p", tag("b", "a < b"), " & c") == "<p><b>a &lt; b</b> &amp; c</p>"
    assert escape(Html("<hr>")) == "<hr>"
    assert join(["<", None, 3]) == "&lt;3"


def test_attributes_are_spelled_as_html_has_them() -> None:
    assert tag("input", class_="a", data_view="v", hidden=True, id=None, disabled=False) == '<input class="a" data-view="v" hidden>'


def test_only_the_script_of_the_page_may_run() -> None:
    script = "console.log('é')"
    whole = page("Title", [("a", "First", tag("p", "x"))], script=script)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for name, a in Parsed(whole).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert f"script-src 'sha256-{allowed}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "http:" not in whole and "https:" not in whole


def test_numbers_that_json_does_not_have_are_a_bug() -> None:
    with pytest.raises(ValueError):
        data_block("data", [float("nan")])
