"""A teacher's replies, judged; and the whole stage with a teacher behind a real server: honest, lying, failing, killed in the middle, out of budget."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_scenes import REPO, make_project, run_stage
from toy_teacher import KnownQuestions, decided, good_reply, in_form, seen

sys.path.insert(0, str(Path(__file__).parents[1] / "endpoint"))
from scripted_server import Answer, Script, ScriptedServer, last_words, said

from actial.endpoint.asking import Reply, Server
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.errors import UserError
from actial.mix.conversations import Scribe
from actial.mix.lessons import School
from actial.mix.teacher import TASK, judge, opening, prompt_sha
from actial.params import Teacher, load_params
from actial.records import Conversation, Question
from actial.shards import ViewWriter, encode_png
from actial.tables import read_conversations

KEY = "sk-very-secret-0123456789"
TEACHER = {
    "model": "toy/teacher",
    "temperature": 0.7,
    "max_tokens": 512,
    "attempts": 2,
    "max_requests": None,
    "max_total_tokens": None,
    "max_failed_share": 0.05,
}
MIX: dict[str, Any] = {
    "cold_start_mix__n_rows": 200,
    "cold_start_mix__modes": {"think": 0.5, "direct": 0.5, "describe": 0.0},
    "cold_start_mix__share_2d": 0.0,
    "cold_start_mix__chains": 48,
    "cold_start_mix__source": "teacher",
    "cold_start_mix__teacher": TEACHER,
    "prompt__answer": "letter",
}
KINDS = ["lateral", "turn", "forward", "moved"]
N_CHAINS = 44
"""Four of each of eleven labels: as many as cold_start_mix.chains of 48 allows evenly."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views and questions, of kinds with and without chains of our own."""
    root = make_project(
        tmp_path_factory.mktemp("teacher") / "project",
        24,
        build_qa__kinds=KINDS,
        build_qa__audit={"probes": {}, "learners": ["linear"], "n_questions": 6000, "bound": 0.05, "n_ceiling": 0},
    )
    done = run_stage(root, "build_qa")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def known(made: Path) -> KnownQuestions:
    return KnownQuestions(made, mirrored=True)


def project(made: Path, root: Path, **changes: Any) -> Path:
    """A project with the same views and questions, and nothing else."""
    new = make_project(root, 0, build_qa__kinds=KINDS, **(MIX | changes))
    (new / "outputs").mkdir()
    for stage in ("render_views", "build_qa"):
        (new / "outputs" / stage).symlink_to(made / "outputs" / stage)
    return new


def teach(root: Path, server: ScriptedServer | None, **settings: str) -> subprocess.CompletedProcess[str]:
    url = {"ACTIAL_TEACHER_URL": server.url} if server else {}
    return run_stage(root, "cold_start_mix", NO_PROXY="127.0.0.1", **url, **settings)


Pupil = Callable[[Question], str | Answer]


class Class:
    """A teacher's replies to the project's questions, without the rest of the stage: `seconds`, not a process a time."""

    def __init__(self, known: KnownQuestions, folder: Path, script: Script, **teacher: Any) -> None:
        params = load_params(REPO / "profiles/tiny.yaml")
        mix = replace(params.cold_start_mix, source="teacher", chains=48, teacher=Teacher(**TEACHER | teacher))
        with ScriptedServer(script) as running, Replies(folder / "replies.jsonl") as kept:
            server = Server("teacher", running.url, None, concurrency=8, timeout_s=1, backoff_s=0.01)
            self.client = Client(server, kept, "")
            school = School(Scribe(params.prompt, mix, known.store.__getitem__, None, 7), known.store, self.client)
            try:
                self.chains, self.refused, _ = school.taught_chains(list(known.questions.values()), 100)
            finally:
                self.asked, self.lessons, self.counts = running.asked, school.lessons, school.lessons.counts(mix.teacher)


