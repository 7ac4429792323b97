"""What tests ask a scripted server, and how they read what came."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripted_server import Answer, Script, ScriptedServer, last_words, said

from actial.endpoint.asking import Ask, Outcome, Reply, Server
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.records import Message

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==")
"""The smallest picture."""


def ask(words: str, **changes: Any) -> Ask:
    return replace(Ask(words, "m", (Message("user", words),), (), 0.5, 256), **changes)


def echo(body: dict[str, Any], before: int) -> Answer:
    return said(f"re: {last_words(body)}")


def server_at(running: ScriptedServer | str, **changes: Any) -> Server:
    url = running if isinstance(running, str) else running.url
    return replace(Server("teacher", url, None, concurrency=4, timeout_s=5, tries=4, backoff_s=0.01), **changes)


def ask_all(script: Script, asks: list[Ask], folder: Path, most_tokens: int | None = None, **changes: Any) -> tuple[list[Outcome], ScriptedServer, Client]:
    with ScriptedServer(script) as running, Replies(folder / "m.jsonl") as kept:
        client = Client(server_at(running, **changes), kept, "no server")
        return client.ask_all(asks, most_tokens), running, client


def texts(outcomes: list[Outcome]) -> list[str]:
    return [o.text if isinstance(o, Reply) else f"none: {o.why}" for o in outcomes]
