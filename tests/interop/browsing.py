"""Debian's Chromium, driven by Playwright: a page in it, which may say nothing on the console."""

import contextlib
import functools
import io
import json
import os
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.interop.html.running import programs

playwright = pytest.importorskip("playwright.sync_api", reason="opens the page in a browser: needs playwright")
if programs()[1] is None:
    pytest.skip("opens the page in a browser: needs the Debian package chromium", allow_module_level=True)

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@contextlib.contextmanager
def launched(*arguments: str) -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=programs()[1], args=["--no-sandbox", *arguments])
        yield opened
        opened.close()


@contextlib.contextmanager
def shown(browser, address: str, size="desktop", **more) -> Iterator["playwright.Page"]:
    """A page that asks nobody but the place it came from; a file has no network."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone", **more)
    page, said = context.new_page(), []
    own = ("data:", "blob:", "file:" if address.startswith("file:") else "/".join(address.split("/")[:3]) + "/")
    context.set_offline(address.startswith("file:"))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith(own) else None)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    assert not said


def until(page, expression: str) -> None:
    """Wait until it holds; asked from here, because the page's policy lets nothing in it evaluate a string."""
    for _ in range(500):
        if page.evaluate(f"Boolean({expression})"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"it never came to {expression}")


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def picture_of(page, name: str) -> None:
    """Kept in the folder that SPIKEWISE_SCREENSHOTS names, for people to look at."""
    if folder := os.environ.get("SPIKEWISE_SCREENSHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@functools.cache
def axe() -> str | None:
    """The script of axe-core as the registry gives it; None where that cannot be reached."""
    try:
        command = ["npm", "view", "axe-core", "dist.tarball", "--json"]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        with urllib.request.urlopen(json.loads(done.stdout), timeout=60) as answer:
            content = io.BytesIO(answer.read())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    with tarfile.open(fileobj=content) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def serious_faults(page) -> list[tuple[str, list[str]]]:
    """What axe-core finds."""
    page.evaluate(axe())
    found = page.evaluate("axe.run().then(done => done.violations)")
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
