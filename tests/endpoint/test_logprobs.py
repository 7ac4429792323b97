"""Log-probabilities of tokens: asked for, read where they come, and done without where a server has none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking_toys import ask, ask_all, echo, texts
from scripted_server import Answer, last_words, said

from actial.endpoint.asking import Dialect, Reply, Token, parse_reply

pytestmark = pytest.mark.usefixtures("no_proxy")
ASKS = [ask(f"q{i}", logprobs=True) for i in range(12)]


def test_they_are_asked_for_where_they_are_wanted_and_the_reply_has_them(tmp_path: Path) -> None:
    telling = lambda body, before: said(f"re: {last_words(body)}", logprobs=[("re:", -0.5), (" q", -0.25), (last_words(body)[1:], 0)])
    outcomes, running, _ = ask_all(telling, [ASKS[0], ask("q1")], tmp_path)
    assert [body.get("logprobs") for body in sorted(running.asked, key=last_words)] == [True, None]
    first = outcomes[0]
    assert isinstance(first, Reply) and first.tokens == (Token(b"re:", -0.5), Token(b" q", -0.25), Token(b"0", 0))
    assert ASKS[0].key() == replace(ASKS[0], logprobs=False).key(), "a text that was paid for is known with and without them"


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(b'{"error": {"message": "Logprobs is not enabled for models/m"}}', 400),
        Answer(b'{"error": {"message": "You are not allowed to request logprobs from this model"}}', 403),
        Answer(b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "logprobs"]}]}', 422),
        Answer(b'{"error": "logprobs: not implemented"}', 500),
        Answer(b'{"error": "bad request"}', 400),
    ],
    ids=["not enabled", "not allowed", "extra", "not implemented", "says not why"],
)
def test_a_server_that_refuses_them_is_asked_without(refusal: Answer, tmp_path: Path) -> None:
    refuses = lambda body, before: refusal if "logprobs" in body else echo(body, before)
    outcomes, running, client = ask_all(refuses, ASKS, tmp_path)
    assert texts(outcomes) == [f"re: q{i}" for i in range(12)]
    assert sum("logprobs" in body for body in running.asked) <= 4, "it is told once, at most by as many as are under way at once"
    assert client.tally.n_resent == 0 and not client.tally.failed


def test_what_it_refuses_for_another_reason_is_no_refusal_of_them(tmp_path: Path) -> None:
    picky = lambda body, before: Answer(b'{"error": "policy"}', 400) if last_words(body) == "q5" else said(last_words(body), logprobs=[(last_words(body), -1)])
    outcomes, running, _ = ask_all(picky, ASKS, tmp_path, concurrency=1)
    assert texts(outcomes)[5] == "none: status 400" and all(isinstance(o, Reply) and o.tokens for i, o in enumerate(outcomes) if i != 5)
    assert len(running.asked) == 12, "it had given some before, so nothing is asked twice"


def test_a_server_may_refuse_them_and_call_the_limit_otherwise(tmp_path: Path) -> None:
    def reasons(body: dict[str, Any], before: int) -> Answer:
        if "max_tokens" in body:
            return Answer(b'{"error": "Use max_completion_tokens"}', 400)
        return Answer(b'{"error": "logprobs is not supported"}', 400) if "logprobs" in body else echo(body, before)

    outcomes, running, _ = ask_all(reasons, ASKS, tmp_path, concurrency=1)
    assert texts(outcomes) == [f"re: q{i}" for i in range(12)] and len(running.asked) == 12 + 2


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "yes",
        {},
        {"content": None},
        {"content": "text"},
        {"tokens": ["a"], "token_logprobs": [-0.1]},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": None}]},
        {"content": [{"token": "a", "logprob": True}]},
        {"content": [{"token": "a", "logprob": float("nan")}]},
        {"content": [{"token": "a", "logprob": -0.1, "bytes": [300]}]},
        {"content": [{"token": "a", "logprob": -0.1, "bytes": "a"}]},
        {"content": [{"token": None, "logprob": -0.1}]},
        {"content": [{"token": "\ud800", "logprob": -0.1}]},
        {"content": ["a"]},
    ],
    ids=str,
)
def test_a_reply_is_no_worse_for_what_is_wrong_with_them(told: Any) -> None:
    reply = parse_reply(json.dumps({"choices": [{"message": {"content": "a"}, "logprobs": told}]}).encode())
    assert reply == Reply("a", "stop", None, None)


def test_a_reply_with_nan_somewhere_is_read_as_any_other() -> None:
    """Servers written in Python send it; JSON has none, and a quick reader refuses it."""
    told = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -0.25}]
    body = {"choices": [{"message": {"content": "ab"}, "logprobs": {"content": told}}], "usage": {"completion_tokens": 2}}
    expected = Reply("ab", "stop", None, 2, (Token(b"a", -0.5), Token(b"b", -0.25)))
    assert parse_reply(json.dumps(body | {"took_s": float("nan")}).encode()) == parse_reply(json.dumps(body).encode()) == expected


def test_bytes_are_read_where_a_letter_takes_several_tokens_and_text_where_none_are_told() -> None:
    told = [{"token": "\ufffd", "logprob": -0.5, "bytes": [0xC3]}, {"token": "\ufffd", "logprob": -0.1, "bytes": [0xA9]}, {"token": "é", "logprob": 0}]
    reply = parse_reply(json.dumps({"choices": [{"message": {"content": "éé"}, "logprobs": {"content": told}}]}).encode())
    assert reply is not None and b"".join(t.text for t in reply.tokens).decode() == "éé"


def test_a_body_has_them_only_where_both_want_them() -> None:
    has = lambda wanted, given: "logprobs" in json.loads(replace(ASKS[0], logprobs=wanted).body(Dialect(logprobs=given)))
    assert [has(wanted, given) for wanted in (True, False) for given in (True, False)] == [True, False, False, False]
