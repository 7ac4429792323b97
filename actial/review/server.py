"""The local server of a review: on this machine alone, one person, nothing of the truth before the end."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from actial.report.reviews import Review, review_file, write_review
from actial.review.page import asking_page, results_page, state_of
from actial.review.session import Session
from actial.shards import ViewStore

MOST_BYTES = 10_000
"""Of a request's body."""


class ReviewServer(ThreadingHTTPServer):
    """Serves one session on 127.0.0.1.

    Args:
        port: 0 for any that is free.
        kept_in: folder that the review is written into when the person ends it.
    """

    daemon_threads = True

    def __init__(self, session: Session, views: ViewStore, split: str, questions_sha256: str, kept_in: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.session, self.views, self.split, self.questions_sha256, self.kept_in = session, views, split, questions_sha256, kept_in
        self.turn = threading.Lock()
        """One request at a time sees the session and the views."""
        self.page = asking_page(session.reviewer, split, len(session.questions))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def review(self) -> Review:
        """The answers that are final."""
        return self.session.review(self.views, self.split, self.questions_sha256)

    def finish(self) -> Path:
        """Make the answers final, and write the review."""
        self.session.finish()
        return write_review(self.kept_in, self.review())


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version, sys_version = "actial", ""

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        with self.server.turn:
            session = self.server.session
            if self.path == "/":
                self._send(self.server.page, "text/html")
            elif self.path == "/state":
                self._send_state()
            elif self.path == "/results" and session.is_final:
                review = self.server.review()
                self._send(results_page(session, review, self.server.views, str(review_file(self.server.kept_in, review))), "text/html")
            elif self.path == "/favicon.ico":
                self._send("", "text/plain", HTTPStatus.NO_CONTENT)
            else:
                self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if not self._is_for_us():
            return
        body = self._body()
        if body is None:
            return
        with self.server.turn:
            session = self.server.session
            if self.path == "/answer":
                letter, note = body.get("letter"), str(body.get("note", ""))
                try:
                    session.answer(body.get("place"), letter, note.strip())
                except ValueError:
                    self._refuse(HTTPStatus.CONFLICT)  # another window was faster: the page loads what is to be answered now
                    return
                self._send_state()
            elif self.path == "/undo":
                session.undo()
                self._send_state()
            elif self.path == "/finish" and session.n_said:
                self.server.finish()
                self._send("{}", "application/json")
            else:
                self._refuse(HTTPStatus.NOT_FOUND)

    def _is_for_us(self) -> bool:
        """Whether the request names this server: a site whose name was made to point here must not read it."""
        port = self.server.server_port
        if self.headers.get("Host") in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return True
        self._refuse(HTTPStatus.FORBIDDEN)
        return False

    def _body(self) -> dict[str, Any] | None:
        """The request's JSON. Other sites' pages cannot send that type without asking first, which nobody allows them."""
        try:
            length = int(self.headers.get("Content-Length", ""))
            if self.headers.get_content_type() != "application/json" or not 0 <= length <= MOST_BYTES:
                raise ValueError
            body = json.loads(self.rfile.read(length))
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        if isinstance(body, dict):
            return body
        self._refuse(HTTPStatus.BAD_REQUEST)
        return None

    def _send_state(self) -> None:
        self._send(json.dumps(state_of(self.server.session, self.server.views)), "application/json")

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status.phrase, "text/plain", status)

    def _send(self, text: str, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for the address."""
