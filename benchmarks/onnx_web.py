"""`python -m benchmarks.onnx_web EXPORT PACKAGE`: an exported ONNX file in a browser, image by image.

EXPORT is the folder of `spikewise export RUN --to onnx`, with the images of its check; PACKAGE is the folder of the npm
package onnxruntime-web (`npm install onnxruntime-web`). Both are served to a Chromium that Playwright starts; decisions
and spike counts are compared with those of onnxruntime in this process, and the time of one image is told.

    --images N   of those of the check, from the first (100)
"""

import argparse
import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import onnxruntime
from playwright.sync_api import sync_playwright

from spikewise.interop import ExportCheck
from spikewise.interop.html.running import programs
from spikewise.reading import read_record

_PAGE = b"<!doctype html><title>onnxruntime-web</title><script src='/package/dist/ort.min.js'></script>"
_RUN = """async ([images, shape]) => {
  ort.env.wasm.numThreads = 1
  const session = await ort.InferenceSession.create('/network.onnx', {executionProviders: ['wasm']})
  const out = {scores: [], spikes: [], milliseconds: []}
  for (const image of images) {
    const start = performance.now()
    const found = await session.run({images: new ort.Tensor('uint8', Uint8Array.from(image), [1, ...shape])})
    out.milliseconds.push(performance.now() - start)
    out.scores.push(Array.from(found.scores.data))
    out.spikes.push(found.spikes_per_layer ? Array.from(found.spikes_per_layer.data) : [])
  }
  return out
}"""


class Compared(NamedTuple):
    """What the browser answered beside onnxruntime here."""

    images: int
    equal_decisions: int
    equal_counts: int
    """Images of which every layer sent the same number of spikes."""
    largest_score_difference: float
    milliseconds: float
    """Of one image in the browser; median."""
    browser: str


class _Files(SimpleHTTPRequestHandler):
    """The page, the network and the package."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

    def __init__(self, *given: Any, network: Path, package: Path) -> None:
        self._network, self._package = network, package
        super().__init__(*given)

    def translate_path(self, path: str) -> str:
        """Where what is asked for lies."""
        if path == "/network.onnx":
            return str(self._network)
        return str(self._package / path.partition("?")[0].removeprefix("/package/"))

    def do_GET(self) -> None:
        """The page itself is not on disk."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(network: Path, package: Path) -> Iterator[str]:
    """Address of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, network=network, package=package))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def compared(export: Path, package: Path, count: int) -> Compared:
    """Run the images of an export's check in the browser and here."""
    check = read_record(export / "check.json", ExportCheck)
    network, images = export / check.main, np.load(export / "check.npz")["images"][:count]
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs() if one.name in ("scores", "spikes_per_layer")]
    here = [dict(zip(names, session.run(names, {"images": image[None]}), strict=True)) for image in images]
    with served(network, package) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=programs()[1], args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        there = page.evaluate(_RUN, [[image.ravel().tolist() for image in images], list(images.shape[1:])])
        version = f"Chromium {browser.version}"
        browser.close()
    scores, ours = np.array(there["scores"]), np.array([one["scores"][0] for one in here])
    counts = [
        np.array_equal(a, one.get("spikes_per_layer", [[]])[0]) for a, one in zip(there["spikes"], here, strict=True)
    ]
    return Compared(
        len(images),
        int((scores.argmax(1) == ours.argmax(1)).sum()),
        sum(counts),
        float(np.abs(scores - ours).max()),
        float(np.median(there["milliseconds"])),
        version,
    )


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx_web", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--images", type=int, default=100)
    given = parser.parse_args()
    version = json.loads((given.package / "package.json").read_text())["version"]
    print(f"onnxruntime-web {version}: {compared(given.export, given.package, given.images)._asdict()}")


if __name__ == "__main__":
    _main()
