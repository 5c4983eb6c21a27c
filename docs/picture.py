"""The moving picture of the page, docs/images/page.webp: a seven is drawn, and taken step by step.

python docs/picture.py RUN/exports/snn-0-html/network.html    # of a network that knows digits
"""

import io
import sys
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from spikewise.interop.html.running import programs

WIDTH, HEIGHT = 1180, 760
SEVEN: Final = (
    ((0.28, 0.18), (0.5, 0.18), (0.72, 0.18), (0.63, 0.4), (0.54, 0.62), (0.45, 0.86)),
    ((0.38, 0.52), (0.68, 0.52)),
)
DRAWING, STEP, END = 110, 160, 2500
"""Milliseconds that a frame stays."""


def main() -> None:
    """Write it."""
    frames: list[tuple[Image.Image, int]] = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=programs()[1], args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(Path(sys.argv[1]).resolve().as_uri())
        page.click("#clear")
        take(page, frames, DRAWING * 4)
        draw(page, frames)
        page.click("#first")
        for _ in range(page.evaluate("spikewise.state.steps") - 1):
            take(page, frames, STEP)
            page.click("#next")
        take(page, frames, END)
        browser.close()
    first, *others = (frame for frame, _ in frames)
    path = Path(__file__).parent / "images" / "page.webp"
    durations = [duration for _, duration in frames]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, quality=70, method=6)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(frames)} frames")


def draw(page: Page, frames: list[tuple[Image.Image, int]]) -> None:
    """Stroke by stroke, with a frame at each corner."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in SEVEN:
        for at, (right, down) in enumerate(stroke):
            page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"], steps=4)
            if at == 0:
                page.mouse.down()
            take(page, frames, DRAWING)
        page.mouse.up()


def take(page: Page, frames: list[tuple[Image.Image, int]], duration: int) -> None:
    """One frame, once the page has drawn what it computed."""
    page.wait_for_timeout(60)
    frames.append((Image.open(io.BytesIO(page.screenshot())).convert("RGB"), duration))


if __name__ == "__main__":
    main()
