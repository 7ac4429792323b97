"""The charts of a page as pictures of their own (SVG), read back from the page itself; they need no style sheet, and show in any viewer."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from xml.etree import ElementTree

from actial.report.page import Html, asset, tag

_FIGURE = re.compile(r'<section id="(?P<section>[\w-]+)">|<h3>(?P<heading>.*?)</h3>|(?P<figure><figure\b[^>]*>.*?</figure>)', re.DOTALL)
_COLOUR = re.compile(r"--(\w+): (#[0-9a-f]{6})")
_TITLE_PX, _LEGEND_PX, _MARGIN_PX = 34, 22, 10


@dataclass(frozen=True)
class ShownChart:
    """A chart as a page shows it."""

    section: str
    heading: str
    """The nearest above it in its section; empty where there is none."""
    title: str
    svg: str
    """A whole file."""

    def address(self) -> str:
        """Its content as a data address, for places that show a picture by its address alone."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def charts_of(page: str) -> list[ShownChart]:
    """The charts that a page made by `page.page` shows, in its order."""
    section = heading = ""
    found = []
    for match in _FIGURE.finditer(page, page.index("<main"), page.index("</main>")):
        if match["section"] is not None:
            section, heading = match["section"], ""
        elif match["heading"] is not None:
            heading = "".join(ElementTree.fromstring(f"<h3>{match['heading']}</h3>").itertext())
        elif 'class="chart"' in match["figure"]:
            title, svg = _standalone(match["figure"])
            found.append(ShownChart(section, heading, title, svg))
    return found


def _standalone(figure: str) -> tuple[str, str]:
    """Title and whole file of a figure made by `charts`."""
    tree = ElementTree.fromstring(figure)
    drawn, title = tree.find("svg"), "".join(tree.findtext("figcaption") or "")
    assert drawn is not None, "a chart is drawn as SVG"
    width, height = (float(number) for number in drawn.attrib["viewBox"].split()[2:])
    keys = [("".join(key.itertext()), _key_colour(key)) for key in tree.iter("span") if key.get("class") == "key"]
    marks = "".join(ElementTree.tostring(child, encoding="unicode") for child in drawn if child.tag != "title")
    legend, lines = _legend(keys, width)
    whole_px = _TITLE_PX + height + _LEGEND_PX * lines + _MARGIN_PX
    svg = tag(
        "svg",
        tag("title", title),
        Html(f"<style>{_STYLE}</style>"),
        tag("rect", width="100%", height="100%", fill="#ffffff"),
        tag("text", title, x=_MARGIN_PX, y=_TITLE_PX - 12, class_="heading"),
        tag("g", Html(marks), transform=f"translate(0 {_TITLE_PX})"),
        tag("g", Html(legend), transform=f"translate(0 {_TITLE_PX + height:g})"),
        xmlns="http://www.w3.org/2000/svg",
        width=f"{width:g}",
        height=f"{whole_px:g}",
        viewBox=f"0 0 {width:g} {whole_px:g}",
    )
    return title, _in_colours(svg) + "\n"


def _legend(keys: list[tuple[str, str]], width_px: float) -> tuple[str, int]:
    """Names beside dashes of their colours, and how many lines they take."""
    x_px, line, marks = float(_MARGIN_PX), 0, ""
    for name, colour in keys:
        long_px = 34 + 6.6 * len(name)
        if x_px + long_px > width_px and x_px > _MARGIN_PX:
            x_px, line = float(_MARGIN_PX), line + 1
        y_px = _LEGEND_PX * (line + 0.6)
        marks += tag("rect", x=f"{x_px:.1f}", y=f"{y_px - 6:.1f}", width=16, height=4, fill=colour)
        marks += tag("text", name, x=f"{x_px + 22:.1f}", y=f"{y_px:.1f}")
        x_px += long_px
    return marks, line + 1 if keys else 0


def _key_colour(key: ElementTree.Element) -> str:
    dash = key.find("i")
    return "" if dash is None else dash.attrib["style"].removeprefix("background:")


def _in_colours(svg: str) -> str:
    """Names of colours replaced by what they are on a light page."""
    of_name = dict(_COLOUR.findall(asset("page.css").partition("}")[0]))
    return re.sub(r"var\(--(\w+)\)", lambda name: of_name[name[1]], svg)


_STYLE = (
    "text { font: 12px 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif; fill: var(--faint); } "
    ".heading { font-size: 14px; font-weight: 600; fill: var(--ink); } .strong { font-weight: 600; fill: var(--ink); } "
    ".grid { stroke: var(--line); stroke-width: 1; } .mark { stroke: var(--faint); stroke-width: 1.4; stroke-dasharray: 3 3; }"
)
