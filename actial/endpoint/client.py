"""Asks a server many things at once, in order, and does not give up early.

What fails is sent again after a pause that doubles, or as long as the server says: refused connections, dropped ones, silence, replies that are none,
status 408, 429 and 5xx. A wrong key or address ends all at once; so does a server that has stopped answering. Every reply is kept before it is used.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from actial.endpoint.asking import LONGEST_WAIT_S, MAX_COMPLETION_TOKENS, MAX_TOKENS, Ask, Dialect, NoReply, Outcome, Reply, Server, parse_reply
from actial.endpoint.rounds import Round
from actial.errors import UserError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

AGAIN = frozenset({408, 409, 425, 429})
"""Statuses besides 5xx after which a request is sent again."""
HOPELESS = {401: "the key is missing or wrong", 403: "the key may not do this", 404: "there is no such model or address", 405: "this is no address to ask at"}
"""Statuses that every other request would get, too."""
TOO_MANY = "status 429"
NO_SUCH_SETTING = frozenset({400, 422})
"""Statuses with which servers refuse a setting of a request, whether they name it or not."""
PATIENCE_S = 600.0
"""The longest pause that a server may ask for."""
PROBE_S = 20.0
LEAST_IN_A_ROW = 5
"""So many requests given up in a row, or as many as are under way at once if these are more: the server has stopped answering."""


@dataclass
class Tally:
    """What was asked so far, now and before."""

    n_asked: int = 0
    """Replies that came over the network."""
    n_kept: int = 0
    """Replies that were there from before."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests that were given up, by reason."""
    n_resent: int = 0
    """Times that a request was sent again."""
    tokens: int = 0
    """Read and written for the replies of `n_asked`."""


