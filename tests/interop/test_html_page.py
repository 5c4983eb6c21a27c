"""The page in a real browser: from a file, with the network off, it answers as the network here, spike by spike."""

import io
import urllib.request

import numpy as np
import pytest
from exportable import dyadic
from PIL import Image
from sklearn.datasets import load_digits

from spikewise.data.decode import decode_image
from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Rate
from spikewise.graph import Activation, Flatten, Graph, Linear, Neuron
from spikewise.interop import Wish, deploy
from spikewise.interop.html import FORMAT
from spikewise.interop.html.running import programs
from spikewise.interop.runtime import Here, PageContent
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane

playwright = pytest.importorskip("playwright.sync_api", reason="opens the page in a browser: needs playwright")
if programs()[1] is None:
    pytest.skip("opens the page in a browser: needs the Debian package chromium", allow_module_level=True)

SHAPE, SEED = (1, 8, 8), 3
ANSWER = """async bytes => {
  const { network, images } = spikewise, page = JSON.parse(document.getElementById("model").textContent).reading;
  const blob = new Blob([Uint8Array.from(bytes)], { type: "image/png" });
  const pixels = await images.ofFile(blob, network, page);
  const done = Spikewise.run(network, pixels);
  const end = [...done.evidence.subarray((done.steps - 1) * network.classes)];
  return { pixels: [...pixels], best: end.indexOf(Math.max(...end)), spikes: [...done.sent.lif1.spikes] };
}"""


def made(layers, encoder, readout) -> Network:
    return dyadic(Graph(image_shape=SHAPE, encoder=encoder, layers=layers, readout=readout))


SPIKING = (Flatten(), Linear(features=48), Neuron(dynamics=LIF(beta=0.75)), Linear(features=10))
NETWORK = made((*SPIKING, Neuron(dynamics=LeakyIntegrator(beta=0.75))), Rate(steps=12), MeanMembrane())
TWIN = made((Flatten(), Linear(features=48), Activation(), Linear(features=10)), Direct(steps=1), LastMembrane())
DIGITS = np.round(load_digits().images[:100, None] * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    content = PageContent(twin=deploy(TWIN), images=DIGITS, labels=load_digits().target[:100], shown=True)
    wish = Wish(classes=tuple("0123456789"), seed=SEED, data="digits", beside=lambda: content)
    return folder / FORMAT.write(deploy(NETWORK), folder, wish).main


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=programs()[1], args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, path):
    """The page, open without a network; it may say nothing on the console."""
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    shown, said = context.new_page(), []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    shown.goto(path.as_uri())
    until(shown, "window.spikewise")
    yield shown
    context.close()
    assert not said


def until(page, expression) -> None:
    """Wait until it holds; asked from here, because the page's policy lets nothing in it evaluate a string."""
    for _ in range(500):
        if page.evaluate(f"Boolean({expression})"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"it never came to {expression}")


def png(pixels) -> list[int]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return list(stream.getvalue())


def test_a_hundred_images_get_the_same_pixels_spikes_and_classes(page):
    ours = Here(NETWORK, seed=SEED)(DIGITS)
    assert len(set(ours.scores.argmax(1))) > 1
    for at, image in enumerate(DIGITS):
        found = page.evaluate(ANSWER, png(image[0]))
        assert found["pixels"] == image.flatten().tolist()
        assert found["spikes"] == ours.spikes["lif1"][:, at].flatten().tolist()
        assert found["best"] == ours.scores[at].argmax()


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (37, 53, 3), (5, 4, 3), (200, 9, 3), (61, 61), (9, 200), (30, 12)], ids=str
)
def test_pictures_of_other_sizes_and_colours_become_the_bytes_that_predict_reads(shape, page):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png")
    expected = decode_image(stream.getvalue(), size=SHAPE[1:], grey=True)
    found = np.array(page.evaluate(ANSWER, list(stream.getvalue()))["pixels"])
    assert abs(found - expected.flatten()).max() <= (
        shape[:2] != SHAPE[1:]
    )  # Pillow picks the direction it begins with


