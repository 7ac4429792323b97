"""Many requests, so many of them under way at once: whose turn it is, what is made ready ahead, when the caller is told.

Whoever has a reply sends the next request at once. What can wait, the making of requests and what the caller does with outcomes, is done in lulls, while
nothing comes: else each reply would wait for what is done about those before it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actial.endpoint.asking import Ask, Dialect, Outcome, Reply
from actial.errors import UserError

if TYPE_CHECKING:
    from actial.endpoint.client import Client, Talk

LULL_S = 0.004
"""A reply seldom comes alone: this long what can wait is left, so that those behind it are followed by their next requests first."""


@dataclass(frozen=True)
class Ready:
    """A request that needs only to be sent."""

    place: int
    ask: Ask
    key: str
    dialect: Dialect
    body: bytes | None
    """None where a reply is kept."""


class Round:
    """One call of `Client.ask_all`, which says what it takes."""

    def __init__(
        self, client: Client, talk: Talk | None, asks: Iterator[tuple[int, Ask]], most_tokens: int | None, on_outcome: Callable[[int, Outcome], None]
    ) -> None:
        self.client, self.talk, self.asks, self.most_tokens, self.on_outcome = client, talk, asks, most_tokens, on_outcome
        self.found: dict[int, Outcome] = {}
        """By place."""
        self._spent = 0
        self._ready: deque[Ready] = deque()
        self._untold: deque[int] = deque()
        """Places whose outcomes the caller has not been told."""
        self._working = self._ahead = 0
        self._something_waits = asyncio.Event()
        self._probing = asyncio.Lock()
        self._alike: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # the same asked twice at once waits for the first reply

    async def run(self, concurrency: int) -> None:
        """Ask until nothing is left, or what came has cost enough."""
        self._working = self._ahead = concurrency
        self._something_waits.set()
        await _together([*(self._work() for _ in range(concurrency)), self._in_lulls()])

    async def _work(self) -> None:
        while turn := self._next():
            outcome = await self._answer(turn)
            if isinstance(outcome, Reply):
                _refuse_uncounted(outcome, self.most_tokens)
                self._spent += outcome.n_tokens
            self.found[turn.place] = outcome
            self._untold.append(turn.place)
            self._something_waits.set()
        self._working -= 1
        self._something_waits.set()

    async def _answer(self, turn: Ready) -> Outcome:
        async with self._alike[turn.key]:
            if (before := self.client.kept.get(turn.key)) is not None:
                self.client.tally.n_kept += 1
                return before
            async with self._probing:
                await self.client.checked()
            assert self.talk is not None and turn.body is not None, "checked, and nothing is kept"
            outcome = await self.talk.reply(turn.ask, turn.dialect, turn.body)
            if isinstance(outcome, Reply):
                self.client.kept.add(turn.key, turn.ask.name, outcome)
            return outcome

    def _next(self) -> Ready | None:
        """The next request in the order of `asks`; None where there is no other, or no more is to be spent."""
        if self._is_spent():
            return None
        return self._ready.popleft() if self._ready else self._made_ready()

    def _is_spent(self) -> bool:
        return self.most_tokens is not None and self._spent >= self.most_tokens

    def _made_ready(self) -> Ready | None:
        if (turn := next(self.asks, None)) is None:
            return None
        place, ask = turn
        key, dialect = ask.key(), self.talk.dialect if self.talk else Dialect()
        return Ready(place, ask, key, dialect, ask.body(dialect) if self.client.kept.get(key) is None else None)

    async def _in_lulls(self) -> None:
        while self._working or self._untold:
            await self._something_waits.wait()
            self._something_waits.clear()
            await asyncio.sleep(LULL_S)
            while self._untold or self._make_one_ready():
                if self._untold:
                    place = self._untold.popleft()
                    self.on_outcome(place, self.found[place])
                await asyncio.sleep(0)

    def _make_one_ready(self) -> bool:
        """Whether there was one to make."""
        made = self._made_ready() if len(self._ready) < self._ahead and self._working and not self._is_spent() else None
        if made:
            self._ready.append(made)
        return made is not None


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first that raises ends the others."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _refuse_uncounted(reply: Reply, most_tokens: int | None) -> None:
    if most_tokens is not None and reply.prompt_tokens is None and reply.completion_tokens is None:
        raise UserError("the server does not say how many tokens a reply took, so they cannot be kept below a limit: set the limit of tokens to null")
