"""What is asked of an OpenAI-compatible server, and what comes back: requests, replies, and the server's address."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from actial.errors import UserError
from actial.machine import Machine
from actial.prompts import content_parts
from actial.records import Message

BACKOFF_S, LONGEST_WAIT_S = 0.5, 60.0
"""How long a request waits before it is sent again, at first and at most, where the server does not say; doubled each time."""

MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
"""What servers call the limit of tokens: nearly all of them, and some that refuse the first name."""


@dataclass(frozen=True)
class Server:
    """Where to ask, and with how much patience. The key is shown nowhere: not in `repr`, not in a message."""

    name: str
    """What messages and machine settings call it: `teacher`."""
    url: str
    """Address up to and including the version, such as http://localhost:8000/v1."""
    key: str | None = field(default=None, repr=False)
    concurrency: int = 8
    """Requests under way at once."""
    timeout_s: float = 600.0
    """Longest wait for one reply, from the request's start to its last byte."""
    tries: int = 8
    """Times a request is sent before it counts as failed."""
    requests_per_minute: int = 0
    """Most requests sent a minute, evenly spread; 0 for no limit."""
    backoff_s: float = BACKOFF_S
    url_setting: str = "teacher_url"
    key_setting: str = "teacher_key_variable"
    """What messages call the settings that hold its address, and the name of the variable with its key."""


@dataclass(frozen=True)
class Dialect:
    """How a server wants to be asked, as far as it has said so."""

    limit_name: str = MAX_TOKENS
    """What it calls the limit of tokens."""
    logprobs: bool = True
    """Whether it may be asked for log-probabilities."""


@dataclass(frozen=True)
class Ask:
    """One request."""

    name: str
    """What it is about (a question's id); not sent."""
    model: str
    messages: tuple[Message, ...]
    """Turns; each `<image>` in them stands for the next picture."""
    pictures: tuple[bytes, ...]
    """Encoded PNG or JPEG pictures."""
    temperature: float
    max_tokens: int
    seed: int | None = None
    """Of a sampled reply, for servers that take one; None sends none."""
    logprobs: bool = False
    """Whether the reply should say how probable its tokens were, where the server can."""

    def key(self) -> str:
        """Names everything a reply's text depends on: model, turns, the pictures' bytes and settings; not the server's address."""
        pictures = [hashlib.sha256(picture).hexdigest() for picture in self.pictures]
        turns = [{"role": m.role, "content": m.content} for m in self.messages]
        asked = [self.model, turns, pictures, self.temperature, self.max_tokens]
        asked += [] if self.seed is None else [self.seed]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def body(self, dialect: Dialect = Dialect()) -> bytes:
        """The request's JSON, pictures as data in it."""
        turns = [{"role": m.role, "content": _content(m.content)} for m in self.messages]
        asked: dict[str, Any] = {"model": self.model, "messages": turns, "temperature": self.temperature, dialect.limit_name: self.max_tokens}
        asked |= {} if self.seed is None else {"seed": self.seed}
        asked |= {"logprobs": True} if self.logprobs and dialect.logprobs else {}
        first, *others = json.dumps(asked).encode().split(_NO_PICTURE)
        pieces = [first]
        for picture, piece in zip(self.pictures, others, strict=True):
            pieces += (*_data_url(picture), piece)
        return b"".join(pieces)


class Token(NamedTuple):
    """One of a reply, as the server tells it; of hundreds, so that what is made quickly counts."""

    text: bytes
    """UTF-8, maybe the part of a letter."""
    logprob: float
    """Natural logarithm of the probability that the model gave it, after all before it."""


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    finish: str
    """Why it ended: `stop`, or `length` where it was cut off."""
    prompt_tokens: int | None
    completion_tokens: int | None
    """As the server counts them; None where it does not say."""
    tokens: tuple[Token, ...] = ()
    """Those written, with what belongs to no text: a thought that the server keeps apart, the end token. Empty where the server does not tell them."""

    @property
    def n_tokens(self) -> int:
        """Tokens read and written; 0 where the server does not say."""
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


@dataclass(frozen=True)
class NoReply:
    """Why a request was given up, in few words."""

    why: str


