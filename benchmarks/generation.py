"""Questions a second that evaluation asks: here, against loops one would write by hand; and from a server. `python benchmarks/generation.py`.

Here: the tiny base, the same questions (three about each pair of pictures, in both modes), one core, in turns inside one process, in CPU seconds:
ours against a loop of one question at a time (as most harnesses ask a model of the transformers library), and against a loop of plain batches as large as ours.
The share of identical completions is printed, and for each that is not the gap of the two most probable tokens where they part: rounding decides below 1e-3.

From a server that takes 50 ms for each reply: ours against a bare client in the same run, see `endpoint.py`; then from one that also tells the probabilities of
its 300 tokens, which no limit is set for: a server that writes so many takes longer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
ONE_BY_ONE, PLAIN_BATCHES, IDENTICAL, OF_SERVER = 3.0, 1.2, 0.995, 0.95
ROWS = 64
SIDE_PX = 112
LIMITS = {"think": 64, "direct": 16}
KINDS = {
    "lateral": ("How did the camera move?", ("left", "right", "no move")),
    "turn": ("Which way did the camera turn?", ("left", "right", "not turned")),
    "orbit": ("Which way did the camera go around?", ("clockwise", "counter-clockwise", "not around")),
}
CONCURRENCY = (4, 8, 16)


@dataclass
class Setting:
    """The questions, and who answers them."""

    model: Any
    processor: Any
    asks: list[Any]
    views: Any


def setting(folder: Path, n_pairs: int) -> Setting:
    """Questions about pairs of noise, of the size that the tiny profile renders."""
    import numpy as np

    from actial.evaluation.completions import ask
    from actial.models.load import load_model, load_processor
    from actial.params import load_params
    from actial.prompts import prompt_messages
    from actial.records import Camera, Question, View
    from actial.rng import generator_for
    from actial.shards import ViewStore, ViewWriter, encode_png

    params = load_params(REPO / "profiles" / "tiny.yaml")
    questions = []
    with ViewWriter(folder, 64) as writer:
        for i in range(n_pairs):
            scene_id = f"scene-{i:06d}"
            view_ids = (f"{scene_id}.v00", f"{scene_id}.v01")
            for view_id in view_ids:
                picture = generator_for(3, view_id).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
                writer.add(View(view_id, scene_id, Camera(SIDE_PX, SIDE_PX, (), None), (), "noise", "CC0-1.0"), encode_png(picture))
            for kind, (text, options) in KINDS.items():
                pair = f"{scene_id}.v00-v01"
                shuffled = tuple(str(o) for o in generator_for(3, f"{pair}.{kind}").permutation(list(options)))
                questions.append(Question(f"{pair}.{kind}", kind, pair, view_ids, text, shuffled, shuffled, "A", "", 0.0, 0.0, scene_id, "", "noise"))
    views = ViewStore(folder)
    asks = [ask(q, mode, prompt_messages(params.prompt, q, mode), views, n) for mode, n in LIMITS.items() for q in questions]
    source = str(REPO / "assets" / "tiny-base")
    return Setting(load_model(source, params.model).eval(), load_processor(source, params.model), asks, views)


def ours(given: Setting) -> dict[str, str]:
    """What evaluation writes, by key."""
    from actial.evaluation.generate import complete

    written: list[Any] = []
    complete(given.model, given.processor, given.asks, given.views, written.extend, ROWS, "tiny base")
    return {c.key: c.text for c in written}


def by_hand(given: Setting, rows: int) -> dict[str, str]:
    """A loop as one writes it: open the pictures, process, generate, decode."""
    import torch

    from actial.evaluation.generate import chat_text

    written, tokenizer = {}, given.processor.tokenizer
    with torch.inference_mode():
        for n in LIMITS.values():
            alike = [a for a in given.asks if a.max_new_tokens == n]
            for batch in (alike[i : i + rows] for i in range(0, len(alike), rows)):
                texts = [chat_text(given.processor, a.messages) for a in batch]
                pictures = [given.views.picture(v) for a in batch for v in a.view_ids]
                inputs = given.processor(text=texts, images=pictures, padding=True, return_tensors="pt")
                tokens = given.model.generate(**inputs, do_sample=False, max_new_tokens=n)[:, inputs["input_ids"].shape[1] :]
                written |= {a.key: text for a, text in zip(batch, tokenizer.batch_decode(tokens, skip_special_tokens=True), strict=True)}
    return written


def gap(given: Setting, one: Any, text: str, other: str) -> float:
    """By how much the most probable token leads the second one, in logits, where two completions part."""
    import torch

    from actial.evaluation.generate import chat_text

    first, second = (given.processor.tokenizer(t, add_special_tokens=False)["input_ids"] for t in (text, other))
    shared = [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]
    prompt = chat_text(given.processor, one.messages) + given.processor.tokenizer.decode(shared)
    inputs = given.processor(text=[prompt], images=[given.views.picture(v) for v in one.view_ids], return_tensors="pt")
    with torch.inference_mode():
        top = given.model(**inputs).logits[0, -1].topk(2).values
    return float(top[0] - top[1])


def asked_here(n_pairs: int, rounds: int) -> bool:
    """Measure and print; whether all limits held."""
    with tempfile.TemporaryDirectory() as folder:
        given = setting(Path(folder), n_pairs)
        ways: dict[str, Callable[[], dict[str, str]]] = {
            "ours": lambda: ours(given),
            "one by one": lambda: by_hand(given, 1),
            "plain batches": lambda: by_hand(given, ROWS),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        texts = {}
        for _ in range(rounds):
            for way, answer in ways.items():
                start_s = time.process_time()
                texts[way] = answer()
                seconds[way].append(time.process_time() - start_s)
        n, held = len(given.asks), True
        tokens = sum(len(ids) for ids in given.processor.tokenizer(list(texts["ours"].values()))["input_ids"]) / n
        rates = {way: n / statistics.median(of) for way, of in seconds.items()}
        print(f"{n} questions about {n_pairs} pairs: {tokens:.0f} tokens an answer, ours {rates['ours']:.1f} questions a CPU second", flush=True)
        for way, least in (("one by one", ONE_BY_ONE), ("plain batches", PLAIN_BATCHES)):
            ratios = sorted(theirs / our for theirs, our in zip(seconds[way], seconds["ours"], strict=True))
            different = [a for a in given.asks if texts["ours"][a.key] != texts[way][a.key]]
            same = 1 - len(different) / n
            held &= statistics.median(ratios) >= least and same >= IDENTICAL
            print(
                f"  {way} {rates[way]:.1f}: ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}), at least {least}; "
                f"identical completions {100 * same:.2f} %, at least {100 * IDENTICAL:.1f}"
            )
            for a in different:
                print(f"    {a.question_id} {a.mode}: the leading token leads by {gap(given, a, texts['ours'][a.key], texts[way][a.key]):.1e}")
        return held


def asked_of_a_server(rounds: int, n_asked: int, with_logprobs: bool) -> bool:
    """About so many questions of the same sort, from a server that takes 50 ms for each; whether the limit held."""
    import endpoint

    from actial.endpoint.asking import Ask, Server
    from actial.evaluation.completions import CompletionLog
    from actial.evaluation.remote import ask_server

    os.environ["no_proxy"] = "127.0.0.1"
    serving = [sys.executable, endpoint.__file__, "--serve", *["--logprobs"] * with_logprobs]
    child = subprocess.Popen(serving, stdout=subprocess.PIPE, text=True)
    held = True
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            given = setting(Path(folder) / "views", max(1, n_asked // (len(KINDS) * len(LIMITS))))
            one, n = given.asks[0], len(given.asks)
            body = Ask("", "m", one.messages, tuple(given.views.picture_bytes(v) for v in one.view_ids), 0.0, 64).body()
            for concurrency in CONCURRENCY:
                server, runs = Server("model", f"http://127.0.0.1:{port}/v1", None, concurrency), []
                for i in range(rounds):
                    floor_s = asyncio.run(endpoint.bare(port, concurrency, n, body, with_logprobs))
                    start_s, cpu_s = time.perf_counter(), time.process_time()
                    assert not ask_server(server, "m", given.asks, given.views, CompletionLog(Path(folder) / f"{concurrency}-{i}.jsonl"))
                    runs.append((floor_s, time.perf_counter() - start_s, time.process_time() - cpu_s))
                shares = sorted(floor_s / our_s for floor_s, our_s, _ in runs)
                floor_s, our_s, cpu_s = (statistics.median(of) for of in zip(*runs, strict=True))
                held &= with_logprobs or statistics.median(shares) >= OF_SERVER
                flat_s = n * endpoint.ANSWER_S / concurrency
                of_bare = f"{statistics.median(shares):.3f} ({shares[0]:.3f}-{shares[-1]:.3f}) of a bare client's"
                of_bare += "" if with_logprobs else f", at least {OF_SERVER}"
                of_flat = f"of 50 ms flat {flat_s / our_s:.3f}, the bare client {flat_s / floor_s:.3f}; {1000 * cpu_s / n:.2f} CPU ms a reply"
                print(
                    f"from a server{', with probabilities' * with_logprobs}, {concurrency} at once: {n / our_s:.1f} replies/s, {of_bare}; {of_flat}", flush=True
                )
    finally:
        child.terminate()
        child.wait()
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--served", type=int, default=600, help="questions asked of the server at each concurrency")
    args = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    import torch

    torch.set_num_threads(1)
    held = [asked_here(args.pairs, args.rounds), *(asked_of_a_server(args.rounds, args.served, told) for told in (False, True))]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
