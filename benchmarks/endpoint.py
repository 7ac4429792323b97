"""Replies a second from a server that takes 50 ms for each, as a share of what concurrency allows. `python benchmarks/endpoint.py`.

The server is a process of its own that measures how long it really took for each reply (a timer on a busy machine wakes late); concurrency divided by that is
all that any client could get. Requests carry two pictures of the tiny profile's size, replies are kept on disk as in a real run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
REPLY = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "so " * 300}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 300},
    }
).encode()


async def serve() -> None:
    """Answer every request ANSWER_S after its last byte; GET gives the mean time that answers really took, milliseconds, and forgets it."""
    took_s: list[float] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"get"):
                    body = json.dumps(statistics.fmean(took_s) * 1000 if took_s else 0).encode()
                    took_s.clear()
                else:
                    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                    start_s = time.perf_counter()
                    await asyncio.sleep(ANSWER_S)
                    took_s.append(time.perf_counter() - start_s)
                    body = REPLY
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def took_ms(url: str) -> float:
    from urllib.request import ProxyHandler, build_opener

    with build_opener(ProxyHandler({})).open(f"{url}/models") as response:
        return float(response.read())


def measured(url: str, concurrency: int, n: int, pictures: tuple[bytes, ...], folder: Path) -> tuple[float, float, float]:
    """Replies a second, milliseconds the server took for each, and CPU milliseconds of ours for each."""
    asks = [Ask(f"q{i}", "m", (Message("user", f"{IMAGE_MARK}{IMAGE_MARK}{i}/{concurrency}"),), pictures, 0.7, 512) for i in range(n)]
    with Replies(folder / f"{time.monotonic_ns()}.jsonl") as kept:
        client = Client(Server("teacher", url, None, concurrency), kept, "")
        client.check()
        took_ms(url)
        start_s, cpu_s = time.perf_counter(), time.process_time()
        outcomes = client.ask_all(asks)
        seconds, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    return n / seconds, took_ms(url), cpu_s / n * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve())
    noise = np.random.Generator(np.random.PCG64(7)).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    pictures = (encode_png(noise), encode_png(noise[::-1]))
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    missed = False
    try:
        assert child.stdout is not None
        url = f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        with tempfile.TemporaryDirectory() as folder:
            for concurrency in CONCURRENCY:
                runs = [measured(url, concurrency, concurrency * 40, pictures, Path(folder)) for _ in range(args.repeats)]
                shares = sorted(rate * ms / 1000 / concurrency for rate, ms, _ in runs)
                rate, ms, cpu_ms = (statistics.median(values) for values in zip(*runs, strict=True))
                missed |= statistics.median(shares) < LIMIT
                print(
                    f"{concurrency:3d} at once: {rate:6.1f} replies/s, the server took {ms:.1f} ms each, ours {cpu_ms:.2f} ms of CPU: "
                    f"{statistics.median(shares):.3f} ({shares[0]:.3f}-{shares[-1]:.3f}) of what is possible, "
                    f"{rate * ANSWER_S / concurrency:.3f} of 50 ms flat; at least {LIMIT}"
                )
    finally:
        child.terminate()
        child.wait()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
