"""Whatever is sent, the answer is one message, and nothing else is held up by it."""

import asyncio
import io
import struct
import threading
import zlib

import httpx2
import numpy as np
import pytest
from PIL import Image

from spikewise.serving import Limits, Models, Wanted, application
from waiting import LONG, wait_until


def bomb(side: int) -> bytes:
    """A PNG of side x side zeros in a few bytes of what it claims."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def form(*parts: bytes) -> bytes:
    return b"".join(b"--X\r\n" + part + b"\r\n" for part in parts) + b"--X--\r\n"


def part(data: bytes, name: bytes = b"a.png") -> bytes:
    return b'Content-Disposition: form-data; name="image"; filename="' + name + b'"\r\n\r\n' + data


PNG, FORM, JSON = "image/png", "multipart/form-data; boundary=X", "application/json"
BAD = [
    (PNG, b"", 400, "it is empty"),
    (PNG, b"no image at all", 400, "not an image"),
    (PNG, bomb(5000), 400, "max_pixels"),
    (PNG, bomb(30_000), 400, "bomb"),
    (FORM, form(part(b"")), 400, "it is empty"),
    (FORM, form(part(b"x", b"../../etc/passwd")), 400, "../../etc/passwd: what was given is not an image"),
    (FORM, form(part(b"x"))[:-9], 400, "cut off"),
    (FORM, form(b'Content-Disposition: form-data; name="image"\r\n\r\nx'), 400, "no image"),
    (FORM, form(), 400, "no image"),
    (FORM, b"", 400, "cut off"),
    (FORM, b"--Y\r\n\r\n", 400, "damaged"),
    ("multipart/form-data", b"x", 400, "boundary"),
    (JSON, b"", 400, "no JSON"),
    (JSON, b"\xff", 400, "no JSON"),
    (JSON, b"[]", 400, "JSON object"),
    (JSON, b"[" * 100_000, 400, "no JSON"),
    (JSON, b"{}", 400, "'images' is a list"),
    (JSON, b'{"images": []}', 400, "no image"),
    (JSON, b'{"images": ["@"]}', 400, "no base64"),
    (JSON, b'{"images": ["eA=="]}', 400, "not an image"),
    (JSON, b'{"images": [[[1, 2], [3, 4]]]}', 400, "8x8"),
    (JSON, b'{"images": [[[1, 2], [3]]]}', 400, "rows of one length"),
    (JSON, b'{"images": [{"name": "a"}]}', 400, "the keys"),
    (JSON, b'{"images": [null]}', 400, "arrays of numbers"),
    (JSON, b'{"images": [1e999]}', 400, "no JSON"),
    (JSON, b'{"images": ["eA=="], "modle": "x"}', 400, "Unknown option 'modle'"),
    (JSON, b'{"images": ["eA=="], "model": "x"}', 404, "Unknown model 'x'"),
    (JSON, b'{"images": ["eA=="], "exit": 2}', 400, "a confidence above 0"),
    (JSON, b'{"images": ["eA=="], "exit": true}', 400, "a confidence above 0"),
    (JSON, b'{"images": ["eA=="], "evidence": 7}', 400, "true or false"),
    (JSON, b'{"images": ["eA=="], "white": "x"}', 400, "is a number"),
    ("text/html", b"x", 415, "text/html"),
    ("", b"x", 415, "multipart/form-data"),
]


@pytest.mark.parametrize(("kind", "body", "status", "words"), BAD)
@pytest.mark.parametrize("path", ["/predict", "/predict/steps"])
def test_a_bad_request_is_told_what_is_wrong(client, kind, body, status, words, path):
    found = client.post(path, content=body, headers={"content-type": kind} if kind else {})
    assert found.status_code == status
    assert set(found.json()) == {"error"}
    assert words in found.json()["error"]
    assert "Traceback" not in found.text


def test_a_query_and_a_body_that_contradict_each_other_are_told(client, digits):
    files = [("image", ("a.png", digits[0]))]
    found = client.post("/predict?exit=0.5", files=files, data={"exit": "0.9"})
    assert (found.status_code, "said twice" in found.text) == (400, True)
    assert client.post("/predict?exit=0.5", files=files, data={"exit": "0.5"}).status_code == 200
    assert client.post("/predict?nonsense=1", files=files).status_code == 400


def test_bad_images_are_left_out_on_request_and_listed(client, digits):
    files = [("image", ("good.png", digits[0])), ("image", ("bad.png", b"x")), ("image", ("half.png", digits[1][:60]))]
    assert client.post("/predict", files=files).status_code == 400
    found = client.post("/predict", files=files, data={"skip_bad": "true"}).json()
    assert [one["image"] for one in found["answers"]] == ["good.png"]
    assert [one.partition(":")[0] for one in found["left_out"]] == ["bad.png", "half.png"]
    assert client.post("/predict", files=files[1:], data={"skip_bad": "true"}).status_code == 400


def test_steps_are_told_of_one_image(client, digits):
    found = client.post("/predict/steps", files=[("image", ("a", digits[0])), ("image", ("b", digits[1]))])
    assert (found.status_code, "one image" in found.text) == (400, True)


def test_unknown_paths_and_methods_are_told(client):
    for found, status in ((client.get("/no"), 404), (client.get("/predict"), 405), (client.post("/metrics"), 405)):
        assert (found.status_code, set(found.json())) == (status, {"error"})


def test_bodies_and_images_beyond_the_limits_are_refused(serving, digits):
    with serving(body=4096, numbers=2048, images=2) as client:
        assert client.post("/predict", content=b"x" * 4097, headers={"content-type": PNG}).status_code == 413
        chunks = iter([b"x" * 2000] * 3)  # no length is said
        assert client.post("/predict", content=chunks, headers={"content-type": PNG}).status_code == 413
        assert client.post("/predict", content=b" " * 2049, headers={"content-type": JSON}).status_code == 413
        files = [("image", ("a.png", digits[0]))] * 3
        assert client.post("/predict", files=files).status_code == 413
        assert client.post("/predict", files=files[:2]).status_code == 200


def test_a_large_picture_within_the_limit_is_answered(client):
    file = io.BytesIO()
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(file, "PNG")
    assert client.post("/predict", content=file.getvalue(), headers={"content-type": PNG}).status_code == 200


class Slow:
    """An engine that waits until it is let go."""

    def __init__(self, monkeypatch):
        from spikewise.serving import batching

        self.gate, plain = threading.Event(), batching.answer_records

        def slow(*arguments, **named):
            self.gate.wait(LONG)
            return plain(*arguments, **named)

        monkeypatch.setattr(batching, "answer_records", slow)


def test_a_full_server_says_when_to_come_again_and_answers_all_that_it_took(run, digits, monkeypatch):
    slow = Slow(monkeypatch)
    app = application(Models(Wanted((run.folder,), device="cpu"), Limits(waiting=5, batch=2)))

    async def ask() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            post = [client.post("/predict", content=digits[0], headers={"content-type": PNG}) for _ in range(12)]
            tasks = [asyncio.create_task(one) for one in post]
            while sum(task.done() for task in tasks) < 7:
                await asyncio.sleep(0.01)
            assert (await client.get("/v2/health/live")).status_code == 200  # others are not held up
            slow.gate.set()
            return await asyncio.gather(*tasks)

    found = asyncio.run(ask())
    assert sorted(one.status_code for one in found) == [200] * 5 + [429] * 7
    assert all(1 <= int(one.headers["retry-after"]) <= 30 for one in found if one.status_code == 429)


def test_bytes_that_are_held_are_bounded(serving, digits):
    with serving(held=2048) as client:
        assert client.post("/predict", content=b"x" * 4000, headers={"content-type": PNG}).status_code == 429
        chunks = iter([b"x" * 1500] * 2)
        assert client.post("/predict", content=chunks, headers={"content-type": PNG}).status_code == 429
        assert client.post("/predict", content=digits[0], headers={"content-type": PNG}).status_code == 200
        assert "spikewise_held_bytes 0\n" in client.get("/metrics").text  # whatever was held has been let go


def test_an_answer_that_takes_too_long_is_given_up(serving, digits, monkeypatch):
    slow = Slow(monkeypatch)
    with serving(seconds=0.2) as client:
        found = client.post("/predict", content=digits[0], headers={"content-type": PNG})
        assert (found.status_code, "longer than 0.2 seconds" in found.text) == (503, True)
        slow.gate.set()
        wait_until(lambda: client.post("/predict", content=digits[0], headers={"content-type": PNG}).status_code == 200)


@pytest.mark.parametrize(
    ("kind", "parts", "status", "read"),
    [
        (PNG, [b"no ", b"image"], 400, 2),  # the whole body was needed to find that out
        ("text/html", [b"x"], 415, 1),
        (PNG, [b"x" * 3000] * 3, 413, 3),  # refused at the second part; the third is thrown away
        (PNG, [], 400, 1),
    ],
)
def test_a_refused_body_is_read_to_its_end_and_not_beyond(run, kind, parts, status, read):
    """What is asked for beyond the end comes only when the client has gone, which waits for its answer."""
    app = application(Models(Wanted((run.folder,), device="cpu"), Limits(body=4096)))
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts] or [{"type": "http.request"}]
    left[-1]["more_body"] = False
    sent, received = [], []

    async def receive():
        assert left, "asked for more than there is"
        received.append(left.pop(0))
        return received[-1]

    async def send(message):
        sent.append(message)

    async def ask():
        headers = [(b"host", b"127.0.0.1"), (b"content-type", kind.encode())]
        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
        async with app.router.lifespan_context(app):
            await app({**scope, "http_version": "1.1", "scheme": "http", "raw_path": b"/predict"}, receive, send)

    asyncio.run(ask())
    assert (sent[0]["status"], len(received), left) == (status, read, [])


def test_a_fault_of_the_engine_is_one_message_and_the_next_request_is_answered(serving, digits, monkeypatch, caplog):
    from spikewise.serving import batching

    plain = batching.answer_records

    def broken(*arguments, **named):
        raise RuntimeError("a secret of the engine")

    with serving() as client:
        monkeypatch.setattr(batching, "answer_records", broken)
        found = client.post("/predict", content=digits[0], headers={"content-type": PNG})
        assert (found.status_code, "secret" in found.text) == (500, False)
        assert "a secret of the engine" in caplog.text
        monkeypatch.setattr(batching, "answer_records", plain)
        assert client.post("/predict", content=digits[0], headers={"content-type": PNG}).status_code == 200