def test_a_file_that_is_chosen_is_answered_and_steps_can_be_taken(page):
    ours = Here(NETWORK, seed=SEED)(DIGITS[7:8])
    page.set_input_files("#chooser", {"name": "8.png", "mimeType": "image/png", "buffer": bytes(png(DIGITS[7, 0]))})
    until(page, "spikewise.state.source === 'from your file'")
    answer = str(ours.scores[0].argmax())
    until(page, f"document.getElementById('says').textContent.startsWith('It says {answer}')")
    assert page.evaluate("[...spikewise.state.done.sent.lif1.spikes]") == ours.spikes["lif1"][:, 0].flatten().tolist()
    page.click("#first")
    until(page, "document.getElementById('step-text').textContent === 'step 1 of 12'")
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    until(page, "document.getElementById('step-text').textContent === 'step 2 of 12'")


def test_what_is_drawn_is_centred_and_scaled_as_the_set_is(page):
    box = page.locator("#pad").bounding_box()
    page.locator("#clear").click()
    points = [(0.1, 0.1), (0.3, 0.1), (0.2, 0.35)]  # a small seven in a corner
    page.mouse.move(
        *(box[side] + share * box[size] for side, size, share in zip("xy", ("width", "height"), points[0], strict=True))
    )
    page.mouse.down()
    for right, down in points[1:]:
        page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"], steps=6)
    page.mouse.up()
    until(page, "spikewise.state.source.startsWith('your drawing')")
    ink = np.array(page.evaluate("Array.from(spikewise.state.fed)")).reshape(8, 8)
    marked = np.flatnonzero((ink > 64).any(1))
    assert 6 <= marked[-1] - marked[0] + 1 <= 8  # digits of the set are 8 pixels tall
    assert marked[0] <= 1  # it filled the upper left corner of the pad, and fills the picture
    assert ink[0].sum() > ink[-1].sum()


@pytest.mark.parametrize("steps", [3, 24])
def test_other_numbers_of_steps_are_those_of_a_network_with_them(steps, page):
    graph = NETWORK.graph.replace(encoder=Rate(steps=steps))
    other = Network(graph)
    other.load_state_dict(NETWORK.state_dict())
    expected = Here(other.eval(), seed=SEED)(DIGITS[:1]).spikes["lif1"][:, 0].flatten().tolist()
    page.evaluate("images => document.querySelector('#samples button').click()", None)
    page.locator("#slider-steps").fill(str(steps))
    assert page.evaluate("[...spikewise.state.done.sent.lif1.spikes]") == expected
    page.locator("#reset").click()
    assert page.evaluate("spikewise.state.steps") == NETWORK.graph.steps


def test_dead_neurons_send_nothing_and_nothing_is_wider_than_a_phone(page):
    page.locator("#slider-dead").fill("0.95")
    sent = np.array(page.evaluate("[...spikewise.state.done.sent.lif1.spikes]")).reshape(12, 48)
    assert np.count_nonzero(sent.any(0)) <= 48 - round(0.95 * 48)
    assert page.locator("#changed").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_axe_finds_no_serious_fault(page):
    """With axe-core as the registry gives it; skipped where that cannot be reached."""
    import json
    import subprocess
    import tarfile

    try:
        done = subprocess.run(
            ["npm", "view", "axe-core", "dist.tarball", "--json"], capture_output=True, timeout=60, check=True
        )
        with urllib.request.urlopen(json.loads(done.stdout), timeout=60) as answer:
            content = io.BytesIO(answer.read())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        pytest.skip(f"axe-core cannot be had from npm: {error}")
    with tarfile.open(fileobj=content) as archive:
        page.evaluate(archive.extractfile("package/axe.min.js").read().decode())
    found = page.evaluate("axe.run().then(done => done.violations)")
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious
