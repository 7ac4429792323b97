"""The replies that a client keeps: nothing is paid for twice, whatever ended the run before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from asking_toys import PNG, ask, ask_all, echo, server_at, texts
from scripted_server import ScriptedServer

from actial.endpoint.client import Client
from actial.endpoint.replies import Replies, replies_file
from actial.errors import UserError
from actial.prompts import IMAGE_MARK
from actial.records import Message

REPO = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("no_proxy")


def test_nothing_is_asked_twice_and_what_is_kept_needs_no_server(tmp_path: Path) -> None:
    asks = [ask(f"q{i}") for i in range(7)]
    first, _, _ = ask_all(echo, asks, tmp_path)
    with Replies(tmp_path / "m.jsonl") as kept:
        client = Client(None, kept, "nobody can be asked")
        assert client.ask_all(asks) == first and client.tally.n_asked == 0
        with pytest.raises(UserError, match="nobody can be asked"):
            client.ask_all([*asks, ask("new")])
    with ScriptedServer(echo) as stopped:
        url = stopped.url
    with Replies(tmp_path / "m.jsonl") as kept:
        client = Client(server_at(url), kept, "")
        assert client.ask_all(asks) == first
        with pytest.raises(UserError, match="nothing answers at"):
            client.ask_all([ask("new")])


def test_the_same_asked_twice_at_once_is_asked_once(tmp_path: Path) -> None:
    slow = lambda body, before: replace(echo(body, before), delay_s=0.05)
    outcomes, running, client = ask_all(slow, [ask("a", name=str(i)) for i in range(6)], tmp_path)
    assert texts(outcomes) == ["re: a"] * 6 and len(running.asked) == 1 and client.tally.n_kept == 5


def test_the_key_of_a_reply_is_of_all_that_it_depends_on() -> None:
    asks = [
        ask("a"),
        ask("b"),
        ask("a", model="n"),
        ask("a", temperature=0.6),
        ask("a", max_tokens=257),
        ask("a", messages=(Message("system", "a"),)),
        ask("a", messages=(Message("user", IMAGE_MARK),), pictures=(PNG,)),
        ask("a", messages=(Message("user", IMAGE_MARK),), pictures=(PNG + b"x",)),
    ]
    assert len({a.key() for a in asks}) == len(asks)
    assert ask("a").key() == ask("a", name="another").key()


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_cut_in_the_middle_loses_that_line_alone(cut: int, tmp_path: Path) -> None:
    asks = [ask(f"q{i}") for i in range(5)]
    ask_all(echo, asks, tmp_path, concurrency=1)
    file = tmp_path / "m.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    with Replies(file) as kept:
        assert len(kept) == (5 if cut == 1 else 4) and kept.n_unreadable == (cut > 1)
    outcomes, running, _ = ask_all(echo, asks, tmp_path)
    assert texts(outcomes) == [f"re: q{i}" for i in range(5)] and len(running.asked) == (cut > 1)
    with Replies(file) as kept:
        assert len(kept) == 5


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    asks = [ask(f"q{i}") for i in range(3)]
    ask_all(echo, asks, tmp_path, concurrency=1)
    lines = (tmp_path / "m.jsonl").read_bytes().splitlines()
    bad = [b"\x00\x00\x00", b'"text"', b"null", b'{"key": 3}', lines[1].replace(b'"stop"', b"7"), lines[1].replace(b"100", b'"many"'), b"", b"[]"]
    (tmp_path / "m.jsonl").write_bytes(b"\n".join([lines[0], *bad, lines[2]]) + b"\n")
    with Replies(tmp_path / "m.jsonl") as kept:
        assert [kept.get(a.key()) is not None for a in asks] == [True, False, True] and kept.n_unreadable == len(bad) - 1


def test_models_have_files_of_their_own_inside_the_folder() -> None:
    assert replies_file(Path("r"), "org/Model-7B:free") == Path("r/org-Model-7B-free.jsonl")
    assert [replies_file(Path("r"), name).parent for name in ("../../etc/passwd", "..", "/")] == [Path("r")] * 3


ASKING = """
import sys
from pathlib import Path
from actial.endpoint.asking import Ask, Server
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.records import Message
with Replies(Path(sys.argv[2])) as kept:
    asks = [Ask(f"q{i}", "m", (Message("user", f"q{i}"),), (), 0.5, 256) for i in range(60)]
    Client(Server("teacher", sys.argv[1], concurrency=4), kept, "").ask_all(asks)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_kill_only_what_is_missing_is_asked(how: signal.Signals, tmp_path: Path) -> None:
    slow = lambda body, before: replace(echo(body, before), delay_s=0.05)
    with ScriptedServer(slow) as running:
        child = subprocess.Popen([sys.executable, "-c", ASKING, running.url, str(tmp_path / "m.jsonl")], cwd=REPO, env=os.environ | {"PYTHONPATH": str(REPO)})
        while len(running.asked) < 20:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(how)
        child.wait(timeout=10)
    with Replies(tmp_path / "m.jsonl") as kept:
        n_kept = len(kept)
    assert 10 <= n_kept < 60
    outcomes, running, _ = ask_all(echo, [ask(f"q{i}") for i in range(60)], tmp_path)
    assert len(running.asked) == 60 - n_kept and texts(outcomes) == [f"re: q{i}" for i in range(60)]