class Kept(Protocol):
    """Where replies are kept."""

    path: Path

    def get(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one."""

    def add(self, key: str, name: str, reply: Reply) -> None:
        """Keep a reply to the request of that name."""


class Client:
    """Asks one server; without one, only what was asked before gets a reply."""

    def __init__(self, server: Server | None, kept: Kept, missing: str) -> None:
        """`missing`: the sentence for something that must be asked while there is no server."""
        self.server, self.kept, self.missing = server, kept, missing
        self.tally = Tally()
        self._reachable = False

    def check(self) -> None:
        """Check that there is a server, that it answers, and that it takes the key.

        Raises:
            UserError: there is none, or it does not.
        """
        asyncio.run(self.checked())

    def ask_all(
        self, asks: Iterable[Ask], most_tokens: int | None = None, on_outcome: Callable[[int, Outcome], None] = lambda i, outcome: None
    ) -> list[Outcome]:
        """Outcomes in the order of `asks`, which are taken one by one, a few (`server.concurrency`) ahead of their turn.

        Args:
            most_tokens: nothing more is used once replies have cost as many: an outcome is given only where those before it cost less, now or when they
                were asked. What was under way by then is kept, not used.
            on_outcome: called with the place and the outcome soon after each comes, in any order.

        Raises:
            UserError: the server refuses all, has stopped answering, or does not count tokens while `most_tokens` needs it.
        """
        found = asyncio.run(self._ask_all(enumerate(asks), most_tokens, on_outcome))
        outcomes: list[Outcome] = []
        spent = 0
        while len(outcomes) in found and (most_tokens is None or spent < most_tokens):
            outcome = found[len(outcomes)]
            outcomes.append(outcome)
            spent += outcome.n_tokens if isinstance(outcome, Reply) else 0
        return outcomes

    async def checked(self) -> None:
        """See `check`; once it has answered it is not asked again."""
        if self._reachable:
            return
        if self.server is None:
            raise UserError(self.missing)
        async with _session(self.server) as session:
            await Talk(self.server, session, self.tally).probe()
        self._reachable = True

    async def _ask_all(self, asks: Iterator[tuple[int, Ask]], most_tokens: int | None, on_outcome: Callable[[int, Outcome], None]) -> dict[int, Outcome]:
        async with _session(self.server) as session:
            talk = None if self.server is None else Talk(self.server, session, self.tally)
            asked = Round(self, talk, asks, most_tokens, on_outcome)
            await asked.run(self.server.concurrency if self.server else 1)
        return asked.found


class Talk:
    """What the requests of one server share: its connections, its pauses, and whether it still answers."""

    def __init__(self, server: Server, session: ClientSession, tally: Tally) -> None:
        self.server, self.session, self.tally = server, session, tally
        self._not_before_s = 0.0
        self._slot_s = 0.0
        self._failed_in_a_row = 0
        self.dialect = Dialect()
        self._takes_logprobs = False
        """Whether a request for them was answered."""

    async def probe(self) -> None:
        """Ask for the list of models; any answer but a refused key will do."""
        import aiohttp

        try:
            async with asyncio.timeout(PROBE_S), self.session.get(f"{self.server.url}/models", allow_redirects=False) as response:
                if response.status in (401, 403):
                    raise UserError(f"{self._called()} answers {response.status}: {HOPELESS[response.status]} ({self._key_advice()})")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UserError(f"nothing answers at {self._called()} ({_said(error)}): start the server, or give {self.server.url_setting} its address") from None

    async def reply(self, ask: Ask, dialect: Dialect, body: bytes) -> Outcome:
        """One reply, or why there is none after all tries.

        A request that was told to wait (429) starts counting anew where others got replies meanwhile: it only stands in a queue.

        Raises:
            UserError: no request to this server would get a reply.
        """
        tries, n_seen, last = 0, self.tally.n_asked, _Failed("never sent")
        while tries < self.server.tries:
            await self._turn()
            try:
                reply = await self._once(ask, dialect, body)
            except _Failed as failure:
                last = failure
            else:
                self.tally.n_asked += 1
                self.tally.tokens += reply.n_tokens
                self._failed_in_a_row = 0
                return reply
            if not last.again:
                break
            tries = 0 if last.why == TOO_MANY and self.tally.n_asked > n_seen else tries + 1
            n_seen = self.tally.n_asked
            if tries < self.server.tries:
                self.tally.n_resent += 1
                await asyncio.sleep(_backoff_s(self.server, ask.name, tries) if last.pause_s is None else last.pause_s)
        return self._given_up(last)

    def _given_up(self, last: _Failed) -> NoReply:
        self.tally.failed[last.why] += 1
        # a server that replies, now or before, may still refuse some requests for good
        self._failed_in_a_row += last.again or not (self.tally.n_asked or self.tally.n_kept)
        if self._failed_in_a_row >= max(self.server.concurrency, LEAST_IN_A_ROW):
            raise UserError(
                f"{self._called()} gave no reply to the last {self._failed_in_a_row} requests (the last one: {last.why}{last.said}): what came before is "
                "kept, run again when it answers and only the rest is asked"
            )
        return NoReply(last.why)

    async def _turn(self) -> None:
        """Wait until the server wants to be asked again, and for this request's place in the minute."""
        while (wait_s := self._not_before_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        if self.server.requests_per_minute:
            now_s = time.monotonic()
            slot_s = max(self._slot_s, now_s)
            self._slot_s = slot_s + 60 / self.server.requests_per_minute
            await asyncio.sleep(slot_s - now_s)

    async def _once(self, ask: Ask, dialect: Dialect, body: bytes) -> Reply:
        """Send a request once; once more in other words where the server refuses some of it, which are then used from the start.

        Raises:
            _Failed: there was no reply to it.
            UserError: there will be none to any other either.
        """
        if dialect != self.dialect:  # it was made before the server said so
            dialect, body = self.dialect, ask.body(self.dialect)
        response, data = await self._sent(body)
        while response.status != 200 and (other := self._reworded(ask, dialect, response.status, data)):
            dialect = other
            response, data = await self._sent(ask.body(dialect))
        if response.status != 200:
            raise self._refused(response, data)
        self._learn(dialect)
        self._takes_logprobs |= ask.logprobs and dialect.logprobs
        if (reply := parse_reply(data)) is None:
            raise _Failed("the response held none", self._quoted(data))
        return reply

    async def _sent(self, body: bytes) -> tuple[ClientResponse, bytes]:
        """The response, read to its end.

        Raises:
            _Failed: there was none.
        """
        import aiohttp

        url = f"{self.server.url}/chat/completions"
        try:
            async with asyncio.timeout(self.server.timeout_s), self.session.post(url, data=body, allow_redirects=False) as response:
                return response, await response.read()
        except TimeoutError:
            raise _Failed(f"none within {self.server.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _Failed(f"connection lost ({type(error).__name__})") from None

    def _reworded(self, ask: Ask, dialect: Dialect, status: int, data: bytes) -> Dialect | None:
        """How to ask instead, where a response may be about how it was asked; None where it is not, and where nothing else is left."""
        if status == 400 and dialect.limit_name == MAX_TOKENS and MAX_COMPLETION_TOKENS.encode() in data:
            other = replace(dialect, limit_name=MAX_COMPLETION_TOKENS)
            self._learn(other)
            return other
        named = b"logprobs" in data.lower()
        if ask.logprobs and dialect.logprobs and (named or (status in NO_SUCH_SETTING and not self._takes_logprobs)):
            other = replace(dialect, logprobs=False)
            if named:
                self._learn(other)
            return other
        return None

    def _learn(self, dialect: Dialect) -> None:
        """Ask so from now on; what was learnt from requests under way meanwhile stays."""
        limit_name = dialect.limit_name if self.dialect.limit_name == MAX_TOKENS else self.dialect.limit_name
        self.dialect = Dialect(limit_name, self.dialect.logprobs and dialect.logprobs)

    def _refused(self, response: ClientResponse, data: bytes) -> _Failed:
        status, said = response.status, self._quoted(data)
        if status in (401, 403):
            raise UserError(f"{self._called()} answers {status}: {HOPELESS[status]} ({self._key_advice()})")
        if status in HOPELESS or 300 <= status < 400:
            why = HOPELESS.get(status, "it sends requests elsewhere, and is not followed")
            raise UserError(f"{self._called()} answers {status}{said}: {why}; mend {self.server.url_setting} or the model's name")
        pause_s = _retry_after_s(response.headers.get("Retry-After"))
        if pause_s is not None and pause_s > PATIENCE_S:
            raise UserError(f"{self._called()} answers {status} and wants no request for {pause_s:,.0f} s: what came before is kept, run again then")
        if pause_s is not None:
            self._not_before_s = max(self._not_before_s, time.monotonic() + pause_s)
        return _Failed(f"status {status}", said, status in AGAIN or status >= 500, pause_s)

    def _quoted(self, data: bytes) -> str:
        """The beginning of what the server said, for a message; never with the key in it."""
        words = " ".join(data.decode(errors="replace").split())
        words = words.replace(self.server.key, "***") if self.server.key else words
        return f", {words[:200]!r}" if words else ""

    def _called(self) -> str:
        return f"the {self.server.name}'s server {self.server.url}"

    def _key_advice(self) -> str:
        return f"{self.server.key_setting} names the environment variable that holds it"


class _Failed(Exception):
    """A request that got no reply."""

    def __init__(self, why: str, said: str = "", again: bool = True, pause_s: float | None = None) -> None:
        super().__init__(why)
        self.why, self.said, self.again, self.pause_s = why, said, again, pause_s


def _session(server: Server | None) -> ClientSession:
    import aiohttp

    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if server and server.key:
        headers["Authorization"] = f"Bearer {server.key}"
    connector = aiohttp.TCPConnector(limit=0)
    # aiohttp's own trust_env would look for a proxy, and for a password in ~/.netrc, in another thread at every request
    return aiohttp.ClientSession(headers=headers, connector=connector, timeout=aiohttp.ClientTimeout(total=None), proxy=_proxy(server.url) if server else None)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _backoff_s(server: Server, name: str, tries: int) -> float:
    """Doubled each time, between half and all of it: requests that failed together do not come back together."""
    spread = hashlib.sha256(f"{name}/{tries}".encode()).digest()[0] / 255
    return min(LONGEST_WAIT_S, server.backoff_s * 2.0 ** max(tries - 1, 0)) * (0.5 + spread / 2)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds to wait, from a number of them or a date; None where the header says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
