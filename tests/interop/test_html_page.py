"""The page in a real browser: from a file, with the network off, it answers as the network here, spike by spike."""

import io

import numpy as np
import pytest
from browsing import launched, picture_of, png, shown, until
from exportable import dyadic
from PIL import Image
from sklearn.datasets import load_digits

from spikewise.data.decode import decode_image
from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Rate
from spikewise.graph import Activation, AvgPool, Conv2d, Flatten, Graph, Linear, Neuron
from spikewise.interop import Wish, deploy
from spikewise.interop.html import FORMAT
from spikewise.interop.runtime import Here, PageContent
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane

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
    with launched() as opened:
        yield opened


@pytest.fixture
def page(browser, path):
    with shown(browser, path.as_uri(), "phone") as opened:
        until(opened, "window.spikewise")
        yield opened


def test_images_get_the_same_pixels_spikes_and_classes(page):
    assert page.evaluate("Convolution.vectors()")  # the page's policy lets it compile WebAssembly
    ours = Here(NETWORK, seed=SEED)(DIGITS[:25])
    assert len(set(ours.scores.argmax(1))) > 1
    for at, image in enumerate(DIGITS[:25]):
        found = page.evaluate(ANSWER, list(png(image[0])))
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
    page.set_input_files("#chooser", {"name": "8.png", "mimeType": "image/png", "buffer": png(DIGITS[7, 0])})
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


MAPS = (
    Conv2d(channels=4, kernel=3, padding=1),
    Neuron(dynamics=LIF(beta=0.75)),
    AvgPool(size=2),
    Flatten(),
    Linear(features=10),
    Neuron(dynamics=LeakyIntegrator(beta=0.75)),
)


def test_maps_of_a_convolution_are_drawn_and_a_click_chooses_a_neuron(browser, tmp_path):
    graph = Graph(image_shape=(3, 12, 12), encoder=Direct(steps=4), layers=MAPS, readout=MeanMembrane())
    content = PageContent(images=np.zeros((3, 3, 12, 12), np.uint8), labels=np.zeros(3, np.int64))
    wish = Wish(classes=tuple("0123456789"), seed=SEED, beside=lambda: content)
    file = tmp_path / FORMAT.write(deploy(dyadic(graph)), tmp_path, wish).main
    with shown(browser, file.as_uri()) as page:
        picture = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        page.set_input_files("#chooser", {"name": "a.png", "mimeType": "image/png", "buffer": png(picture)})
        until(page, "spikewise.state.source === 'from your file'")
        sent = Here(dyadic(graph), seed=SEED)(picture.transpose(2, 0, 1)[None]).spikes["lif1"]
        assert page.evaluate("[...spikewise.state.done.sent.lif1.spikes]") == sent.flatten().tolist()
        # First channel, first row, second column.
        page.locator("#layer-lif1 canvas").click(position={"x": 48 / 12 * 1.5, "y": 1})
        until(page, "spikewise.state.chosen.layer === 'lif1' && spikewise.state.chosen.neuron === 1")
        assert "3 × 3 from each channel" in page.inner_text("#weights-text")
        picture_of(page, "maps")


def test_a_network_that_decides_at_once_shows_no_time(browser, tmp_path):
    wish = Wish(classes=tuple(f"class number {k}" for k in range(10)), beside=PageContent)
    file = tmp_path / FORMAT.write(deploy(TWIN), tmp_path, wish).main
    with shown(browser, file.as_uri(), "phone") as page:
        until(page, "document.getElementById('detail').textContent")
        assert page.inner_text("#detail") == "That is its answer to an empty picture."
        page.set_input_files("#chooser", {"name": "8.png", "mimeType": "image/png", "buffer": png(DIGITS[7, 0])})
        until(page, "spikewise.state.source === 'from your file'")
        until(page, "!document.getElementById('detail').textContent")
        for hidden in ("#time", "#big", "#layers-title", "#neuron-title", "#cost-early", "#keys"):
            assert not page.locator(hidden).is_visible(), hidden
        assert page.locator("#sliders input").count() == 1
        assert page.inner_text("#cost-now").endswith("1 step")
        scores = Here(TWIN, seed=SEED)(DIGITS[7:8]).scores[0]
        first = f"Evidence: class number {scores.argmax()} "
        assert page.locator("#evidence").get_attribute("aria-label").startswith(first)
        picture_of(page, "at-once")


def test_one_step_of_spikes_has_no_trace_until_there_are_more(browser, tmp_path):
    network = dyadic(NETWORK.graph.replace(encoder=Direct(steps=1)))
    assert Here(network, seed=SEED)(DIGITS[:1]).spikes["lif1"].any()
    content = PageContent(images=DIGITS[:1], labels=np.zeros(1, np.int64), shown=True)
    file = tmp_path / FORMAT.write(deploy(network), tmp_path, Wish(seed=SEED, beside=lambda: content)).main
    with shown(browser, file.as_uri()) as page:
        until(page, "document.getElementById('trace-text').textContent.endsWith('; 1 spike.')")  # one that spikes
        assert not page.locator("#trace").is_visible()
        page.locator("#slider-steps").fill("4")
        until(page, "document.getElementById('time').offsetParent")
        assert page.locator("#trace").is_visible()


def test_rows_that_neurons_share_are_as_dark_as_many_of_them_spike(page):
    ink = """every => {
      const canvas = document.createElement("canvas"), count = 1024;
      document.body.append(canvas);
      const spikes = Float32Array.from({ length: 2 * count }, (_, i) => Number(i % every === 0));
      Charts.raster(canvas, { spikes, steps: 2, count, step: 1, chosen: null });
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 200);
      canvas.remove();
      return data.reduce((sum, value, at) => sum + (at % 4 === 3 ? value : 0), 0);
    }"""
    assert page.evaluate(ink, 8) < 0.4 * page.evaluate(ink, 1)  # an eighth of the spikes