def teacher_of(known: KnownQuestions, replies: Pupil | None = None) -> Callable[[dict[str, Any], int], Answer]:
    """A server's script: for each question what `replies` gives, or a good reply."""

    def script(body: dict[str, Any], before: int) -> Answer:
        question = known.asked(body)
        reply = good_reply(question, *known.views(question)) if replies is None else replies(question)
        return reply if isinstance(reply, Answer) else said(reply)

    return script


def output(root: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (root / "outputs/cold_start_mix").iterdir()}


def manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / "outputs/cold_start_mix/manifest.json").read_text())


def thinking(root: Path) -> list[Conversation]:
    return [c for c in read_conversations(root / "outputs/cold_start_mix/sft.parquet") if c.mode == "think"]


def one_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert done.stderr.count("actial: error") == 1 and "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------------------ one reply


def test_a_reply_is_used_only_if_all_of_it_is_so(known: KnownQuestions) -> None:
    question = next(q for q in known.questions.values() if q.kind == "turn" and q.label_of(q.truth) == "left")
    views = known.views(question)
    good = good_reply(question, *views)
    told = lambda text, finish="stop": judge(Reply(text, finish, 1, 1), question, *views)
    assert told(good).chain and not told(good).reason
    assert told(f"\n {good} \n").chain == told(good).chain and "[" not in told(good).chain and "<" not in told(good).chain
    assert told(good.replace("Compare the", "Compare — ‘it’s’ — the")).chain.startswith("Compare  -  'it's'  -  the".replace("  ", " "))
    wrong = next(letter for letter in "ABC" if letter != question.truth)
    a, b = seen(question, *views), decided(question, *views)
    rejected = {
        good.replace(f"<answer>{question.truth}", f"<answer>{wrong}"): "another answer",
        good.replace(f"<answer>{question.truth}", f"<answer>{question.truth} "): "",
        good.replace(f"<answer>{question.truth}", "<answer>left"): "another answer",
        good.replace("turned left", "turned right"): "false claim",
        good.replace(b, "[the camera turned left by about 170 degrees]"): "false claim",
        good.replace(b, "it turned left"): "speaks of movement outside of claims",
        good.replace("Compare", "The camera moved to its right. Compare"): "speaks of movement outside of claims",
        good.replace(a, "much"): "no claim about the pictures",
        good.replace(b, "nothing"): "no claim that decides",
        good.replace(a, "[the sky is blue]"): "claim not understood",
        good.replace("Compare", "Given the correct answer, compare"): "says that it was told",
        good.replace("Compare", "As I was told, compare"): "says that it was told",
        good.replace("Compare", "Vergleiche bloß"): "not plain English",
        good.replace("<answer>", "<answer>A</answer><answer>"): "another answer",
        good + good: "another answer",
        f"Sure! {good}": "not in the form",
        f"```\n{good}\n```": "not in the form",
        good.replace("<reasoning>", ""): "not in the form",
        in_form("", question.truth): "no claim about the pictures",
        "": "not in the form",
        "I'm sorry, but I can't help with that.": "not in the form",
    }
    assert {text: told(text).reason for text in rejected} == rejected
    assert told(good, "length").reason == "cut off"
    assert all(bool(told(text).chain) == (reason == "") for text, reason in rejected.items())


def test_what_a_teacher_is_told(known: KnownQuestions) -> None:
    question = next(q for q in known.questions.values() if q.kind == "turn")
    system, user = opening(question, *known.views(question))
    assert question.text in user.content and f"The right answer: {question.truth}." in user.content and user.content.count("<image>") == 2
    assert all(f"{letter}. {text}" in user.content for letter, text in zip("ABC", question.options, strict=True))
    assert "<reasoning>" in system.content and "[the camera turned left]" in system.content
    assert "T_world" not in user.content and question.question_id not in system.content + user.content


