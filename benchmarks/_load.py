"""Requests that a benchmark of servers sends: good ones, and all kinds of bad ones, over plain sockets."""

import asyncio
import base64
import functools
import json
import struct
import time
import zlib
from typing import NamedTuple

BOUNDARY = b"----benchmark"
_HEAD = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
TYPE = b"multipart/form-data; boundary=" + BOUNDARY


class Sent(NamedTuple):
    """A request."""

    kind: str
    path: str
    content_type: bytes
    body: bytes
    label: str | None = None
    """The right answer; None for what has none."""
    cut: bool = False
    """Whether the connection ends in the middle of the body."""


class Got(NamedTuple):
    """What came of it."""

    sent: Sent
    status: int
    """0: no answer."""
    seconds: float
    body: bytes = b""
    written: bool = False
    """Whether the whole request had been sent."""
    retried: int = 0

    @property
    def right(self) -> bool:
        """Answered, and with the class that the network says offline."""
        if self.status != 200 or self.sent.label is None:
            return False
        return self.sent.label in said(self.body)


def said(body: bytes) -> list[str]:
    """The classes that an answer names."""
    if body.startswith(b"event:"):
        last = body.decode().strip().split("\n\n")[-1]
        return [json.loads(last.split("data: ", 1)[1])["label"]]
    found = json.loads(body)
    if "outputs" in found:
        return next(one["data"] for one in found["outputs"] if one["name"] == "class")
    return [one["label"] for one in found["answers"]]


def form(data: bytes) -> bytes:
    head = b'--%s\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n' % BOUNDARY
    return head + data + b"\r\n--%s--\r\n" % BOUNDARY


def good(image: bytes, label: str) -> Sent:
    return Sent("good", "/predict", TYPE, form(image), label)


def varied(number: int, image: bytes, label: str, model: str) -> Sent:
    """A good request in one of the ways that there are."""
    text = base64.b64encode(image).decode()
    files = {"name": "files", "datatype": "BYTES", "shape": [1], "data": [text]}
    ways = [
        good(image, label),
        Sent("evidence", "/predict?evidence=true", TYPE, form(image), label),
        Sent("all steps, told", "/predict?exit=1", TYPE, form(image), label),
        Sent("json", "/predict", b"application/json", json.dumps({"images": [text]}).encode(), label),
        Sent("events", "/predict/steps", TYPE, form(image), label),
        Sent(
            "protocol",
            f"/v2/models/{model}/infer",
            b"application/json",
            json.dumps({"inputs": [files]}).encode(),
            label,
        ),
    ]
    return ways[number % len(ways)]


def bad(number: int, image: bytes) -> Sent:
    """Damaged, a bomb, empty, cut off, endless: one kind after the other."""
    ways = [
        Sent("damaged", "/predict", TYPE, form(image[: len(image) // 2])),
        Sent("bomb", "/predict", TYPE, form(bomb(30_000))),
        Sent("large bomb", "/predict", TYPE, form(bomb(9_000))),
        Sent("empty", "/predict", TYPE, form(b"")),
        Sent("cut off", "/predict", TYPE, form(image), cut=True),
        Sent("too large", "/predict", TYPE, form(b"x" * 17 * 2**20)) if number % 40 == 5 else Sent(
            "no image", "/predict", TYPE, form(b"no image" * 100)
        ),
    ]  # fmt: skip
    return ways[number % len(ways)]


@functools.cache
def bomb(side: int) -> bytes:
    """A PNG that claims side x side grey pixels, and has them: rows of zeros, compressed a thousandfold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows, packer = b"\0" * (side // 8 + 1) * 100, zlib.compressobj(9)
    data = b"".join(packer.compress(rows) for _ in range(side // 100)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


async def send(port: int, sent: Sent, *, tries: int = 20) -> Got:
    """Send a request; one that is told to come again does."""
    began = time.perf_counter()
    got = await _once(port, sent, began)
    for retried in range(1, tries):
        if got.status != 429:
            break
        await asyncio.sleep(1)
        got = (await _once(port, sent, began))._replace(retried=retried)
    return got


async def _once(port: int, sent: Sent, began: float) -> Got:
    written, writer = False, None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = sent.body[: len(sent.body) // 2] if sent.cut else sent.body
        writer.write(_HEAD % (sent.path.encode(), sent.content_type, len(sent.body)) + body)
        await writer.drain()
        written = not sent.cut
        if sent.cut:
            return Got(sent, 0, time.perf_counter() - began)
        answer = await asyncio.wait_for(reader.read(), 120)
        top, _, rest = answer.partition(b"\r\n\r\n")
        status = int(top.split(b" ", 2)[1]) if top else 0
        if b"transfer-encoding: chunked" in top.lower():
            rest = _unchunked(rest)
        return Got(sent, status, time.perf_counter() - began, rest, written)
    except (OSError, TimeoutError):
        return Got(sent, 0, time.perf_counter() - began, b"", written)
    finally:
        if writer is not None:
            writer.close()


def _unchunked(rest: bytes) -> bytes:
    out = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        out, rest = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return out
