"""What a person does with the page of a trained network: from a file without a network, and from the server."""

import base64

import numpy as np
import pytest
from browsing import SIZES, axe, launched, picture_of, png, serious_faults, shown, until
from tests.serving.starting import started

from spikewise.api import export, load, train
from spikewise.experiments import RunFolder
from spikewise.interop.runtime import Here

SEVEN = [[(0.28, 0.2), (0.72, 0.2), (0.45, 0.85)], [(0.38, 0.52), (0.68, 0.52)]]
GIVE = """([name, how, text]) => {
  const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  if (how === "drop") for (const kind of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
  else document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData: data }));
}"""
FORGET = """() => {
  spikewise.state.source = "";
  for (const one of document.querySelectorAll("#says, #layer-lif1 h3 span")) one.textContent = "";
}"""
READ = """() => {
  const { state, network } = spikewise, words = document.querySelector("#layer-lif1 h3 span").textContent;
  return { words, raster: [...state.done.sent.lif1.spikes], fed: [...state.fed] };
}"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that knows digits, and its page."""
    settings = {"model.hidden": [128], "encoder.steps": 12, "train.learning_rate": 0.003}
    made = train("digits", seeds=1, epochs=8, out=tmp_path_factory.mktemp("runs"), sections=[], **settings)
    made.report.unlink()  # drawing it anew, with a link to the page, takes longer than the training
    export(made, "html", images=100)
    return made


@pytest.fixture(scope="module")
def folder(run):
    return run.folder / "exports" / "snn-0-html"


@pytest.fixture(scope="module")
def address(folder):
    return (folder / "network.html").as_uri()


@pytest.fixture(scope="module")
def images(run):
    return RunFolder.open(run.folder).images().images[:100]


@pytest.fixture(scope="module")
def network(run):
    """The one of the page, and the answers of `predict`."""
    return load(run.folder, device="cpu")


@pytest.fixture(scope="module")
def browser():
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as opened:
        yield opened


def with_mouse(page):
    box = page.locator("#pad").bounding_box()
    place = lambda point: (box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"])  # noqa: E731
    for stroke in SEVEN:
        page.mouse.move(*place(stroke[0]))
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*place(point), steps=6)
        page.mouse.up()


def with_finger(page):
    box = page.locator("#pad").bounding_box()
    session = page.context.new_cdp_session(page)
    for stroke in SEVEN:
        for at, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if at else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def with_keys(page):
    """From the pen's place in the middle, in steps of 3 % of the pad."""
    page.keyboard.press("Tab")  # the link to the answer
    page.keyboard.press("Tab")
    at = [0.5, 0.5]
    for stroke in SEVEN:
        for place, point in enumerate(stroke):
            if place == 1:
                page.keyboard.press("Space")
            while abs(point[0] - at[0]) > 0.016 or abs(point[1] - at[1]) > 0.016:
                for axis, keys in enumerate((("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"))):
                    if abs(point[axis] - at[axis]) > 0.016:
                        more = point[axis] > at[axis]
                        page.keyboard.press(keys[more])
                        at[axis] += 0.03 if more else -0.03
        page.keyboard.press("Space")


@pytest.mark.parametrize(
    ("draw", "size"),
    [(with_mouse, "desktop"), (with_finger, "phone"), (with_keys, "desktop")],
    ids=["mouse", "touch", "keys"],
)
def test_a_seven_that_is_drawn_is_a_seven(draw, size, browser, address, network):
    with shown(browser, address, size) as page:
        draw(page)
        until(page, "spikewise.state.source.startsWith('your drawing')")
        until(page, "document.getElementById('says').textContent.startsWith('It says 7')")
        found = page.evaluate(READ)
        picture_of(page, f"seven-{draw.__name__}")
    pixels = np.array(found["fed"], np.uint8).reshape(1, 1, 8, 8)
    assert network.predict(pixels[:, 0]).tolist() == [7]


def given(page, pixels, how, answer):
    """An image that is dropped or pasted; what the page shows once it says what it should."""
    page.evaluate(FORGET)  # what is shown next has been drawn after this
    page.evaluate(GIVE, ["image.png", how, base64.b64encode(png(pixels)).decode()])
    source = "from your file" if how == "drop" else "pasted"
    says = f"document.getElementById('says').textContent.startsWith('It says {answer}, ')"
    until(page, f"spikewise.state.source === '{source}' && {says}")
    until(page, "document.querySelector('#layer-lif1 h3 span').textContent")  # it is drawn after the answer
    return page.evaluate(READ)


