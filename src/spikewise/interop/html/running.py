"""The page's own engine, run without the page: by node, or by Chromium, as the foreign runtime of the check."""

import base64
import json
import shutil
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from spikewise.errors import DataError, DependencyError
from spikewise.interop.deployed import Deployed
from spikewise.interop.html.assets import asset, asset_path, engine_script, script_of
from spikewise.interop.runtime import Sent

__all__ = ["PageRuntime", "programs"]

Images = UInt8[np.ndarray, "B C H W"]
_NODE: Final = ("node", "nodejs")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS: Final = 300.0
"""After which an answer is waited for no longer."""


def programs() -> tuple[str | None, str | None]:
    """Where node and Chromium stand on this machine."""
    node, browser = (next((at for name in names if (at := shutil.which(name))), None) for names in (_NODE, _BROWSERS))
    return node, browser


@runtime_checkable
class _Program(Protocol):
    """Gives the line and the bytes that answer images."""

    name: str

    def __call__(self, images: Images) -> tuple[dict[str, Any], bytes]: ...


class PageRuntime:
    """A page's engine and network.

    Raises:
        DataError: the file is damaged, or its engine is not the one that this version writes, which is not run.
        DependencyError: there is neither node nor Chromium.
    """

    def __init__(self, network: Deployed, path: Path) -> None:
        self._graph, self._path = network.graph, path
        text = path.read_text(encoding="utf-8", errors="replace")
        engine, model, numbers = (script_of(text, name) for name in ("engine", "model", "numbers"))
        if engine is None or model is None or numbers is None:
            raise self._damaged("it holds no engine or no network")
        # It is a program: what somebody else wrote is not run in its place.
        if engine.strip() != engine_script().strip():
            raise self._damaged("its engine is not the one that this version of spikewise writes")
        node, browser = programs()
        if node is None and browser is None:
            raise DependencyError(
                "The engine of a page is checked by node or Chromium, and neither is installed: install the package "
                "nodejs or chromium (Debian: apt install nodejs), or leave the check out with --unchecked."
            )
        self._program: _Program = _Node(node, path) if node is not None else _Browser(str(browser), model, numbers)

    @property
    def name(self) -> str:
        """What it is, with its version."""
        return self._program.name

    def __call__(self, images: Images) -> Sent:
        """Scores and spikes.

        Raises:
            DataError: the page does not answer as an export of this network does.
        """
        try:
            line, content = self._program(np.ascontiguousarray(images))
            return self._read(line, content, len(images))
        except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
            raise self._damaged(f"its network does not run ({error})") from None

    def _read(self, line: dict[str, Any], content: bytes, images: int) -> Sent:
        graph = self._graph
        count = images * graph.classes
        scores = np.frombuffer(content, "<f4", count).reshape(images, graph.classes)
        if not np.isfinite(scores).all():
            raise ValueError("its scores are no numbers")
        rest = np.frombuffer(content, "<i2", offset=4 * count)
        found, at = {}, 0
        sizes = {name: (int(many), int(each)) for name, many, each in line["layers"]}
        for layer in graph.named:
            if layer.layer.spikes:
                shape = (images, graph.steps, *layer.output)
                size = int(np.prod(shape))
                if sizes[layer.name] != (images, size // images):
                    raise ValueError(f"layer {layer.name} sends {sizes[layer.name]} values")
                found[layer.name] = np.ascontiguousarray(np.moveaxis(rest[at : at + size].reshape(shape), 0, 1))
                at += size
        return Sent(scores, found)

    def _damaged(self, why: str) -> DataError:
        return DataError(f"{self._path} is damaged, or is no export of this network: {why}. Export the run again.")


class _Node:
    """A process that stays and answers."""

    def __init__(self, program: str, path: Path) -> None:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        self.name = f"the page's engine in node {version.removeprefix('v')}"
        command = [program, str(asset_path("headless.js")), str(path), str(asset_path("answering.js"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.close = weakref.finalize(self, _end, self._process)

    def __call__(self, images: Images) -> tuple[dict[str, Any], bytes]:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        clock = threading.Timer(_SECONDS, self._process.kill)
        clock.start()
        try:
            pipe_in.write(json.dumps([len(images), images[0].size]).encode() + b"\n" + images.tobytes())
            pipe_in.flush()
            line = json.loads(pipe_out.readline() or b"null")
            if not isinstance(line, dict):
                raise ValueError("the program that ran it has ended")
            return line, pipe_out.read(int(line["bytes"]))
        finally:
            clock.cancel()


class _Browser:
    """A browser that is started for each batch, and leaves its answer in the document."""

    def __init__(self, program: str, model: str, numbers: str) -> None:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        self.name = f"the page's engine in {version or 'Chromium'}"
        self._program, self._model, self._numbers = program, model, numbers

    def __call__(self, images: Images) -> tuple[dict[str, Any], bytes]:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "check.html"
            page.write_text(self._page(images), encoding="utf-8")
            command = [self._program, "--headless=new", "--disable-gpu", f"--user-data-dir={folder}/profile"]
            command += ["--no-sandbox", "--timeout=1000000", "--dump-dom", page.as_uri()]
            # Our own engine on a description: there is nothing in the page that a sandbox would have to hold back.
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        said = json.loads(script_of(done.stdout, "answer") or "null")
        if not isinstance(said, dict):
            raise ValueError("the browser gave no answer")
        return said["line"], base64.b64decode(said["content"])

    def _page(self, images: Images) -> str:
        pixels = base64.b64encode(images.tobytes()).decode("ascii")
        return (
            '<!doctype html><meta charset="utf-8">'
            f'<script type="application/json" id="model">{self._model}</script>'
            f'<script type="text/plain" id="numbers">{self._numbers}</script>'
            f"<script>{engine_script()}</script><script>{asset('answering.js')}\n"
            'const given = ["model", "numbers"].map(id => document.getElementById(id));'
            "open(...given.map(one => one.textContent)); given.forEach(one => one.remove());"
            f'const pixels = Uint8Array.from(atob("{pixels}"), one => one.charCodeAt(0));'
            f'const said = answering(pixels, {images[0].size}); let text = "";'
            "for (let i = 0; i < said.bytes.length; i += 8192)"
            " text += String.fromCharCode(...said.bytes.subarray(i, i + 8192));"
            'const at = document.createElement("script"); at.type = "application/json"; at.id = "answer";'
            "at.textContent = JSON.stringify({ line: said.line, content: btoa(text) });"
            "document.documentElement.append(at);</script>"
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()
