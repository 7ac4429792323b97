"""A real HTTP server on this machine that answers as a test wants: well, late, wrongly, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One response."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: bool = False
    """Close the connection in the middle of the body."""


def said(text: str | None, finish: str = "stop", tokens: tuple[int, int] | None = (100, 20), logprobs: Sequence[tuple[str, float]] | None = None) -> Answer:
    """A chat completion, with its tokens and their log-probabilities where they are given."""
    answer: dict[str, Any] = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]}
    if logprobs is not None:
        content = [{"token": piece, "logprob": logprob, "bytes": list(piece.encode()), "top_logprobs": []} for piece, logprob in logprobs]
        answer["choices"][0]["logprobs"] = {"content": content, "refusal": None}
    if tokens:
        answer["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Answer(json.dumps(answer).encode())


Script = Callable[[dict[str, Any], int], Answer]
"""From a request's JSON, and how often the very same one came before, to the response."""


def last_words(body: dict[str, Any]) -> str:
    """The text of a request's last turn, pictures left out."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class ScriptedServer:
    """Use as a context manager. `asked` has the JSON of every request, in the order they came. `prefix`: what a proxy is given before the path."""

    def __init__(self, script: Script, models: Answer | None = None, prefix: str = "") -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        outer = self
        listed = models or Answer(b'{"object": "list", "data": []}')

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.keys.append(self.headers.get("Authorization"))
                self.respond(listed if self.path == f"{prefix}/v1/models" else Answer(b"{}", 404))

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != f"{prefix}/v1/chat/completions":
                    return self.respond(Answer(b"not here", 404))
                body = json.loads(data)
                with outer._lock:
                    outer.keys.append(self.headers.get("Authorization"))
                    before = outer.asked.count(body)
                    outer.asked.append(body)
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                answer = script(body, before)
                time.sleep(answer.delay_s)
                with outer._lock:
                    outer._at_once -= 1
                return self.respond(answer)

            def respond(self, answer: Answer) -> None:
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(answer.body)), **answer.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body[: len(answer.body) // 2] if answer.drop else answer.body)
                except (BrokenPipeError, ConnectionResetError):  # the client did not wait
                    self.close_connection = True
                if answer.drop:
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
