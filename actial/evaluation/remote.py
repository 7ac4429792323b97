"""Asking a model behind an OpenAI-compatible server: what it writes goes to the same log as that of a model asked here, reply by reply."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from tqdm import tqdm

from actial.endpoint import asking
from actial.endpoint.asking import NoReply, Outcome, Reply, Server, picture_format
from actial.endpoint.client import Client
from actial.evaluation.completions import Ask, Completion, CompletionLog
from actial.evaluation.conditions import hide
from actial.evaluation.token_logprobs import served_logprob
from actial.rng import seed_for
from actial.shards import ViewStore, decode_picture, encode_png

_SEEDS = 2**31
"""Servers take seeds below this."""


def served_log_name(model: str) -> str:
    """A name for all that a served model's completions depend on beside the question: the name that its server knows it by, wherever that server is."""
    return hashlib.sha256(json.dumps(["served", model]).encode()).hexdigest()[:24]


class _Logged:
    """Keeps replies in a completion log. A request's name is the key of its question there."""

    def __init__(self, log: CompletionLog, asks: Sequence[Ask]) -> None:
        self.log, self.path = log, log.path
        self._greedy = {one.key for one in asks if one.sampling is None}
        self._said = False

    def get(self, key: str) -> Reply | None:
        """None: what is known is not asked."""

    def add(self, key: str, name: str, reply: Reply) -> None:
        """Append it, as it was written, cut off or not."""
        if name in self._greedy and reply.text and not reply.tokens and not self._said:
            print("the server tells no log-probabilities, so nothing will tell how sure the model is of its answers", flush=True)
            self._said = True
        self.log.append([Completion(name, reply.text, reply.completion_tokens or 0, reply.finish, served_logprob(reply.text, reply.tokens))])


def ask_server(server: Server, model: str, asks: Sequence[Ask], views: ViewStore, log: CompletionLog) -> dict[str, str]:
    """Ask a served model, `server.concurrency` questions at once, greedily (temperature 0) where an ask has no `sampling`.

    Greedy replies are asked for with the log-probabilities of their tokens; a server that has none, or refuses, is asked all the same.

    Args:
        model: its name, as the server knows it.
        asks: each key once, none that the log knows.

    Returns:
        Why there is no completion, by key: of requests that the server refused or failed to answer in all tries.

    Raises:
        UserError: the server does not answer, refuses all, or has stopped answering. What came before is in the log.
    """
    refused: dict[str, str] = {}
    client = Client(server, _Logged(log, asks), "")
    with tqdm(total=len(asks), unit="question", desc=f"ask {model}", mininterval=1, smoothing=0.1) as bar:

        def came(place: int, outcome: Outcome) -> None:
            if isinstance(outcome, NoReply):
                refused[asks[place].key] = outcome.why
            bar.update()

        client.ask_all((_request(one, model, views) for one in asks), on_outcome=came)
    return refused


def _request(one: Ask, model: str, views: ViewStore) -> asking.Ask:
    """The same as it is sent. A sample's seed is of its own, so that no two are the same where the server heeds it."""
    temperature, seed = 0.0, None
    if one.sampling is not None:
        temperature, seed = one.sampling.temperature, seed_for(one.sampling.root_seed, f"{one.key}/sample") % _SEEDS
    pictures = tuple(_gray(views, view_id) if i in one.hidden else _sendable(views, view_id) for i, view_id in enumerate(one.view_ids))
    return asking.Ask(one.key, model, one.messages, pictures, temperature, one.max_new_tokens, seed, logprobs=one.sampling is None)


def _gray(views: ViewStore, view_id: str) -> bytes:
    """What stands for a hidden picture, as PNG."""
    import numpy as np

    picture = views.picture(view_id)
    hide(picture)
    return encode_png(np.asarray(picture))


def _sendable(views: ViewStore, view_id: str) -> bytes:
    """A picture as it is stored where every server reads that format, else as PNG."""
    import numpy as np

    stored = views.picture_bytes(view_id) or b""
    return stored if picture_format(stored) else encode_png(np.asarray(decode_picture(stored, view_id)))
