"""`actial review`: what is asked, what is kept, what is never told before the end, and what the report and the export make of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, chromium_tab
from toy_outputs import write_toy_outputs

from actial.errors import UserError
from actial.export.export import export
from actial.records import LETTERS, Question
from actial.report.build import write_report
from actial.report.reviews import agreement, read_review, standing_reviews
from actial.review.draw import drawn
from actial.review.server import ReviewServer
from actial.shards import ViewStore, ViewWriter
from actial.stats import wilson_interval
from actial.tables import read_questions, write_questions
from flows.review import Asked, in_words, open_review

PROJECT = Path(__file__).parents[2]
N = 12
ASKED = Asked("test", N, 0, "ann", 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    write_toy_outputs(folder / "outputs", n_scenes=30)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def served(asked: Asked = ASKED) -> Iterator[ReviewServer]:
    """The server, in a thread of this process, on the project in the current folder."""
    server = open_review(asked, Path("outputs"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.session.close()


def call(server: ReviewServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, data


def state(server: ReviewServer) -> dict[str, Any]:
    return json.loads(call(server, "GET", "/state")[1])


def answer(server: ReviewServer, letter: str | None, note: str = "") -> bytes:
    status, data = call(server, "POST", "/answer", {"place": state(server)["place"], "letter": letter, "note": note})
    assert status == 200
    return data


def answer_all(server: ReviewServer, wrong: int = 2, ill_posed: int = 1) -> list[Question]:
    """Answers that are wrong at first, then "cannot be answered", then right."""
    questions = list(server.session.questions)
    for i, q in enumerate(questions):
        other = next(letter for letter in LETTERS if letter != q.truth)
        answer(server, other if i < wrong else None if i < wrong + ill_posed else q.truth, "too <dark>" if i == wrong else "")
    return questions


# ------------------------------------------------------------------------------------------------ what is asked


def test_every_beginning_is_even_over_kinds_and_scenes(made: Path) -> None:
    questions = read_questions(made / "outputs/build_qa/test.parquet")
    n_scenes, kinds = len({q.scene_id for q in questions}), {q.kind for q in questions}
    chosen = drawn(questions, 40, 0, lambda q: True)
    assert len({q.question_id for q in chosen}) == 40
    for n in range(1, 41):
        of_kind = Counter(q.kind for q in chosen[:n])
        assert max(of_kind.values()) - min(of_kind.get(kind, 0) for kind in kinds) <= 1
        assert len({q.scene_id for q in chosen[:n]}) == min(n, n_scenes)
    assert chosen == drawn(questions[::-1], 40, 0, lambda q: True) and chosen[:7] == drawn(questions, 7, 0, lambda q: True)
    assert chosen != drawn(questions, 40, 1, lambda q: True)


def test_what_cannot_be_shown_is_passed_over_and_all_can_be_asked(made: Path) -> None:
    questions = read_questions(made / "outputs/build_qa/test.parquet")
    hidden = {q.question_id for q in drawn(questions, 10, 0, lambda q: True)}
    chosen = drawn(questions, len(questions) + 5, 0, lambda q: q.question_id not in hidden)
    assert {q.question_id for q in chosen} == {q.question_id for q in questions} - hidden and len(chosen) == len(questions) - 10


# ------------------------------------------------------------------------------------------------ the interval


@pytest.mark.parametrize(  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3
    ("right", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilsons_interval(right: int, n: int, low: float, high: float) -> None:
    found = wilson_interval([True] * right + [False] * (n - right), [str(i) for i in range(n)])
    assert found == pytest.approx((low, high), abs=6e-5)


def test_answers_that_always_agree_within_a_scene_count_once() -> None:
    once = wilson_interval([True] * 15 + [False] * 5, [str(i) for i in range(20)])
    five_times = wilson_interval(([True] * 15 + [False] * 5) * 5, [str(i) for i in range(20)] * 5)
    assert five_times == pytest.approx(once, abs=1e-9)
    assert wilson_interval([True] * 20, ["a", "b"] * 10) == pytest.approx(wilson_interval([True] * 2, ["a", "b"]))
    assert wilson_interval([], []) is None


# ------------------------------------------------------------------------------------------------ nothing is told before the end


def served_before_the_end(server: ReviewServer) -> list[bytes]:
    """All that a page could get to know while it answers: every path, each in several states."""
    heard = []
    paths = ("/", "/state", "/results", "/favicon.ico", "/outputs/build_qa/test.parquet", "/answers.jsonl", "/../data/reviews")
    for i in range(N + 1):
        heard += [call(server, "GET", path)[1] for path in paths]
        if i < N:
            heard.append(answer(server, None if i == 3 else "A"))
        if i == 5:
            heard += [call(server, "POST", "/undo", {})[1], answer(server, "B")]
            heard += [call(server, "POST", "/answer", {"place": 0, "letter": "A"})[1], call(server, "POST", "/answer", {"place": i + 1, "letter": "Z"})[1]]
    return heard


def test_every_byte_served_before_the_end_is_the_same_whatever_the_truth(project: Path) -> None:
    with served() as server:
        heard = served_before_the_end(server)
        ids_of_questions = [q.question_id for q in server.session.questions]
        assert call(server, "GET", "/results")[0] == 404
    assert not [q for q in ids_of_questions if any(q.encode() in data for data in heard)]
    path = project / "outputs/build_qa/test.parquet"
    write_questions(path, [_otherwise(q) for q in read_questions(path)])
    with served() as server:
        assert [q.question_id for q in server.session.questions] == ids_of_questions
        assert served_before_the_end(server) == heard


def _otherwise(q: Question) -> Question:
    """The same question as somebody sees it, with all else changed."""
    truth = LETTERS[(LETTERS.index(q.truth) + 1) % len(q.options)]
    hidden = {"deciding_value": -q.deciding_value, "margin": q.margin + 1, "cue": "conflict", "tied_class": "x", "source": "y", "held_out": not q.held_out}
    return replace(q, truth=truth, labels=q.labels[1:] + q.labels[:1], **hidden)


def test_the_results_tell_the_truth_of_final_answers_alone(project: Path) -> None:
    with served() as server:
        asked = list(server.session.questions)
        for _ in range(5):
            answer(server, None)
        assert call(server, "POST", "/finish", {})[0] == 200
        status, data = call(server, "GET", "/results")
        assert status == 200
        shown = data.decode()
        assert all(q.question_id in shown for q in asked[:5]) and not any(q.question_id in shown for q in asked[5:])
        assert "Go on with the other 7" in shown
        assert state(server)["place"] == 5 and not state(server)["can_undo"]
        call(server, "POST", "/undo", {})
        assert state(server)["place"] == 5, "what was final when the truth was shown stays"


def test_only_this_machines_own_page_may_ask(project: Path) -> None:
    with served() as server:
        assert server.server_address[0] == "127.0.0.1"
        assert call(server, "GET", "/state", Host="evil.example")[0] == 403
        assert call(server, "POST", "/answer", {"place": 0, "letter": "A"}, Host=f"evil.example:{server.server_port}")[0] == 403
        assert call(server, "POST", "/answer", {"place": 0, "letter": "A"}, Content_Type="text/plain")[0] == 400
        assert call(server, "POST", "/answer", [1])[0] == 400
        assert call(server, "POST", "/answer", {"place": 0, "letter": "A", "note": "n" * 20_000})[0] == 400
        for body in ({"place": 0, "letter": "Z"}, {"place": 0, "letter": ["A"]}, {"place": 3, "letter": "A"}, {"place": None, "letter": "A"}, {}):
            assert call(server, "POST", "/answer", body)[0] == 409
        assert call(server, "POST", "/finish", {})[0] == 404, "nothing was answered"
        assert state(server)["n_said"] == 0
        assert state(server).keys() == {"n", "n_said", "place", "can_undo", "can_finish", "has_results", "text", "options", "pictures"}


# ------------------------------------------------------------------------------------------------ what is kept


def test_a_review_goes_on_where_it_was_stopped(project: Path) -> None:
    with served() as server:
        for letter in "AB":
            answer(server, letter)
        answer(server, None, " blurred ")
        call(server, "POST", "/undo", {})
        log, asked = server.session.log, server.session.questions
    before = log.read_text()
    log.write_text(before + '{"reviewer": "ann", "question_id": "sce')
    with served() as server:
        assert state(server)["place"] == 2
        answer(server, None, "blurred")
    assert log.read_text().startswith(before), "the log only grows; what a crash cut off is gone"
    assert [json.loads(line)["reviewer"] for line in log.read_text().splitlines()] == ["ann"] * 5
    with served(replace(ASKED, reviewer="ben")) as server:
        assert state(server)["place"] == 0 and server.session.questions == asked, "another person is asked the same"
        answer(server, "A")
    with served(replace(ASKED, n_questions=20)) as server:
        assert state(server)["n"] == 20 and state(server)["n_said"] == 3, "more questions keep what was said"
    log.write_text(before + "nonsense\n")
    with pytest.raises(UserError, match=r"answers.jsonl, line 5 is no answer"), served():
        pass


def test_answers_about_pictures_that_have_changed_are_asked_again(project: Path) -> None:
    with served() as server:
        first = server.session.questions[0]
        answer(server, "A")
        answer(server, "A")
    change_picture(project, first.view_ids[0])
    with served() as server:
        assert state(server)["place"] == 0 and state(server)["n_said"] == 1


def change_picture(project: Path, view_id: str) -> None:
    folder = project / "outputs/render_views/views"
    store = ViewStore(folder)
    rows = [(view, store.picture_bytes(view.view_id) or b"") for view in store]
    other = next(data for view, data in rows if view.view_id != view_id)
    shutil.rmtree(folder)
    with ViewWriter(folder, shard_mb=64) as writer:
        for view, data in rows:
            writer.add(view, other if view.view_id == view_id else data)


def test_the_review_is_a_file_to_commit_that_report_and_export_show(project: Path) -> None:
    with served() as server:
        asked = answer_all(server)
        call(server, "POST", "/finish", {})
        (path,) = (project / "data/reviews").iterdir()
        review = server.review()
    assert path.name == f"test-{review.questions_sha256[:12]}-ann.json" and read_review(path) == review
    assert not (project / "outputs" / "data").exists()
    found = agreement(review.answers)
    assert (found.n_answered, found.n_agree, found.n_not_answerable) == (N - 1, N - 3, 1)
    assert in_words(review).startswith(f"review: {N - 3} of {N - 1} answers are the computed ones (81.8%; 95 % interval 5")
    assert [a.note for a in review.answers if a.answer is None] == ["too <dark>"]

    said = export(Path("outputs"), "hf", ["test"], project / "hf", None)
    card = (project / "hf/README.md").read_text()
    assert said.count("\n") == 2 and "reviews" not in said
    assert f"| all | {N - 1} | 81.8% |" in card and "12 of `test` by ann" in card
    assert f"| {asked[2].question_id} | ann | too <dark> |" in card
    assert f"| {asked[0].question_id} | ann | {asked[0].label_of(asked[0].truth)} | " in card
    assert "People's answers" not in _card(project, "llamafactory")
    assert "People's answers" in _card(project, "vlmeval")
    report = write_report(Path("outputs"), project / "report.html").read_text()
    assert "12 of test by ann" in report and "too &lt;dark&gt;" in report


def _card(project: Path, to: str) -> str:
    export(Path("outputs"), to, [], project / to, None)
    return (project / to / "README.md").read_text()


@pytest.mark.parametrize("stale", ["questions", "pictures"])
def test_a_review_of_other_questions_or_pictures_is_left_out_and_said(project: Path, stale: str) -> None:
    with served() as server:
        answer_all(server)
        call(server, "POST", "/finish", {})
        shown = server.session.questions[4].view_ids[1]
    path = project / "outputs/build_qa/test.parquet"
    if stale == "questions":
        write_questions(path, read_questions(path)[1:])
    else:
        change_picture(project, shown)
    reviews, (notice,) = standing_reviews(Path("outputs"), ["test"])
    assert reviews == [] and f"about other {stale} than" in notice
    assert notice in export(Path("outputs"), "hf", [], project / "hf", None).splitlines()[1]
    assert "People's answers" not in (project / "hf/README.md").read_text()
    assert f"about other {stale} than" in write_report(Path("outputs"), project / "report.html").read_text()


def test_mistakes_are_one_sentence(project: Path) -> None:
    for asked, said in (
        (replace(ASKED, split="tset"), r"tset.parquet does not exist"),
        (replace(ASKED, reviewer="../ann"), r"--reviewer is '../ann'"),
        (replace(ASKED, n_questions=0), r"--questions is 0"),
    ):
        with pytest.raises(UserError, match=said):
            open_review(asked, Path("outputs"))
    with served() as server:
        with pytest.raises(UserError, match="in use by another `actial review`"):
            open_review(ASKED, Path("outputs"))
        with pytest.raises(UserError, match=rf"port {server.server_port} of 127.0.0.1 cannot be used"):
            shutil.rmtree(server.session.log.parent)
            open_review(replace(ASKED, port=server.server_port), Path("outputs"))
        answer(server, "A")
        call(server, "POST", "/finish", {})
    shutil.rmtree(project / "runs")
    with pytest.raises(UserError, match="choose another name with --reviewer"):
        open_review(ASKED, Path("outputs"))
    (path,) = (project / "data/reviews").iterdir()
    path.write_text("[]")
    with pytest.raises(UserError, match="is no review"):
        standing_reviews(Path("outputs"), ["test"])


# ------------------------------------------------------------------------------------------------ as a person has it


def test_the_command_serves_until_it_is_stopped(project: Path) -> None:
    command = [sys.executable, "-m", "flows.cli", "review", "--questions", "4", "--reviewer", "ann"]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    child = subprocess.Popen(command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert child.stdout is not None
        first, second = child.stdout.readline(), child.stdout.readline()
        assert first.startswith("review: 0 of 4 questions answered by ann")
        address = re.fullmatch(r"review: open http://127\.0\.0\.1:(\d+)/\n", second)
        assert address is not None
        connection = HTTPConnection("127.0.0.1", int(address[1]), timeout=20)
        connection.request("POST", "/answer", json.dumps({"place": 0, "letter": "A"}), {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read())["n_said"] == 1
        child.terminate()  # what a script starts in the background is deaf to Ctrl-C
        rest, _ = child.communicate(timeout=90)
    finally:
        child.kill()
    assert child.returncode == 0 and "1 of 4 questions answered, kept in runs/review/" in rest and "Traceback" not in rest


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_person_answers_by_keys_in_a_browser(project: Path) -> None:
    with served() as server, chromium_tab() as tab:
        asked = server.session.questions
        shown = "document.getElementById('text').textContent + [...document.querySelectorAll('.choices button')].map((b) => b.lastChild.textContent)"
        ready = "document.querySelectorAll('.choices button').length && [...document.querySelectorAll('.asked img')].every((i) => i.complete && i.naturalWidth)"
        tab.open(server.url, width_px=390, height_px=780, dark=True)
        tab.wait_for(ready)
        assert tab.value("document.documentElement.scrollWidth") <= 390
        assert tab.value(shown) == asked[0].text + ",".join(asked[0].options)
        tab.press("2")
        tab.wait_for("state.n_said === 1 && !busy")
        assert tab.value(shown) == asked[1].text + ",".join(asked[1].options)
        tab.press("c")
        tab.wait_for("state.n_said === 2 && !busy")
        tab.press("9")  # no such option
        tab.press("x")
        tab.press("a")  # goes into the note
        tab.press("Escape")
        tab.press("u")
        tab.wait_for("state.n_said === 1 && !busy")
        assert tab.value(shown) == asked[1].text + ",".join(asked[1].options)
        tab.press("A")
        tab.wait_for("state.n_said === 2 && !busy")
        tab.press("x")
        tab.value("document.getElementById('note').value = '<b>dark</b>'")
        tab.value("document.getElementById('why').requestSubmit()")
        tab.wait_for("state.n_said === 3 && !busy")
        tab.value("window.isOld = true; location.reload()")
        tab.wait_for("!window.isOld && typeof state !== 'undefined' && state?.n_said === 3")
        assert tab.value("document.getElementById('place').textContent") == "4 of 12"
        for n in range(3, N):
            tab.value("document.querySelector('.choices button').click()")
            tab.wait_for(f"state.n_said === {n + 1} && !busy")
        assert tab.value("document.getElementById('done').hidden") is False
        tab.value("window.confirm = () => true; document.getElementById('finish').click()")
        tab.wait_for("location.pathname === '/results' && document.readyState === 'complete'")
        tab.wait_for("[...document.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth)")
        assert tab.value("document.querySelectorAll('#ill-posed article').length") == 1
        assert "<b>dark</b>" in tab.value("document.querySelector('#ill-posed').textContent")
        assert [c for c in tab.complaints if not c.startswith(f"request: {server.url}")] == []
        assert [a.answer for a in server.review().answers][:3] == [asked[0].label_of("B"), asked[1].label_of("A"), None]
