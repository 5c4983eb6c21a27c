"""`spikewise serve` under load, beside a plain Starlette and PyTorch server of the same network.

python -m benchmarks.serving [RUN] [--requests 1000] [--minutes 5]
"""

import argparse
import asyncio
import collections
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._load import Got, Sent, bad, good, send, varied

MIB = 2**20
WORKERS = 32


class Images(NamedTuple):
    """What is sent, and what the network says of each offline."""

    files: list[bytes]
    labels: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "run", nargs="?", type=Path, help="a finished run of a set of small images; one is made of digits"
    )
    parser.add_argument("--requests", type=int, default=1000, help="at the same time")
    parser.add_argument("--minutes", type=float, default=5.0, help="of mixed load")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = asked.run or made(Path(folder))
        images = Images(*images_of(run))
        print(f"\n{asked.requests} uploads at the same time\n")
        print("| server | right answers | bad ones told | p50, s | p99, s | images / s | memory before, most, MiB |")
        print("|---|---|---|---|---|---|---|")
        for name, command in (("spikewise serve", ours(run)), ("Starlette + PyTorch", plain(run))):
            burst(name, command, images, asked.requests)
        mixed(ours(run), images, run.resolve().name, asked.minutes)
        stopped(ours(run), images, asked.requests // 2)


def made(folder: Path) -> Path:
    """The default network for digits, trained for a moment."""
    import spikewise

    return spikewise.train("digits", seeds=1, epochs=5, out=folder).folder


def images_of(run: Path) -> tuple[list[bytes], list[str]]:
    """PNG files, and the class that `predict` gives each."""
    import io

    from PIL import Image

    from spikewise.api import load
    from spikewise.experiments import RunFolder

    found = RunFolder.open(run).images().images[:500]
    files = []
    for one in found:
        file = io.BytesIO()
        Image.fromarray(one[0] if len(one) == 1 else one.transpose(1, 2, 0)).save(file, "PNG")
        files.append(file.getvalue())
    model = load(run, device="cpu")
    return files, [model.classes[label] for label in model.predict(files)]


def ours(run: Path) -> list[str]:
    return ["-m", "spikewise", "serve", str(run), "--device", "cpu", "--port", "PORT"]


def plain(run: Path) -> list[str]:
    return ["-m", "benchmarks._plain_server", str(run), "PORT"]


class Server:
    """A server in a process of its own."""

    def __init__(self, command: Sequence[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        words = [str(self.port) if word == "PORT" else word for word in command]
        self.process = subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"The server does not listen: {' '.join(words)}")

    def memory(self, what: str = "VmRSS") -> float:
        """MiB now; VmHWM is the most there ever was."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


def requests(images: Images, count: int) -> list[Sent]:
    """A tenth of them bad."""
    turns = itertools.cycle(zip(images.files, images.labels, strict=True))
    bads = itertools.count()
    return [
        bad(next(bads), image) if number % 10 == 9 else good(image, label)
        for number, (image, label) in zip(range(count), turns, strict=False)
    ]


def burst(name: str, command: Sequence[str], images: Images, count: int) -> None:
    server = Server(command)
    warm(server, images)
    sent = requests(images, count)
    before, began = server.memory(), time.perf_counter()
    found = asyncio.run(together(server.port, sent))
    seconds = time.perf_counter() - began
    sound = [one for one in found if one.sent.label is not None]
    right = [one for one in sound if one.right]
    unsound = [one for one in found if one.sent.label is None and not one.sent.cut]
    told = [one for one in unsound if 400 <= one.status < 500]
    times = sorted(one.seconds for one in right) or [float("nan")]
    ends = (times[len(times) // 2], times[int(0.99 * (len(times) - 1))])
    print(
        f"| {name} | {len(right)} of {len(sound)} | {len(told)} of {len(unsound)} | {ends[0]:.2f} | {ends[1]:.2f} "
        f"| {len(right) / seconds:.0f} | {before:.0f}, {server.memory('VmHWM'):.0f} |",
        flush=True,
    )
    code, errors = server.stop()
    if name.startswith("spikewise"):
        retried = sum(one.retried for one in found)
        print(f"<!-- exit code {code}, {retried} retries after 429, {len(errors)} letters on standard error -->")


async def together(port: int, sent: Sequence[Sent]) -> list[Got]:
    return await asyncio.gather(*(send(port, one) for one in sent))


def warm(server: Server, images: Images) -> None:
    asyncio.run(together(server.port, [good(images.files[0], images.labels[0]) for _ in range(20)]))


def mixed(command: Sequence[str], images: Images, model: str, minutes: float) -> None:
    """Every way to ask and every kind of bad request, by a few clients that never rest."""
    server = Server(command)
    warm(server, images)
    memory: list[float] = []
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    times: list[float] = []
    end = time.monotonic() + 60 * minutes
    numbers = itertools.count()

    async def work() -> None:
        while time.monotonic() < end:
            number = next(numbers)
            at = number % len(images.files)
            image, label = images.files[at], images.labels[at]
            sent = bad(number // 10, image) if number % 10 == 9 else varied(number, image, label, model)
            got = await send(server.port, sent)
            outcome = "right" if got.right else "cut" if sent.cut else "told" if 400 <= got.status < 500 else "WRONG"
            found[sent.kind, outcome] += 1
            if got.right:
                times.append(got.seconds)

    async def watch() -> None:
        while time.monotonic() < end:
            memory.append(server.memory())
            await asyncio.sleep(1)

    async def all_of_it() -> None:
        await asyncio.gather(watch(), *(work() for _ in range(WORKERS)))

    asyncio.run(all_of_it())
    half = memory[len(memory) // 2 :]
    slope = np.polyfit(np.arange(len(half)), half, 1)[0] * 60 if len(half) > 2 else float("nan")
    total = sum(found.values())
    print(
        f"\nMixed load, {minutes:g} minutes, {WORKERS} clients: "
        f"{total:,} requests, {total / (60 * minutes):.0f} a second"
    )
    print(f"p50 {1000 * statistics.median(times):.0f} ms, p99 {1000 * float(np.quantile(times, 0.99)):.0f} ms")
    quarter = max(1, len(memory) // 4)
    marks = ", ".join(f"{statistics.mean(memory[at : at + quarter]):.0f}" for at in range(0, 4 * quarter, quarter))
    print(f"memory by quarter {marks} MiB, most {server.memory('VmHWM'):.0f}; second half {slope:+.2f} MiB a minute")
    for (kind, outcome), count in sorted(found.items()):
        print(f"  {kind}: {count:,} {outcome}")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as page:
        figures = dict(line.rsplit(" ", 1) for line in page.read().decode().splitlines() if not line.startswith("#"))
    sizes = float(figures["spikewise_batch_images_sum"]) / float(figures["spikewise_batch_images_count"])
    print(f"{sizes:.1f} images in a batch on average; held afterwards: {figures['spikewise_held_bytes']} bytes")
    code, errors = server.stop()
    print(f"exit code {code}; {len(errors)} letters on standard error")


def stopped(command: Sequence[str], images: Images, count: int) -> None:
    """SIGTERM while answers are under way: each request is answered, or its connection was never taken."""
    server = Server(command)
    warm(server, images)

    all_of_them = requests(images, count)

    async def run() -> list[Got]:
        tasks = [asyncio.create_task(send(server.port, one, tries=1)) for one in all_of_them]
        while sum(task.done() for task in tasks) < count // 10:
            await asyncio.sleep(0.005)
        os.kill(server.process.pid, signal.SIGTERM)
        return await asyncio.gather(*tasks)

    found: list[Any] = asyncio.run(run())
    _, errors = server.process.communicate(timeout=120)
    sound = [one for one in found if one.sent.label is not None]
    lost = [one for one in sound if one.status == 0 and one.written]
    refused = [one for one in sound if one.status == 0 and not one.written]
    print(
        f"\nSIGTERM after {count // 10} of {count} answers: {sum(one.right for one in sound)} of {len(sound)} good "
        f"requests answered right, {len(refused)} not taken, {len(lost)} lost; exit code {server.process.returncode}, "
        f"{len(errors)} letters on standard error"
    )


if __name__ == "__main__":
    main()
