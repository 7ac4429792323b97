"""The client against a real server that errs in every way we could think of."""

from __future__ import annotations

import base64
import email.utils
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking_toys import PNG, ask, ask_all, echo, server_at, texts
from scripted_server import Answer, ScriptedServer, last_words, said

from actial.endpoint.asking import Ask, NoReply, Outcome, Reply, server_of
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.errors import UserError
from actial.machine import load_machine
from actial.prompts import IMAGE_MARK
from actial.records import Message

REPO = Path(__file__).parents[2]
KEY = "sk-very-secret-0123456789"
pytestmark = pytest.mark.usefixtures("no_proxy")


def test_replies_come_in_order_with_no_more_at_once_than_allowed(tmp_path: Path) -> None:
    late = lambda body, before: replace(echo(body, before), delay_s=0.05 if last_words(body).endswith("0") else 0.01)
    outcomes, running, client = ask_all(late, [ask(f"q{i}") for i in range(25)], tmp_path)
    assert texts(outcomes) == [f"re: q{i}" for i in range(25)]
    assert 2 <= running.most_at_once <= 4
    assert (client.tally.n_asked, client.tally.n_kept, client.tally.tokens) == (25, 0, 25 * 120)


def test_as_many_requests_as_are_under_way_are_made_ahead_and_the_caller_is_told_of_every_outcome(tmp_path: Path) -> None:
    drawn: list[str] = []
    seen: list[int] = []

    def drawing() -> Iterator[Ask]:
        for i in range(20):
            drawn.append(f"q{i}")
            yield ask(f"q{i}")

    def slow(body: dict[str, Any], before: int) -> Answer:
        give_up_s = time.monotonic() + 10
        while not seen and len(drawn) < 8 and time.monotonic() < give_up_s:
            time.sleep(0.01)
        seen.append(len(drawn))
        return echo(body, before)

    told: dict[int, Outcome] = {}
    with ScriptedServer(slow) as running, Replies(tmp_path / "m.jsonl") as kept:
        client = Client(server_at(running), kept, "")
        outcomes = client.ask_all(drawing(), on_outcome=told.__setitem__)
        assert told == dict(enumerate(outcomes)) and len(told) == 20
        assert all(n <= len(running.asked) + 4 for n in seen) and seen[0] == 8, "four under way, four ready"
        with pytest.raises(ZeroDivisionError):
            client.ask_all([ask("one more")], on_outcome=lambda i, outcome: 1 // 0)
        assert len(kept) == 21, "what came is kept, whatever the caller does with it"


def test_what_is_sent_is_what_openai_compatible_servers_read(tmp_path: Path) -> None:
    like_json = 'S {"url": ""}'
    pictured = ask("one", messages=(Message("system", like_json), Message("user", f"one {IMAGE_MARK} two {IMAGE_MARK}")), pictures=(PNG, PNG))
    _, running, _ = ask_all(echo, [pictured], tmp_path, key=KEY)
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    picture = {"type": "image_url", "image_url": {"url": url}}
    content = [{"type": "text", "text": "one "}, picture, {"type": "text", "text": " two "}, picture]
    turns = [{"role": "system", "content": like_json}, {"role": "user", "content": content}]
    assert running.asked == [{"model": "m", "messages": turns, "temperature": 0.5, "max_tokens": 256}]
    assert set(running.keys) == {f"Bearer {KEY}"}


FAULTS: dict[str, Answer] = {
    "500": Answer(b"oops", 500),
    "503, an instant": Answer(b"busy", 503, {"Retry-After": "0"}),
    "429, seconds": Answer(b'{"error": {"message": "slow down"}}', 429, {"Retry-After": "0.02"}),
    "429, a date past": Answer(b"", 429, {"Retry-After": email.utils.format_datetime(datetime.now(UTC) - timedelta(hours=1))}),
    "429, nonsense": Answer(b"", 429, {"Retry-After": "soon"}),
    "HTML": Answer(b"<html><body>A proxy's page</body></html>"),
    "half JSON": Answer(said("half").body[:40]),
    "no choices": Answer(b'{"choices": []}'),
    "choices of another kind": Answer(b'{"choices": {"a": 1}}'),
    "a list": Answer(b"[1, 2]"),
    "null": Answer(b"null"),
    "content is a number": Answer(b'{"choices": [{"message": {"content": 3}}]}'),
    "not UTF-8": Answer(b"\xff\xfe{"),
    "nested too deep": Answer(b"[" * 100_000),
    "dropped": replace(said("dropped in the middle"), drop=True),
    "too late": replace(said("late"), delay_s=0.7),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_failed_is_sent_again(fault: str, tmp_path: Path) -> None:
    twice = lambda body, before: FAULTS[fault] if before < 2 else echo(body, before)
    outcomes, running, client = ask_all(twice, [ask("a")], tmp_path, timeout_s=0.3)
    assert texts(outcomes) == ["re: a"] and len(running.asked) == 3 and client.tally.n_resent == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_always_fails_is_given_up_with_its_reason(fault: str, tmp_path: Path) -> None:
    one_bad = lambda body, before: FAULTS[fault] if last_words(body) == "bad" else echo(body, before)
    outcomes, running, client = ask_all(one_bad, [ask("a"), ask("bad"), ask("b")], tmp_path, timeout_s=0.3, tries=2, concurrency=1)
    assert [o.text if isinstance(o, Reply) else None for o in outcomes] == ["re: a", None, "re: b"]
    assert sum(last_words(body) == "bad" for body in running.asked) == 2 and sum(client.tally.failed.values()) == 1
    again, running, _ = ask_all(echo, [ask("a"), ask("bad"), ask("b")], tmp_path)
    assert texts(again) == ["re: a", "re: bad", "re: b"] and len(running.asked) == 1, "only what failed is asked again"


def test_a_refused_question_is_not_asked_twice(tmp_path: Path) -> None:
    filtered = lambda body, before: Answer(b'{"error": "content policy"}', 400) if last_words(body) == "bad" else echo(body, before)
    outcomes, running, _ = ask_all(filtered, [ask("a"), ask("bad")], tmp_path)
    assert outcomes[1] == NoReply("status 400") and len(running.asked) == 2


def test_requests_refused_for_good_do_not_end_the_others_unless_none_is_answered(tmp_path: Path) -> None:
    odd = lambda body, before: Answer(b"no such option", 400) if int(last_words(body)[1:]) >= 10 else echo(body, before)
    outcomes, _, _ = ask_all(odd, [ask(f"q{i}") for i in range(40)], tmp_path)
    assert sum(isinstance(o, NoReply) for o in outcomes) == 30
    with pytest.raises(UserError, match="status 400, 'no such option'"):
        ask_all(odd, [ask(f"q{i}") for i in range(50, 90)], tmp_path)


def test_all_wait_when_one_is_told_to_and_waiting_costs_no_try(tmp_path: Path) -> None:
    """A server that takes one request per 50 ms, and says so: with more workers than tries, all replies come."""
    next_s = [0.0]

    def one_at_a_time(body: dict[str, Any], before: int) -> Answer:
        now_s = time.monotonic()
        if now_s < next_s[0]:
            return Answer(b"", 429, {"Retry-After": f"{next_s[0] - now_s:.3f}"})
        next_s[0] = now_s + 0.05
        return echo(body, before)

    outcomes, _, client = ask_all(one_at_a_time, [ask(f"q{i}") for i in range(20)], tmp_path, concurrency=8, tries=3)
    assert texts(outcomes) == [f"re: q{i}" for i in range(20)] and client.tally.n_resent > 10


def test_requests_are_spread_over_the_minute(tmp_path: Path) -> None:
    start_s = time.monotonic()
    ask_all(echo, [ask(f"q{i}") for i in range(11)], tmp_path, requests_per_minute=1200)
    assert 0.5 <= time.monotonic() - start_s < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(f'{{"error": "Incorrect API key: {KEY}"}}'.encode(), 401), "the key is missing or wrong (teacher_key_variable names"),
        (Answer(b"", 403), "the key may not do this"),
        (Answer(f'{{"error": "no model m for {KEY}"}}'.encode(), 404), "no such model"),
        (Answer(b"", 302, {"Location": "http://127.0.0.1:9/v1/chat/completions"}), "is not followed"),
        (Answer(b"", 429, {"Retry-After": "86400"}), "wants no request for 86,400 s"),
    ],
)
def test_what_no_request_would_survive_ends_all_in_one_sentence_without_the_key(answer: Answer, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        ask_all(lambda body, before: answer, [ask(f"q{i}") for i in range(50)], tmp_path, key=KEY)
    assert words in str(error.value) and KEY not in str(error.value)


def test_a_server_that_went_away_ends_all_and_what_came_is_kept(tmp_path: Path) -> None:
    dies = lambda body, before: echo(body, before) if int(last_words(body)[1:]) < 10 else Answer(b"gone", 502)
    with pytest.raises(UserError, match=r"no reply to the last 5 requests \(the last one: status 502, 'gone'\).*only the rest is asked"):
        ask_all(dies, [ask(f"q{i}") for i in range(1000)], tmp_path, tries=2)
    outcomes, running, client = ask_all(echo, [ask(f"q{i}") for i in range(30)], tmp_path)
    assert len(running.asked) == 20 and client.tally.n_kept == 10 and texts(outcomes) == [f"re: q{i}" for i in range(30)]


def test_a_limit_of_tokens_ends_at_the_same_reply_whatever_was_kept(tmp_path: Path) -> None:
    """120 tokens a reply: the fourth is the last, since the three before it cost less than 400."""
    asks = [ask(f"q{i}") for i in range(40)]
    outcomes, running, _ = ask_all(echo, asks, tmp_path, most_tokens=400)
    assert texts(outcomes) == [f"re: q{i}" for i in range(4)]
    assert len(running.asked) < 4 + 4, "no more than was under way"
    again, running, client = ask_all(echo, asks, tmp_path, most_tokens=400)
    assert again == outcomes and not running.asked and client.tally.tokens == 0
    none, running, _ = ask_all(echo, asks, tmp_path, most_tokens=0)
    assert none == [] and not running.asked


def test_tokens_that_are_not_counted_cannot_be_limited(tmp_path: Path) -> None:
    uncounted = lambda body, before: said("x", tokens=None)
    assert texts(ask_all(uncounted, [ask("a")], tmp_path)[0]) == ["x"]
    with pytest.raises(UserError, match="does not say how many tokens"):
        ask_all(uncounted, [ask("b")], tmp_path, most_tokens=100)


def test_text_in_parts_and_no_text_are_replies(tmp_path: Path) -> None:
    parts = json.loads(said("").body)
    parts["choices"][0]["message"]["content"] = [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]
    answers = {"parts": Answer(json.dumps(parts).encode()), "none": said(None, "length"), "wide": said("ünï \u2028 \U0001f600\n")}
    outcomes, _, _ = ask_all(lambda body, before: answers[last_words(body)], [ask(w) for w in answers], tmp_path)
    assert texts(outcomes) == ["in parts", "", "ünï \u2028 \U0001f600\n"]
    assert isinstance(outcomes[1], Reply) and outcomes[1].finish == "length"
    with Replies(tmp_path / "m.jsonl") as kept:
        assert [kept.get(ask(w).key()) for w in answers] == outcomes


def test_a_server_that_takes_no_key_is_found_out_before_anything_is_asked(tmp_path: Path) -> None:
    with ScriptedServer(echo, models=Answer(b"", 401)) as running, Replies(tmp_path / "m.jsonl") as kept:
        with pytest.raises(UserError, match="the key is missing or wrong"):
            Client(server_at(running), kept, "").check()
        assert not running.asked
    with ScriptedServer(echo, models=Answer(b"", 404)) as running, Replies(tmp_path / "m.jsonl") as kept:
        Client(server_at(running), kept, "").check()  # not every server lists its models


def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken, Replies(tmp_path / "m.jsonl") as kept:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(UserError, match=f"nothing answers at the teacher's server {url}"):
            Client(server_at(url, key=KEY), kept, "").check()


def test_requests_go_through_the_environments_proxy_and_not_where_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "http://no-such-host.invalid/v1"

    with ScriptedServer(echo, prefix="http://no-such-host.invalid") as proxy, Replies(tmp_path / "m.jsonl") as kept:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        assert texts(Client(server_at(gone), kept, "").ask_all([ask("a")])) == ["re: a"]
        monkeypatch.setenv("NO_PROXY", "no-such-host.invalid")
        monkeypatch.setenv("no_proxy", "no-such-host.invalid")
        with pytest.raises(UserError, match="nothing answers"):
            Client(server_at(gone), kept, "").check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ACTIAL_TEACHER_URL": "localhost:8000"}, "must be the http"),
        ({"ACTIAL_TEACHER_URL": "ftp://h/v1"}, "must be the http"),
        ({"ACTIAL_TEACHER_URL": "http://h:99999/v1"}, "must be the http"),
        ({"ACTIAL_TEACHER_URL": f"http://me:{KEY}@h/v1"}, "would be logged"),
        ({"ACTIAL_TEACHER_URL": f"http://h/v1?key={KEY}"}, "would be logged"),
        ({"ACTIAL_TEACHER_URL": "http://h/v1", "ACTIAL_TEACHER_KEY_VARIABLE": "NO_SUCH_KEY"}, "no such environment variable"),
        ({"ACTIAL_TEACHER_URL": "http://h/v1", "ACTIAL_TEACHER_KEY_VARIABLE": "K", "K": f"{KEY}\nX-Evil: 1"}, "holds no key"),
    ],
)
def test_settings_that_cannot_be_are_told_without_secrets(settings: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words) as error:
        server_of(load_machine(tmp_path))
    assert KEY not in str(error.value)