Outcome = Reply | NoReply


def parse_reply(data: bytes) -> Reply | None:
    """The reply in a response's body; None where it holds none: no JSON, or none of that form."""
    try:
        answer = _decoded(data)
        choice = answer["choices"][0]
        text, finish, usage = choice["message"].get("content"), choice.get("finish_reason"), answer.get("usage") or {}
        counts = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
        return Reply("" if text is None else _text(text), str(finish or "stop"), *counts, _tokens(choice.get("logprobs")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None


def server_of(machine: Machine) -> Server | None:
    """The teacher's server as this machine's settings have it; None where they name none.

    Raises:
        UserError: its address is not valid, or the variable that should hold the key is not set.
    """
    if machine.teacher_url is None:
        return None
    server = Server(
        "teacher",
        machine.teacher_url,
        None,
        machine.teacher_concurrency,
        machine.teacher_timeout_s,
        machine.teacher_tries,
        machine.teacher_requests_per_minute,
    )
    return with_key(server, machine.teacher_key_variable)


def with_key(server: Server, variable: str | None) -> Server:
    """The server with the key from an environment variable, if it needs one, and its address checked.

    Raises:
        UserError: the address is not valid, or the variable that should hold the key is not set.
    """
    key = None
    if variable is not None and not (key := os.environ.get(variable, "").strip()):
        raise UserError(f"{server.key_setting} is {variable}, but no such environment variable is set: put the server's key into it")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"the environment variable {variable} holds no key that a header can carry: give the key alone, without quotes or spaces")
    return replace(server, url=_checked_url(server), key=key)


def _checked_url(server: Server) -> str:
    url = server.url
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UserError(
            f"{server.url_setting} is {url!r}; it must be the http(s) address of an OpenAI-compatible server with its version, as http://localhost:8000/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            f"{server.url_setting} holds a user, a password or a query, and would be logged: put the key into an environment variable and name it in "
            f"{server.key_setting}"
        )
    return url.rstrip("/")


_NO_PICTURE = b'{"url": ""}'
"""In JSON, where a picture goes; within a text its quotes would be escaped. Pictures are put in afterwards: what encodes text would look at every letter."""


def _content(text: str) -> str | list[dict[str, Any]]:
    parts = content_parts(text)
    if all(part["type"] == "text" for part in parts):
        return text
    return [{"type": "image_url", "image_url": {"url": ""}} if part["type"] == "image" else dict(part) for part in parts]


def _data_url(picture: bytes) -> tuple[bytes, bytes, bytes]:
    kind = picture_format(picture)
    if kind is None:
        raise ValueError("only PNG and JPEG pictures are sent")
    return b'{"url": "data:image/%s;base64,' % kind.encode(), base64.b64encode(picture), b'"}'


def picture_format(picture: bytes) -> str | None:
    """`png` or `jpeg`, the formats that every server reads; None for another."""
    return "png" if picture.startswith(b"\x89PNG\r\n\x1a\n") else "jpeg" if picture.startswith(b"\xff\xd8\xff") else None


def _decoded(data: bytes) -> Any:
    """JSON as json.loads reads it. orjson takes a quarter of its time, which is most of what a reply with hundreds of log-probabilities costs here.

    Raises:
        ValueError: this is no JSON.
        RecursionError: it is nested too deep.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)  # servers written in Python also send NaN, and halves of surrogate pairs, which orjson refuses


def _text(content: str | Sequence[dict[str, Any]]) -> str:
    """A turn's text, which some servers give in parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content if part["type"] == "text")


def _tokens(told: Any) -> tuple[Token, ...]:
    """A reply's tokens; none where they are told in another form, or one of them without a number: the text is worth its cost all the same."""
    try:
        # its bytes where they are told: a letter may take several tokens
        found = tuple([Token(of["token"].encode() if of.get("bytes") is None else bytes(of["bytes"]), of["logprob"]) for of in told["content"] or ()])
        logprobs = [token.logprob for token in found]
        return found if {*map(type, logprobs)} <= {int, float} and math.isfinite(sum(logprobs)) else ()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return ()


def _count(n: Any) -> int | None:
    return n if type(n) is int and n >= 0 else None
