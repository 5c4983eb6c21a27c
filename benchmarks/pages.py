"""Pages of `spikewise export --to html` in Chromium: size, first answer, later answers, and what stands on the console.

Times are the least and the median of five openings (later answers: the median). "First answer" is what computing it
takes; before it the page is read and its weights are unpacked.

python -m benchmarks.pages PAGE.html [PAGE.html ...] [--c network.c]

With the C file that `export --to c` wrote of the same network, clang makes WebAssembly of it, which answers the page's
test images beside the page's own engine.
"""

import argparse
import base64
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from spikewise.interop.html.running import programs

OPENINGS: Final = 5
RUN: Final = """() => {
  const { network, twin, state } = spikewise, times = [], best = [], images = (state.test || [state.fed]).slice(0, 40);
  for (let turn = 0; turn < Math.ceil(20 / images.length); turn++) for (const pixels of images) {
    const begun = performance.now(), done = Spikewise.run(network, pixels);
    times.push(performance.now() - begun);
    const end = [...done.evidence.subarray((done.steps - 1) * network.classes)];
    if (!turn) best.push(end.indexOf(Math.max(...end)));
  }
  return { since: window.answered, first: state.milliseconds, times, best, images: images.map(one => [...one]) };
}"""
ANSWERED: Final = """let held; Object.defineProperty(window, "spikewise", {
  get: () => held, set: value => { if (!held) window.answered = performance.now(); held = value; } });"""
COMPILED: Final = """async ([text, images]) => {
  const begun = performance.now(), bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
  const { instance: { exports } } = await WebAssembly.instantiate(bytes, {}), times = [], best = [];
  const ready = performance.now() - begun;
  for (let turn = 0; turn < Math.ceil(20 / images.length); turn++) for (const pixels of images) {
    const begun = performance.now();
    new Uint8Array(exports.memory.buffer, exports.image(), pixels.length).set(pixels);
    const said = exports.classify();
    times.push(performance.now() - begun);
    if (!turn) best.push(said);
  }
  return { ready, times, best };
}"""
GLUE: Final = """#include "network.h"
static network_state state;
static uint8_t image[NETWORK_PIXELS];
__attribute__((export_name("image"))) uint8_t *image_at(void) { return image; }
__attribute__((export_name("classify"))) int classify(void) { return network_classify(&state, image, 0); }
void *memset(void *to, int value, __SIZE_TYPE__ count) {
    char *at = to; while (count--) *at++ = (char)value; return to;
}
void *memcpy(void *to, const void *from, __SIZE_TYPE__ count) {
    char *at = to; const char *next = from; while (count--) *at++ = *next++; return to;
}
"""
Found = dict[str, Any]  # JSON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE.html")
    parser.add_argument("--c", type=Path, metavar="network.c", help="of the first page's network")
    asked = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=programs()[1], args=["--no-sandbox"])
        print("| page | size, kB | opened until answered, ms | first answer, ms | later, ms | console |")
        print("|---|---|---|---|---|---|")
        for path in asked.pages:
            found = [opened(browser, path) for _ in range(OPENINGS)]
            since, first = ([one[key] for one in found] for key in ("since", "first"))
            later = statistics.median(time for one in found for time in one["times"][10:])
            said = "; ".join(sorted({line for one in found for line in one["said"]})) or "nothing"
            name = f"{path.parent.name}/{path.name}"
            print(
                f"| {name} | {path.stat().st_size / 1000:,.0f} | {min(since):.0f}, {statistics.median(since):.0f} | "
                f"{min(first):.0f}, {statistics.median(first):.0f} | {later:.1f} | {said} |",
                flush=True,
            )
        if asked.c is not None:
            compare(browser, opened(browser, asked.pages[0]), webassembly(asked.c))


def opened(browser: Browser, path: Path) -> Found:
    """A page opened anew: what its first answer took, and later ones."""
    page = browser.new_page()
    page.add_init_script(ANSWERED)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.resolve().as_uri())
    while not page.evaluate("Boolean(window.spikewise)") and not said:
        page.wait_for_timeout(20)
    found: Found = (
        {"since": float("nan"), "first": float("nan"), "times": [float("nan")] * 11} if said else page.evaluate(RUN)
    )
    page.close()
    return {**found, "said": said}


def webassembly(source: Path) -> bytes:
    """The C engine, compiled with the instructions for vectors."""
    with tempfile.TemporaryDirectory() as folder:
        glue, made = Path(folder) / "glue.c", Path(folder) / "network.wasm"
        glue.write_text(GLUE)
        command = ["clang", "--target=wasm32", "-msimd128", "-nostdlib", "-std=c99", "-O3", "-ffp-contract=off"]
        command += ["-fno-builtin", "-Wl,--no-entry", f"-I{source.parent}", "-o", str(made), str(glue), str(source)]
        subprocess.run(command, check=True)
        return made.read_bytes()


def compare(browser: Browser, page: Found, program: bytes) -> None:
    """Both engines on the same images."""
    empty = browser.new_page()
    found = empty.evaluate(COMPILED, [base64.b64encode(program).decode(), page["images"]])
    equal = sum(one == other for one, other in zip(page["best"], found["best"], strict=True))
    print(
        f"\nWebAssembly: {len(program) / 1000:,.0f} kB, ready after {found['ready']:.0f} ms, first image "
        f"{found['times'][0]:.1f} ms, later {statistics.median(found['times'][10:]):.2f} ms; "
        f"{equal} of {len(found['best'])} decisions equal. The page: first image {page['times'][0]:.1f} ms, "
        f"later {statistics.median(page['times'][10:]):.2f} ms, with every spike and membrane kept."
    )


if __name__ == "__main__":
    main()