def test_the_key_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACTIAL_TEACHER_URL", "http://localhost:8000/v1/")
    monkeypatch.setenv("ACTIAL_TEACHER_KEY_VARIABLE", "MY_KEY")
    monkeypatch.setenv("MY_KEY", KEY)
    machine = load_machine(tmp_path)
    server = server_of(machine)
    assert server is not None and server.key == KEY and server.url == "http://localhost:8000/v1"
    assert KEY not in repr(server) and KEY not in repr(machine)
    assert server_of(replace(machine, teacher_url=None)) is None


def test_a_server_that_calls_the_limit_otherwise_is_asked_by_that_name(tmp_path: Path) -> None:
    wants = lambda body, before: (
        Answer(b'{"error": "Unsupported parameter: use \'max_completion_tokens\' instead."}', 400) if "max_tokens" in body else echo(body, before)
    )
    outcomes, running, client = ask_all(wants, [ask(f"q{i}") for i in range(12)], tmp_path)
    assert texts(outcomes) == [f"re: q{i}" for i in range(12)]
    asked = [body for body in running.asked if "max_completion_tokens" in body]
    assert len(asked) == 12 and {body["max_completion_tokens"] for body in asked} == {256}
    assert len(running.asked) <= 12 + 4 and client.tally.n_resent == 0, "it is told once, at most by as many as are under way at once"