def test_the_example_that_a_teacher_is_given_has_the_form_asked_for(known: KnownQuestions) -> None:
    (example,) = re.findall(r'about other pictures: "(.*?)" Make', TASK)
    verdicts = {judge(Reply(in_form(example, q.truth), "stop", 1, 1), q, *known.views(q)).reason for q in known.questions.values() if q.kind == "turn"}
    assert verdicts == {"", "false claim"}, "true of some pairs of pictures, false of others"


# ------------------------------------------------------------------------------------------------ the stage


def test_an_honest_teacher_fills_the_mixture_and_is_asked_nothing_twice(made: Path, known: KnownQuestions, tmp_path: Path) -> None:
    root = project(made, tmp_path / "project")
    with ScriptedServer(teacher_of(known)) as server:
        done = teach(root, server, ACTIAL_TEACHER_KEY_VARIABLE="MY_KEY", MY_KEY=KEY)
        assert done.returncode == 0, done.stderr
        assert set(server.keys) == {f"Bearer {KEY}"}
        n_asked, first = len(server.asked), output(root)
        rows = thinking(root)
        assert len(rows) == 100 and {c.kind for c in rows} == set(KINDS)
        labels = Counter((c.kind, c.labels["ABCDEFG".index(c.truth)]) for c in {c.question_id: c for c in rows}.values())
        assert all(len({n for (k, _), n in labels.items() if k == kind}) == 1 for kind in KINDS), "as many of each label"
        for c in rows:
            chain = c.messages[2].content.removeprefix("<think>").split("</think>")[0]
            assert chain.startswith("Compare the two pictures. I see that the object") and c.messages[2].content.endswith(f"<answer>{c.truth}</answer>")
        made_counts = manifest(root)["made"]
        assert made_counts["teacher's replies"] == made_counts["teacher's chains verified"] == n_asked == made_counts["teacher's tokens"] / 120
        replies = pq.read_table(root / "outputs/cold_start_mix/teacher.parquet").to_pylist()
        assert len(replies) == n_asked and {r["verdict"] for r in replies} == {"verified"}
        assert {(r["model"], r["prompt_sha"]) for r in replies} == {("toy/teacher", prompt_sha())}
        assert "written by the model toy/teacher" in (root / "outputs/cold_start_mix/README.md").read_text()

        shutil.rmtree(root / "outputs/cold_start_mix")
        again = teach(root, server, ACTIAL_TEACHER_KEY_VARIABLE="MY_KEY", MY_KEY=KEY)
        assert again.returncode == 0 and len(server.asked) == n_asked and output(root) == first
        assert f"0 asked now, {n_asked} kept from before" in again.stdout
    shutil.rmtree(root / "outputs/cold_start_mix")
    assert teach(root, None).returncode == 0 and output(root) == first, "what was answered needs no server"
    written = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and KEY.encode() in p.read_bytes()]
    assert not written and KEY not in done.stdout + done.stderr
    import datasets

    assert datasets.load_dataset(str(root / "outputs/cold_start_mix"), "teacher", cache_dir=str(tmp_path / "hf"))["train"].num_rows == n_asked


def test_a_teacher_that_lies_is_found_out_told_so_and_never_written(known: KnownQuestions, tmp_path: Path) -> None:
    """Every third question: a false claim at first, the truth when told; every fifth: nothing but lies."""
    lie = "[the camera rolled clockwise by about 90 degrees]"

    def script(body: dict[str, Any], before: int) -> Answer:
        question, i = known.asked(body), known.number(body)
        good = good_reply(question, *known.views(question))
        if i % 5 == 0 or (i % 3 == 0 and len(body["messages"]) == 2):
            return said(good.replace("From that", f"Besides, {lie}. From that"))
        if i % 3 == 0:
            assert body["messages"][2]["role"] == "assistant" and lie in body["messages"][2]["content"]
            assert f"not so: '{lie[1:-1]}'" in last_words(body)
        return said(good)

    done = Class(known, tmp_path, script)
    assert len(done.chains) == N_CHAINS and not any("rolled" in chain for _, chain in done.chains)
    n_false = sum(row["verdict"] == "false claim" for row in done.lessons.rows)
    assert done.refused["chains: teacher's reply rejected, false claim"] == n_false > 5
    assert done.counts["teacher's replies"] == len(done.lessons.rows) == done.counts["teacher's chains verified"] + n_false
    assert any(row["attempt"] == 2 and row["verdict"] == "verified" for row in done.lessons.rows)
    assert max(int(str(row["attempt"])) for row in done.lessons.rows) == 2