def equal_to_predict(page, images, network, how):
    ours = Here(network.network, seed=network.seed)(images)
    said = network.predict([png(image[0]) for image in images])
    differing = 0
    for at, image in enumerate(images):
        found = given(page, image[0], how[at % len(how)], said[at])
        assert found["fed"] == image.flatten().tolist()
        assert found["words"] == f"128 neurons · {sum(found['raster']):,} of {sum(found['raster']):,} spikes"
        differing += np.count_nonzero(found["raster"] != ours.spikes["lif1"][:, at].flatten())
    assert differing <= 3  # membranes may differ in their last bit, as engines sum in the order that suits them


def test_a_hundred_images_that_are_dropped_or_pasted_are_answered_as_predict_does(browser, address, images, network):
    assert len(images) == 100
    with shown(browser, address) as page:
        equal_to_predict(page, images, network, ["drop", "paste"])
        picture_of(page, "dropped")


def test_a_photograph_is_what_the_network_sees_and_the_camera_is_let_go(browser, address, network):
    with shown(browser, address, "phone", permissions=["camera"]) as page:
        page.click("#camera")
        until(page, "document.getElementById('camera').textContent === 'Take it'")
        page.wait_for_timeout(300)  # the first frames of a camera are black
        page.click("#camera")
        until(page, "spikewise.state.source === 'from the camera'")
        found = page.evaluate(READ)
        assert page.evaluate("document.getElementById('video').hidden")
    pixels = np.array(found["fed"], np.uint8).reshape(1, 1, 8, 8)
    assert pixels.std() > 0
    assert found["raster"] == Here(network.network, seed=network.seed)(pixels).spikes["lif1"].flatten().tolist()


def test_without_a_camera_a_phone_is_asked_for_a_photograph(browser, address):
    with shown(browser, address, "phone") as page:
        page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none')); }")
        with page.expect_file_chooser() as asked:
            page.click("#camera")
        assert asked.value.element.get_attribute("capture") == "environment"


def test_everything_can_be_done_with_keys(browser, address):
    with shown(browser, address) as page:
        page.locator("#samples button").first.focus()
        page.keyboard.press("ArrowRight")
        until(page, "spikewise.state.source === 'test image 2'")
        page.locator("#play").focus()
        page.keyboard.press("Space")
        until(page, "spikewise.state.step > 0 && spikewise.state.step < 11")
        page.keyboard.press("Space")
        page.locator("#step").focus()
        page.keyboard.press("Home")
        until(page, "document.getElementById('step-text').textContent === 'step 1 of 12'")
        page.locator("#slider-steps").focus()
        page.keyboard.press("ArrowLeft")
        until(page, "spikewise.state.steps === 11 && !document.getElementById('changed').hidden")
        page.locator("#neuron-number").fill("5")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        until(page, "spikewise.state.silent.lif1.has(5)")
        # Test images are reached by arrows, the answer by the link to it.
        rest = page.locator("[tabindex='-1']:visible:not(#samples button):not(#answer)")
        assert rest.count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(size, theme, browser, folder):
    for name in ("network", "check"):
        with shown(browser, (folder / f"{name}.html").as_uri(), size, color_scheme=theme) as page:
            assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
            picture_of(page, f"{name}-{size}-{theme}")
            if axe() is not None:
                assert not serious_faults(page)


def test_the_server_has_the_same_page_and_one_to_upload_to(browser, run, images, network):
    with started(run.folder) as (_, port):
        address = f"http://127.0.0.1:{port}/"
        with shown(browser, address) as page:
            equal_to_predict(page, images[:5], network, ["drop"])
        said = network.predict([png(images[3, 0])])[0]
        for size in SIZES:
            with shown(browser, f"{address}upload", size) as page:
                page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(images[3, 0])})
                until(page, f"document.getElementById('says').textContent.startsWith('It says {said}, ')")
                assert page.locator("#classes li").count() == 10
                assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
                picture_of(page, f"upload-{size}")
                if axe() is not None:
                    assert not serious_faults(page)


def test_paper_has_what_the_network_saw_and_answered_and_nothing_to_press(browser, address):
    with shown(browser, address) as page:
        page.locator("#samples button").first.click()
        until(page, "document.querySelector('#says').textContent")
        page.emulate_media(media="print")
        there = "names => names.filter(name => [...document.querySelectorAll(name)].some(one => one.offsetParent))"
        assert page.evaluate(there, ["button", "input", "#pad", "#samples", "#sliders", "#how"]) == []
        kept = ["#seen", "#says", "#step-text", "#evidence", "#layers", "#trace-text", "#model-choice", "#costs"]
        assert page.evaluate(there, kept) == kept
        assert "click" not in page.inner_text("main")
