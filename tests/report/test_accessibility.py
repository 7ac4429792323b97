"""What axe says of the pages, in both colour schemes and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import axe_source, violations
from browser import CHROMIUM, Tab, chromium_tab
from toy_outputs import write_toy_outputs

from actial.report.build import write_report
from actial.report.views import write_gallery


@pytest.fixture(scope="module")
def axe() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    source = axe_source()
    if source is None:
        pytest.skip("axe-core is not in the cache, and npm is not there or cannot fetch it")
    return source


@pytest.fixture(scope="module")
def tab(axe: str) -> Iterator[Tab]:
    with chromium_tab() as tab:
        yield tab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accessible")
    write_toy_outputs(folder / "outputs", n_asked=6)
    write_report(folder / "outputs", folder / "index.html")
    write_gallery(folder / "outputs", folder / "gallery.html", 2, (), 3)
    return folder


@pytest.mark.parametrize(("page", "width_px", "dark"), [("index.html", 1280, False), ("index.html", 390, True), ("gallery.html", 1280, True)])
def test_nothing_is_wrong_with_it(tab: Tab, folder: Path, axe: str, page: str, width_px: int, dark: bool) -> None:
    tab.complaints.clear()
    tab.open((folder / page).as_uri(), width_px=width_px, dark=dark)
    tab.wait_for("document.querySelector('article') !== null")
    tab.value("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert violations(tab, axe) == []
    assert tab.complaints == []


def test_axe_is_at_work(tab: Tab, axe: str, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<!doctype html><title>x</title><img src='data:,'><p style='color:#ccc;background:#fff'>faint</p>")
    tab.open((tmp_path / "bad.html").as_uri())
    assert {"image-alt", "color-contrast", "html-has-lang"} <= {line.partition(":")[0] for line in violations(tab, axe)}
