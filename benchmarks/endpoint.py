"""Replies a second from a server that takes 50 ms for each, as a share of what concurrency allows. `python benchmarks/endpoint.py`.

What it allows is measured in the same run, interleaved: by a bare client that writes ready bytes to as many sockets and reads until the reply is there.
Requests carry two pictures of the tiny profile's size, replies are parsed and kept on disk as in a real run. On an idle machine the bare client gets nearly
concurrency / 50 ms; the share of that is printed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from actial.endpoint.asking import Ask, Reply, Server
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.prompts import IMAGE_MARK
from actial.records import Message
from actial.shards import encode_png

ANSWER_S, LIMIT = 0.05, 0.95
CONCURRENCY = (4, 8, 16, 32)
N_TOKENS = 300


def reply(with_logprobs: bool) -> bytes:
    """What the server answers; the probabilities of its tokens make it thirty times as large."""
    token = {"token": "so ", "logprob": -0.0123456789, "bytes": [115, 111, 32], "top_logprobs": []}
    choice = {"message": {"role": "assistant", "content": "so " * N_TOKENS}, "finish_reason": "stop"}
    choice |= {"logprobs": {"content": [token] * N_TOKENS}} if with_logprobs else {}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 900, "completion_tokens": N_TOKENS}}).encode()


async def serve(with_logprobs: bool) -> None:
    """Answer every request ANSWER_S after its last byte, and GET at once."""
    body = reply(with_logprobs)
    response = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if not head.startswith(b"get"):
                    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                    await asyncio.sleep(ANSWER_S)
                writer.write(response)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def bare(port: int, concurrency: int, n: int, body: bytes, with_logprobs: bool = False) -> float:
    """Seconds that a client needs which does nothing but write and read."""
    n_read = len(reply(with_logprobs))
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    turns = iter(range(n))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in turns:
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(n_read)
        writer.close()

    start_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return time.perf_counter() - start_s


def ours(port: int, concurrency: int, asks: list[Ask], folder: Path) -> tuple[float, float]:
    """Seconds that our client needs, and CPU seconds."""
    with Replies(folder / f"{time.monotonic_ns()}.jsonl") as kept:
        client = Client(Server("teacher", f"http://127.0.0.1:{port}/v1", None, concurrency), kept, "")
        client.check()
        start_s, cpu_s = time.perf_counter(), time.process_time()
        outcomes = client.ask_all(asks)
        seconds = time.perf_counter() - start_s, time.process_time() - cpu_s
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--logprobs", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.logprobs))
    os.environ["no_proxy"] = "127.0.0.1"
    noise = np.random.Generator(np.random.PCG64(7)).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    pictures = (encode_png(noise), encode_png(noise[::-1]))
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    missed = False
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            for concurrency in CONCURRENCY:
                n = concurrency * 100
                asks = [Ask(f"q{i}", "m", (Message("user", f"{IMAGE_MARK}{IMAGE_MARK}{i}/{concurrency}"),), pictures, 0.7, 512) for i in range(n)]
                runs = [(asyncio.run(bare(port, concurrency, n, asks[0].body())), *ours(port, concurrency, asks, Path(folder))) for _ in range(args.repeats)]
                shares = sorted(floor_s / our_s for floor_s, our_s, _ in runs)
                floor_s, our_s, cpu_s = (statistics.median(seconds) for seconds in zip(*runs, strict=True))
                missed |= statistics.median(shares) < LIMIT
                flat_s = n * ANSWER_S / concurrency
                of_bare = f"{statistics.median(shares):.3f} ({shares[0]:.3f}-{shares[-1]:.3f}) of the bare client's, at least {LIMIT}"
                of_flat = f"of 50 ms flat {flat_s / our_s:.3f}, the bare client {flat_s / floor_s:.3f}"
                print(f"{concurrency:3d} at once: {n / our_s:6.1f} replies/s, {of_bare}; {of_flat}; {cpu_s / n * 1000:.2f} CPU ms a reply", flush=True)
    finally:
        child.terminate()
        child.wait()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
