"""What the page's engine sums with vectors is what it sums without them, bit by bit."""

import json
import subprocess

import pytest
import torch
from exportable import images, neurons

from spikewise.encoders import Direct, Rate
from spikewise.graph import Activation, Conv2d, Flatten, Graph, Linear, MaxPool
from spikewise.interop import Wish, deploy
from spikewise.interop.html import FORMAT
from spikewise.interop.html.assets import engine_script, script_of
from spikewise.interop.html.running import programs
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane

pytestmark = pytest.mark.skipif(programs()[0] is None, reason="runs the page's engine: needs the Debian package nodejs")
BOTH = """
const { engine, model, numbers, pixels } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const digest = one => require("crypto").createHash("sha256").update(one).digest("hex");
const answers = new Function("WebAssembly", "model", "numbers", "pixels", "digest", engine + `
  let vectors = 0;
  const { convolved } = Convolution;
  Convolution.convolved = (...given) => { const done = convolved(...given); vectors += done; return done; };
  const network = Spikewise.load(JSON.parse(model).networks[0], Spikewise.opened(numbers)), said = [];
  for (const image of pixels) {
    const { evidence, sent, counts } = Spikewise.run(network, Uint8Array.from(image));
    const bits = [evidence, ...Object.values(sent).flatMap(one => [one.membranes, one.spikes || []])];
    said.push([counts, bits.map(one => digest(new Uint8Array(one.buffer || [])))]);
  }
  return [vectors, said];`);
const found = [WebAssembly, undefined].map(one => answers(one, model, numbers, pixels, digest));
WebAssembly.Memory.prototype.grow = () => { throw new RangeError("there is no more"); };
console.log(JSON.stringify([...found, answers(WebAssembly, model, numbers, pixels, digest)]));
"""
SHAPES = {
    "plain": Conv2d(channels=5, kernel=3),
    "padded": Conv2d(channels=8, kernel=5, padding=2),
    "striding": Conv2d(channels=4, kernel=(3, 2), stride=(2, 3), padding=(0, 1), bias=False),
    "dilated": Conv2d(channels=3, kernel=(2, 3), padding=(1, 2), dilation=(3, 2)),
    "narrow": Conv2d(channels=9, kernel=(5, 11)),
    "one column": Conv2d(channels=2, kernel=(9, 13)),
    "by channel": Conv2d(channels=12, kernel=3, padding=1, groups=6, bias=False),
    "two groups": Conv2d(channels=10, kernel=2, stride=2, groups=2),
    "wider than the image": Conv2d(channels=4, kernel=1, padding=4),
}


def both(layers, encoder, readout, shape, tmp_path):
    """Answers with vectors, without, and without memory for them; each with how many convolutions had them."""
    graph = Graph(image_shape=shape, encoder=encoder, layers=layers, readout=readout)
    network = Network(graph, seed=1)
    with torch.no_grad():
        for name, value in network.weights.items():
            if "threshold" not in name and "beta" not in name:
                value.mul_(3.0)
    path = tmp_path / FORMAT.write(deploy(network.eval()), tmp_path, Wish(classes=("a", "b", "c"), seed=5)).main
    model, numbers = (script_of(path.read_text(), part) for part in ("model", "numbers"))
    pixels = images(2, shape).reshape(2, -1).tolist()
    asked = {"engine": engine_script(), "model": model, "numbers": numbers, "pixels": pixels}
    command = [programs()[0], "-e", BOTH]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SHAPES)
def test_a_convolution_has_the_same_bits_with_vectors_and_without(name, tmp_path):
    layers = (
        SHAPES[name],
        neurons(threshold=0.25),
        Conv2d(channels=6, kernel=1),
        neurons(),
        Flatten(),
        Linear(features=3),
    )
    (used, fast), (none, slow), (_, short) = both(layers, Rate(steps=3), MeanMembrane(), (6, 9, 13), tmp_path)
    assert fast == slow == short
    assert (used, none) == (2 * 2 * 3, 0)  # of 2 images, 2 layers, 3 steps
    assert any(count["arrived"] for count in slow[0][0].values())
    assert len({digest for _, digests in slow for digest in digests}) > 3  # they say something


def test_where_memory_ends_the_rest_is_summed_without_vectors(tmp_path):
    layers = (
        Conv2d(channels=30, kernel=3),
        Activation(),
        MaxPool(),
        Conv2d(channels=40, kernel=3),
        Flatten(),
        Linear(features=3),
    )
    (used, fast), (none, slow), (less, short) = both(layers, Direct(steps=1), LastMembrane(), (1, 24, 24), tmp_path)
    assert fast == slow == short
    assert (used, none, less) == (4, 0, 0)