def test_a_teacher_that_only_lies_is_soon_asked_no_more(known: KnownQuestions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of the first \d+ replies of toy/teacher could be verified \(\d+ claim not understood\)"):
        Class(known, tmp_path, teacher_of(known, lambda q: in_form("[the camera flew]", q.truth)))
    assert 48 <= (tmp_path / "replies.jsonl").read_bytes().count(b"\n") < 150


def test_a_server_that_fails_in_every_way_changes_nothing(known: KnownQuestions, tmp_path: Path) -> None:
    faults = [
        Answer(b"", 500),
        Answer(b"", 429, {"Retry-After": "0.01"}),
        replace(said("dropped in the middle"), drop=True),
        Answer(b"<html>", 502),
        Answer(b"<html>"),
        Answer(b'{"choices": []}'),
        replace(said("late"), delay_s=1.5),
    ]
    first_time: set[int] = set()

    def script(body: dict[str, Any], before: int) -> Answer:
        question, i = known.asked(body), known.number(body)
        if i not in first_time and i % 3 == 0:
            first_time.add(i)
            return faults[i // 3 % len(faults)]
        return said(good_reply(question, *known.views(question)))

    for name in ("good", "failing"):
        (tmp_path / name).mkdir()
    good, failing = Class(known, tmp_path / "good", teacher_of(known)), Class(known, tmp_path / "failing", script)
    assert len(first_time) > 5 and failing.client.tally.n_resent >= len(first_time)
    assert (good.chains, good.refused, good.lessons) == (failing.chains, failing.refused, failing.lessons)


def test_a_killed_stage_asks_only_what_is_missing(made: Path, known: KnownQuestions, tmp_path: Path) -> None:
    whole, killed = project(made, tmp_path / "whole"), project(made, tmp_path / "killed")
    with ScriptedServer(teacher_of(known)) as server:
        assert teach(whole, server).returncode == 0
        n_whole = len(server.asked)
    slow = teacher_of(known, lambda q: replace(said(good_reply(q, *known.views(q))), delay_s=0.1))
    with ScriptedServer(slow) as server:
        env = os.environ | {"ACTIAL_TRACKING": "off", "NO_PROXY": "127.0.0.1", "ACTIAL_TEACHER_URL": server.url, "ACTIAL_TEACHER_CONCURRENCY": "2"}
        child = subprocess.Popen([sys.executable, "-m", "tasks.cold_start_mix"], cwd=killed, env=env)
        while len(server.asked) < 12:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
    kept = (killed / "runs/replies/toy-teacher.jsonl").read_bytes()
    n_kept = kept.count(b"\n")
    assert 8 <= n_kept < n_whole
    (killed / "runs/replies/toy-teacher.jsonl").write_bytes(kept[:-30])  # a power cut as well
    with ScriptedServer(teacher_of(known)) as server:
        done = teach(killed, server)
        assert done.returncode == 0 and len(server.asked) == n_whole - n_kept + 1, done.stderr
    assert "1 damaged lines" in done.stdout and output(killed) == output(whole)


@pytest.mark.parametrize(("limit", "n"), [({"max_requests": 30}, 30), ({"max_total_tokens": 2000}, 17)])
def test_a_budget_ends_the_asking_evenly_and_raising_it_goes_on(known: KnownQuestions, tmp_path: Path, limit: dict[str, int], n: int) -> None:
    short = Class(known, tmp_path, teacher_of(known), **limit)
    assert short.counts["teacher's replies"] == n and next(left for name, left in short.counts.items() if name.endswith("left")) == 0
    assert short.refused["chains: wanted when the teacher's budget was used up"] == N_CHAINS - n
    assert {q.kind for q, _ in short.chains} == set(KINDS), "the sorts take turns"
    assert n <= len(short.asked) <= n + 8
    again = Class(known, tmp_path, teacher_of(known), **limit)
    assert again.asked == [] and (again.chains, again.lessons) == (short.chains, short.lessons), "the budget counts what was asked before"
    richer = Class(known, tmp_path, teacher_of(known))
    assert len(richer.asked) == len(richer.lessons.rows) - len(short.asked)


def test_without_a_server_nothing_begins(made: Path, tmp_path: Path) -> None:
    root = project(made, tmp_path / "project")
    shutil.rmtree(tmp_path / "project/outputs", ignore_errors=True)
    (root / "outputs").mkdir(exist_ok=True)
    for stage in ("render_views", "build_qa"):  # not even readable: nothing was begun
        (root / "outputs" / stage).mkdir()
    one_sentence(teach(root, None), "teacher_url is not set")
    with ScriptedServer(lambda body, before: said("")) as gone:
        pass
    one_sentence(teach(root, gone), "nothing answers at")
    assert not (root / "outputs/cold_start_mix").exists()


def test_too_many_requests_without_reply_end_the_stage(known: KnownQuestions, tmp_path: Path) -> None:
    """Every seventh question is refused: set aside and counted where that is allowed, else the stage ends."""

    def script(body: dict[str, Any], before: int) -> Answer:
        question = known.asked(body)
        return Answer(b"no", 400) if known.number(body) % 7 == 0 else said(good_reply(question, *known.views(question)))

    with pytest.raises(UserError, match=r"requests to the teacher got no reply, more than cold_start_mix.teacher.max_failed_share \(0.05\)"):
        Class(known, tmp_path, script)
    lenient = Class(known, tmp_path, script, max_failed_share=0.5)
    n_failed = lenient.refused["chains: no reply of the teacher"]
    assert n_failed > 2 and len(lenient.chains) == N_CHAINS and lenient.client.tally.failed == {"status 400": n_failed}


def test_mirror_images_and_scenes_without_parts_can_be_taught(made: Path, known: KnownQuestions, tmp_path: Path) -> None:
    """The pictures that are sent are those of the question: a mirror image is turned over."""
    root = make_project(tmp_path / "project", 0, build_qa__kinds=["turn"], **(MIX | {"cold_start_mix__chains": 12}))
    ramp = np.tile(np.linspace(0, 255, 84).astype(np.uint8)[None, :, None], (84, 1, 3))
    with ViewWriter(root / "outputs/render_views/views", 64) as writer:
        for view in known.store:
            writer.add(replace(view, objects=view.objects[:1]), encode_png(ramp))
    assert run_stage(root, "build_qa").returncode == 0
    bare = KnownQuestions(root, mirrored=True)
    with ScriptedServer(teacher_of(bare)) as server:
        done = teach(root, server, ACTIAL_TEACHER_CONCURRENCY="1")
    assert done.returncode == 0, done.stderr
    replies = pq.read_table(root / "outputs/cold_start_mix/teacher.parquet").to_pylist()
    assert any("_mirrored" in c.question_id for c in thinking(root)) and any("_mirrored" not in c.question_id for c in thinking(root))
    for body, row in zip(server.asked, replies, strict=True):
        assert "No parts of the object have names here" in json.dumps(body) and " X " not in body["messages"][0]["content"]
        for part in body["messages"][1]["content"]:
            if part["type"] == "image_url":
                pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].split(",")[1]))))
                assert bool(pixels[0, 0, 0] > pixels[0, -1, 0]) == ("_mirrored" in row["question_id"])
