"""A page that must stay below a size has rounded weights, and its check says what that costs."""

import json

import numpy as np
import pytest
from exportable import LAYERS, dyadic, graph_of, images, neurons

from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError
from spikewise.evaluation.units import parse_bytes
from spikewise.graph import BatchNorm, Conv2d, Dropout, Flatten, Linear, Residual, SpikingActivation
from spikewise.interop import CheckImages, Wish, deploy, export_network, verify_bundle
from spikewise.interop.check import Source
from spikewise.interop.html import FORMAT
from spikewise.interop.html.coarse import Rounded, coarse
from spikewise.interop.html.page import _ALL_LEVELS, _begun, _Beside, _page, network_page
from spikewise.interop.html.running import programs
from spikewise.interop.runtime import Here, PageContent
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane

SOURCE = Source(run="run", network="snn", seed=5, classes=("a", "b", "c"), data="shapes")
LAYERS_OF_MANY = (Flatten(), Linear(features=200), neurons(), Linear(features=3), neurons())
needs_node = pytest.mark.skipif(programs()[0] is None, reason="runs the page's engine: needs the Debian package nodejs")


@pytest.fixture
def network():
    return Network(graph_of(LAYERS_OF_MANY, Rate(steps=6), MeanMembrane()), seed=2).eval()


@pytest.fixture
def wish(network):
    pixels = images(40, network.graph.image_shape)
    twin = Network(graph_of((Flatten(), Linear(features=3)), Direct(steps=1), LastMembrane()), seed=3)
    content = PageContent(twin=deploy(twin), images=pixels)
    return Wish(classes=SOURCE.classes, seed=SOURCE.seed, beside=lambda: content)


def size(network, wish):
    return len(network_page(deploy(network), wish).text.encode())


@needs_node
def test_the_page_is_held_against_the_rounded_network_and_both_against_the_trained_one(network, wish, tmp_path):
    most = size(network, wish) - 40_000
    pixels = images(40, network.graph.image_shape)
    given = CheckImages(pixels, Here(network, seed=5)(pixels).scores.argmax(1).astype(np.int64))
    made, check = export_network(network, "html", given, SOURCE, tmp_path / "out", wish=wish._replace(max_size=most))
    assert made.file.stat().st_size <= most == check.max_size
    assert check.passed
    rounded = Rounded(deploy(network), check.levels, seed=5)(pixels).scores.argmax(1)
    assert check.agreeing == (rounded == given.labels).sum()
    assert check.accuracy_here.value == 1
    assert check.accuracy_there.value == check.agreeing / 40
    assert check.only_here == 40 - check.agreeing
    assert "what its rounded weights should" in check.verdict
    assert f"of the network's own decisions it keeps {check.agreeing} of 40" in check.verdict
    assert f"multiples of 1/{check.levels} of their root mean square" in made.file.read_text()
    assert f"of 40 test images it answers {check.agreeing} as the network itself does" in made.file.read_text()
    assert check.facts["answers kept with rounded weights"] == f"{check.agreeing} of 40"
    again = verify_bundle(tmp_path / "out").check
    assert again.model_dump(exclude={"milliseconds_here", "milliseconds_there"}) == check.model_dump(
        exclude={"milliseconds_here", "milliseconds_there"}
    )
    noted = tmp_path / "out" / "check.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), "levels": 2}))
    assert not verify_bundle(tmp_path / "out").check.passed  # these are not the page's weights


def test_the_finest_levels_with_room_are_taken_and_where_all_bits_have_room_nothing_changes(network, wish):
    exact, deployed = network_page(deploy(network), wish), deploy(network)
    roomy = network_page(deployed, wish._replace(max_size=len(exact.text.encode())))
    assert roomy == exact
    assert roomy.levels is None
    most = size(network, wish) - 50_000
    found = network_page(deployed, wish._replace(max_size=most))
    finer = _ALL_LEVELS[_ALL_LEVELS.index(found.levels) - 1]
    assert len(found.text.encode()) <= most
    assert _page(_begun(deployed, wish, finer), _Beside(wish.beside(), finer), wish).size > most
    assert found.facts["weights are multiples of"] == f"1/{found.levels} of their root mean square"
    assert not found.warnings


def test_a_size_that_no_rounding_gives_is_refused_with_one_that_can_be_had(network, wish):
    with pytest.raises(ConfigError, match=r"--max-size [\d.]+MB or more") as told:
        network_page(deploy(network), wish._replace(max_size=2000))
    least = parse_bytes(str(told.value).split("--max-size ")[1].split()[0])
    assert len(network_page(deploy(network), wish._replace(max_size=least)).text.encode()) <= least


@needs_node
@pytest.mark.parametrize("levels", [3, 64])
def test_random_starts_and_recurrent_weights_are_rounded_alike(levels, tmp_path):
    """Dropout and normalisation that have left move no random number, and every matrix of the page is rounded."""
    three = Conv2d(channels=4, kernel=3, padding=1)
    start = (BatchNorm(), Dropout(), SpikingActivation(dt=0.25))
    inner = Residual(main=(three, *start), shortcut=(Dropout(), Conv2d(channels=4, kernel=1)))
    drawing = (three, *start, inner, Dropout(), SpikingActivation(), Flatten(), Linear(features=3))
    for layers, readout in ((drawing, LastMembrane()), (LAYERS["recurrent lif"], MeanMembrane())):
        network = dyadic(graph_of(layers, Rate(steps=4), readout), seed=7)
        deployed, wish = deploy(network), Wish(classes=SOURCE.classes, seed=5)
        held = coarse(deployed, levels)
        assert set(held.steps) == {name for name in deployed.weights if name.endswith((".weight", ".recurrent"))}
        begun = _begun(deployed, wish, levels)
        path = tmp_path / "network.html"
        path.write_text(_page(begun, _Beside(PageContent(), None), wish).text)
        pixels = images(4, network.graph.image_shape)
        page = FORMAT.open(deployed, tmp_path, path.name, wish._replace(levels=levels))
        ours, theirs = page.reference(pixels), page.runtime(pixels)
        for name, sent in ours.spikes.items():
            assert (sent != theirs.spikes[name]).mean() < 1e-3, name
            assert sent.any()
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("to", ["c", "nir", "onnx", "snntorch"])
def test_formats_that_cannot_round_refuse_a_size(to, network, tmp_path):
    pytest.importorskip({"c": "spikewise"}.get(to, to))
    given = CheckImages(images(2, network.graph.image_shape), np.zeros(2, np.int64))
    with pytest.raises(ConfigError, match="--max-size"):
        export_network(network, to, given, SOURCE, tmp_path / "out", wish=Wish(max_size=1000))


@pytest.mark.parametrize(
    ("text", "size"),
    [("2MB", 2_000_000), ("1.5 mb", 1_500_000), ("800k", 800_000), ("2MiB", 2_097_152), (7, 7), ("0.5GB", 500_000_000)],
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-2MB", "2 apples", "1e6", "0.1", "2i", "0"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(ConfigError, match="size"):
        parse_bytes(text)
