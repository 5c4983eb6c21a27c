"""Numbers come out of the text of a page as they went in."""

import json
import re
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewise.interop.html.assets import engine_script
from spikewise.interop.html.packing import Numbers
from spikewise.interop.html.running import programs

pytestmark = pytest.mark.skipif(programs()[0] is None, reason="runs the page's engine: needs the Debian package nodejs")
UNPACK = """
const { engine, text, at } = JSON.parse(require("fs").readFileSync(0, "utf8"));
(0, eval)(engine + "; globalThis.spikewise = Spikewise;");
const bytes = spikewise.opened(text);
const bits = one => one instanceof Float32Array ? [...new Uint32Array(one.buffer)] : [...one];
console.log(JSON.stringify(at.map(one => bits(spikewise.unpacked(bytes, one)))));
"""


def unpacked(numbers, at):
    """As the page has them: bits of floats, and bytes."""
    command = [programs()[0], "-e", UNPACK]
    said = json.dumps({"engine": engine_script(), "text": numbers.text(), "at": at})
    return json.loads(subprocess.run(command, input=said, capture_output=True, text=True, check=True).stdout)


def bits(values):
    return np.asarray(values, np.float32).view(np.uint32).tolist()


@settings(max_examples=10, deadline=None)
@given(
    words=st.lists(st.integers(0, 2**32 - 1).filter(lambda word: word & 0x7F800000 != 0x7F800000), max_size=60),
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(st.integers(-32_000, 32_000), max_size=60),
    raw=st.binary(max_size=60),
)
def test_whatever_goes_in_comes_out(words, seed, levels, raw):
    given_bits = torch.from_numpy(np.array(words, np.uint32).view(np.float32))
    normal = torch.randn(500, generator=torch.Generator().manual_seed(seed))
    step = np.float32(0.01)
    stepped = torch.tensor(levels, dtype=torch.float32) * float(step)
    numbers = Numbers()
    at = [
        numbers.floats(given_bits),
        numbers.bytes(np.frombuffer(raw, np.uint8)),
        numbers.floats(stepped, float(step)),
        numbers.floats(normal),
    ]
    found = unpacked(numbers, at)
    assert found == [words, list(raw), bits(stepped), bits(normal)]


def test_the_text_holds_nothing_that_html_changes():
    """Every pair of neighbours, forbidden ones among them, stands in it somewhere."""
    raw = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8)
    numbers = Numbers()
    at = numbers.bytes(raw)
    assert not re.search("[\0\r<]", numbers.text())
    assert max(map(ord, numbers.text())) < 0x200  # two bytes of UTF-8 for two times seven bits
    assert len(numbers.text().encode()) == pytest.approx(200_000 * 8 / 7, rel=5e-3)
    assert unpacked(numbers, [at]) == [raw.tolist()]


def test_floats_take_the_entropy_of_their_exponents_and_24_bits():
    weights = torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    numbers = Numbers()
    numbers.floats(weights)
    share = np.unique(np.frexp(weights.numpy())[1], return_counts=True)[1] / 40_000
    entropy = -float((share * np.log2(share)).sum())
    took = len(numbers.text().encode()) * 7 / 40_000
    assert 24 + entropy <= took <= 24 + entropy + 0.15  # Huffman's codes have whole bits
