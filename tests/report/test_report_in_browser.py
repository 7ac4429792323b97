"""The whole report, in a real browser: what a person finds, reads and opens."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Tab, chromium_tab
from report_blocks import index_of, pictures_of
from toy_outputs import HOSTILE

from actial.report.build import write_report
from actial.report.outputs import Outputs
from actial.shards import ViewWriter


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with chromium_tab() as tab:
        yield tab


SHOWN = "document.querySelector('#shown article')?.id"
PLACE = "document.getElementById('place').textContent"
LISTED = "[...document.querySelectorAll('.roll li')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map(l => decodeURIComponent(l.firstChild.hash.slice(1)))"


def choose(tab: Tab, name: str, value: str) -> None:
    event = "input" if name == "text" else "change"
    tab.value(f"control('{name}').value = {json.dumps(value)}; control('{name}').dispatchEvent(new Event('{event}'))")


def matching(tab: Tab) -> set[str]:
    """Ids of all questions that the chosen filters leave."""
    tab.wait_for(f"!{PLACE}.startsWith('searching')")
    return set(tab.value("matching.map((i) => index.ids[i])"))


def test_a_person_can_browse_it(tab: Tab, report: Path, project: Path) -> None:
    tab.complaints.clear()
    tab.open(report.as_uri())
    ids = index_of(report)["ids"]
    tab.wait_for(f"{SHOWN} === '{ids[0]}' && {PLACE} === '1 of {len(ids)}'")
    assert tab.value(LISTED) == ids[: len(tab.value(LISTED))]
    tab.press("ArrowRight")
    tab.wait_for(f"{SHOWN} === '{ids[1]}' && {PLACE} === '2 of {len(ids)}' && location.hash === '#{ids[1]}'")
    tab.press("ArrowLeft")
    tab.wait_for(f"{SHOWN} === '{ids[0]}'")
    images = "[...document.querySelectorAll('#shown img')]"
    assert tab.value(f"Promise.all({images}.map(i => i.decode())).then(() => {images}.map(i => i.naturalWidth))") == [84, 84]
    assert tab.value("document.querySelectorAll('#shown svg .camera').length") == 2
    tab.press("/")
    assert tab.value("document.activeElement.id") == "filter-text"
    assert tab.value("document.title") == "Actial report"
    assert tab.complaints == []


def test_it_says_what_each_model_wrote_and_how_it_was_read(tab: Tab, report: Path, project: Path) -> None:
    found = Outputs(project / "outputs")
    hostile = next(v for v in found.verdicts if v.completion == HOSTILE and v.condition == "plain")
    tab.complaints.clear()
    tab.open(f"{report.as_uri()}#{hostile.question_id}")
    tab.wait_for(f"{SHOWN} === '{hostile.question_id}'")
    written = [v for v in found.verdicts if v.question_id == hostile.question_id and v.condition == "plain" and v.model in ("base", "sft", "grpo")]
    pre, said = (
        tab.value(f"[...document.querySelectorAll('#shown > article > .completion {what}')].map(e => e.textContent)") for what in ("pre", "div > span")
    )
    assert sorted(pre) == sorted(v.completion for v in written if v.completion) and HOSTILE in pre
    assert all(any(v.rule in line for line in said) for v in written) and len(said) == 6
    notes = tab.value("[...document.querySelectorAll('#shown > article > .completion small')].map(e => e.textContent)")
    sure = [f" {v.n_tokens} tokens, sure {100 * math.exp(v.answer_logprob):.0f} %" for v in written if v.answer and v.answer_logprob is not None]
    assert sure and all(any(note.startswith(line) for note in notes) for line in sure)
    question = next(q for q in found.questions["test"] if q.question_id == hostile.question_id)
    text = tab.value("document.querySelector('#shown').textContent")
    assert question.text in text and all(option in text for option in question.options) and f"{question.deciding_value:+.4g}" in text
    assert tab.value("document.title") == "Actial report" and tab.complaints == []


def test_filters_show_what_they_say(tab: Tab, report: Path, project: Path) -> None:
    tab.open(report.as_uri())
    found = Outputs(project / "outputs")
    ids, by_id = index_of(report)["ids"], {q.question_id: q for q in found.questions["test"]}
    plain = {(v.model, v.mode, v.question_id): v for v in found.verdicts if v.condition == "plain"}
    choose(tab, "model", "sft")
    choose(tab, "mode", "think")
    choose(tab, "outcome", "wrong")
    wrong = {q for q in ids if not plain["sft", "think", q].correct and plain["sft", "think", q].answer is not None}
    assert matching(tab) == wrong and wrong
    choose(tab, "kind", "turn")
    assert matching(tab) == {q for q in wrong if q.endswith(".turn")}
    address = tab.value("location.hash")
    assert "kind=turn" in address and "outcome=wrong" in address
    choose(tab, "kind", "")
    choose(tab, "outcome", "gained")
    assert matching(tab) == {q for q in ids if plain["sft", "think", q].correct and not plain["base", "think", q].correct} != set()
    choose(tab, "outcome", "lost")
    assert matching(tab) == {q for q in ids if not plain["sft", "think", q].correct and plain["base", "think", q].correct}
    for name in ("model", "mode", "outcome"):
        choose(tab, name, "")
    choose(tab, "cue", "conflict")
    assert matching(tab) == {q for q in ids if by_id[q].cue == "conflict"} != set()
    choose(tab, "cue", "")
    choose(tab, "range", "30–45°")
    large = {q for q in ids if by_id[q].deciding_quantity.endswith("_deg") and 30 <= abs(by_id[q].deciding_value) < 45}
    assert matching(tab) == large != set()
    choose(tab, "range", "")
    choose(tab, "text", "PWNED")
    assert matching(tab) == {v.question_id for v in plain.values() if v.completion == HOSTILE}
    choose(tab, "text", "no such text")
    assert matching(tab) == set() and tab.value(PLACE) == "none match" and tab.value(SHOWN) is None


def test_an_address_opens_its_question_or_its_choice(tab: Tab, report: Path) -> None:
    wanted = index_of(report)["ids"][7]
    tab.complaints.clear()
    tab.open(f"{report.as_uri()}#{wanted}")
    tab.wait_for(f"{SHOWN} === '{wanted}' && scrollY > 0")
    tab.open(f"{report.as_uri()}#questions?kind=turn&model=grpo&mode=think&outcome=right")
    tab.wait_for(f"{SHOWN}?.endsWith('.turn') && scrollY > 0")
    assert [tab.value(f"control('{name}').value") for name in ("kind", "model", "outcome")] == ["turn", "grpo", "right"]
    tab.value(f"location.hash = '#{wanted}'")
    tab.wait_for(f"{SHOWN} === '{wanted}' && {PLACE}.startsWith('8 of ')")
    assert tab.complaints == []


def test_the_keyboard_alone_is_enough(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    tab.wait_for(f"{SHOWN} !== undefined")
    tab.value("document.querySelector('.roll li a').focus()")
    tab.press("j")
    tab.wait_for(f"{PLACE}.startsWith('2 of ')")
    assert tab.value("document.activeElement.hash") == f"#{index_of(report)['ids'][1]}", "the focus goes along"
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_damaged_picture_is_said_in_its_place(tab: Tab, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    views = Outputs(project / "outputs").views
    assert views is not None
    asked = Outputs(project / "outputs").verdicts[0].question_id
    broken = asked.split("-v0")[0]
    with ViewWriter(tmp_path / "outputs" / "render_views" / "views", shard_mb=64) as writer:
        for view in views:
            picture = views.picture_bytes(view.view_id) or b""
            writer.add(view, picture[:60] if view.view_id == broken else picture)
    report = write_report(tmp_path / "outputs", tmp_path / "index.html")
    assert broken not in pictures_of(report)
    tab.complaints.clear()
    tab.open(f"{report.as_uri()}#{asked}")
    tab.wait_for(f"{SHOWN} === '{asked}'")
    assert tab.value("document.querySelector('#shown .pair').textContent").startswith("This picture is not there or cannot be read.")
    assert tab.complaints == []


def test_it_fits_a_phone_and_follows_the_dark_mode(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri(), width_px=360, height_px=740, dark=True)
    assert tab.value("document.documentElement.scrollWidth") == 360
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    tab.open(report.as_uri())
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 249)"
