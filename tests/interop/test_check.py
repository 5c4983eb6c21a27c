"""The check of an export: it finds what differs, says where, and holds files against what they were."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError, RunError
from spikewise.graph import Activation, Flatten, Graph, Linear, Neuron
from spikewise.interop import (
    FORMATS,
    CheckImages,
    Deployed,
    ExportCheck,
    Sent,
    Wish,
    export_network,
    verify_bundle,
)
from spikewise.interop.check import Source
from spikewise.interop.page import check_page
from spikewise.interop.runtime import Here, Opened, Reader, Written
from spikewise.network import Network
from spikewise.reading import read_record
from spikewise.readouts import MeanMembrane, SpikeCount

GRAPH = Graph(
    image_shape=(1, 4, 4),
    encoder=Rate(steps=5),
    layers=(
        Flatten(),
        Linear(features=7),
        Neuron(dynamics=LIF(threshold=0.2)),
        Linear(features=3),
        Neuron(dynamics=LIF(threshold=0.1)),
    ),
    readout=SpikeCount(),
)
SOURCE = Source(run="a run", network="snn", seed=0, classes=("a", "b", "c"), data="squares")


class Altered(Here):
    """The network itself, with one spike of one image sent otherwise."""

    image = 2
    place: ClassVar = ("lif1", 3, 4)

    def __call__(self, images: np.ndarray) -> Sent:
        found = super().__call__(images)
        layer, step, neuron = self.place
        if len(images) > self.image:
            found.spikes[layer][step, self.image, neuron] ^= 1
        return found


class Kept:
    """A format whose file is opened by the runtime that the test names."""

    name, title, about = "kept", "Kept", "a format of the tests"
    exact = False
    runtime: type[Here] = Here
    reader: type[Here] | None = None
    simulated = False
    """Whether it is held against a simulator that does the same, so that only the network itself answers otherwise."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        del network
        (folder / f"{wish.name}.kept").write_text("kept")
        return Written(f"{wish.name}.kept", (f"{wish.name}.kept",), ("It was only kept.",), {"shelf, cm": 3})

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        assert (folder / main).exists()
        del wish
        others = () if self.reader is None else (Reader("another", "alters a spike", self.reader(network.network())),)
        runtime = self.runtime(network.network())
        return Opened(runtime, runtime if self.simulated else None, self.simulated, others)


FORMAT = Kept()  # as the module of a format has it


@pytest.fixture
def kept(monkeypatch):
    made = Kept()
    monkeypatch.setitem(FORMATS, "kept", __name__)
    monkeypatch.setitem(globals(), "FORMAT", made)
    return made


@pytest.fixture
def network():
    return Network(GRAPH, seed=1).eval()


@pytest.fixture
def images():
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (20, 1, 4, 4), generator=draw, dtype=torch.uint8).numpy()
    return CheckImages(pixels, np.arange(20) % 3)


def test_an_equal_runtime_passes_and_the_record_is_read_back(kept, network, images, tmp_path):
    exported, check = export_network(network, "kept", images, SOURCE, tmp_path / "out", wish=Wish("mine"))
    assert check.passed
    assert check.judged.equal_decisions == check.images == 20
    assert check.judged.first is None
    assert [one.differing for one in check.judged.layers] == [0, 0]
    assert sum(one.sent for one in check.judged.layers) > 0
    assert check.accuracy_here == check.accuracy_there
    assert exported.file.read_text() == "kept"
    assert exported.folder.stat().st_mode == tmp_path.stat().st_mode | 0o055  # others may read it
    assert read_record(exported.folder / "check.json", ExportCheck) == check
    page = (exported.folder / "check.html").read_text()
    assert "20 of 20 decisions equal" in page
    assert "It was only kept." in page
    facts = {"one image, C alone, ms": 0.349, "tables, bytes": 153_640, "written for": "a tool"}
    page = check_page(check.model_copy(update={"facts": facts}))
    for said in ("0.349", "153,640", "a tool"):
        assert f'<td class="num">{said}</td>' in page


@pytest.mark.parametrize(("draws", "told"), [(True, True), (False, False), (None, True)], ids=str)
def test_random_numbers_are_spoken_of_where_the_encoder_draws_some(kept, network, images, tmp_path, draws, told):
    exported, _ = export_network(network, "kept", images, SOURCE.model_copy(update={"draws": draws}), tmp_path / "out")
    page = (exported.folder / "check.html").read_text(encoding="utf-8")
    assert ("Random numbers of the encoder" in page) is told
    assert ("so its accuracy may be another" in page) is told


def test_the_accuracy_of_the_report_stands_beside_that_of_the_check(kept, network, images, tmp_path):
    source = SOURCE.model_copy(update={"draws": True, "reported": 0.8446})
    exported, _ = export_network(network, "kept", images, source, tmp_path / "out")
    page = (exported.folder / "check.html").read_text(encoding="utf-8")
    assert "every image has its own, and its accuracy on all test images is 84.46 %." in page


def test_a_spike_that_differs_is_counted_and_placed(kept, network, images, tmp_path):
    kept.runtime = Altered
    _, check = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    layers = {one.name: one for one in check.judged.layers}
    assert (layers["lif1"].differing, layers["lif2"].differing) == (1, 0)
    assert layers["lif1"].per_million == pytest.approx(1e6 / (20 * 5 * 7))
    assert check.judged.per_million == pytest.approx(1e6 / (20 * 5 * 10))
    first = check.judged.first
    assert first is not None
    assert (first.image, first.layer, first.step, first.neuron) == (2, "lif1", 4, (4,))
    assert first.here != first.there
    assert first.distance is not None
    assert (first.distance > 0) == (first.here == 1)
    assert not check.passed  # 1,000 of a million are no rounding
    assert "something else" in check.verdict


class Scored(Here):
    """The network itself, with scores that the test sets for it and for what it is held against."""

    scores: ClassVar[dict[int, list[float]]] = {}

    def __call__(self, images: np.ndarray) -> Sent:
        found = super().__call__(images)
        for at, scores in self.scores.items():
            found.scores[at : at + 1] = scores  # nothing where one image alone is timed
        return found


@pytest.mark.parametrize(
    ("scores", "passes"),
    [
        ([5, 5 + 2**-6, 0], True),  # a tie broken the other way
        ([6, 5, 0], True),  # one spike apart
        ([9, 5, 0], False),
    ],
)
def test_a_decision_may_differ_where_its_scores_are_nearly_tied(kept, network, images, tmp_path, scores, passes):
    """Of fewer than 1,000 images, too; the test's runtime answers the fourth image as it is told."""
    kept.runtime = type("Other", (Scored,), {"scores": {3: [*scores[1::-1], 0]}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikewise.interop.bundle.Here", type("Own", (Scored,), {"scores": {3: scores}}))
        _, check = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    assert check.judged.equal_decisions == 19
    assert check.judged.near_ties == passes
    assert check.passed == passes
    assert ("(1 nearly tied)" in check.verdict) == passes


def test_no_two_decisions_of_few_may_differ(kept, network, images, tmp_path):
    near = {at: [5, 5 + 2**-6, 0] for at in (3, 4)}
    kept.runtime = type("Other", (Scored,), {"scores": {at: [*scores[1::-1], 0] for at, scores in near.items()}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikewise.interop.bundle.Here", type("Own", (Scored,), {"scores": near}))
        _, check = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    assert check.judged.near_ties == 2
    assert not check.passed


def test_scores_that_are_far_apart_fail_where_no_layer_spikes(kept, images, tmp_path):
    layers = (Flatten(), Linear(features=7), Activation(), Linear(features=3))
    graph = Graph(image_shape=(1, 4, 4), encoder=Direct(steps=1), layers=layers, readout=MeanMembrane())

    class Larger(Here):
        def __call__(self, images: np.ndarray) -> Sent:
            return super().__call__(images)._replace(scores=super().__call__(images).scores * 1.01)

    _, same = export_network(Network(graph, seed=1), "kept", images, SOURCE, tmp_path / "same")
    kept.runtime = Larger
    _, check = export_network(Network(graph, seed=1), "kept", images, SOURCE, tmp_path / "out")
    assert same.passed
    assert check.judged.equal_decisions == 20
    assert not check.passed
    assert "of their range apart" in check.verdict


@pytest.mark.parametrize(("others", "passes", "warned"), [(0, True, False), (5, True, True), (6, False, True)])
def test_integers_must_keep_decisions(kept, network, images, tmp_path, others, passes, warned):  # noqa: PLR0917
    """What equals its simulator may still be another network; the verdict says which of the two was compared."""
    kept.simulated = True
    own = Here(network)(images.pixels).scores.argmax(1)
    other = {at: [float(one == (own[at] + 1) % 3) for one in range(3)] for at in range(others)}
    kept.runtime = type("Rounded", (Scored,), {"scores": other})
    _, check = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    assert check.judged.equal_decisions == 20
    assert check.agreeing == 20 - others
    assert check.passed == passes
    assert f"of the network's own decisions it keeps {20 - others} of 20" in check.verdict
    assert ("export in floating point" in check.verdict) == warned
    assert "does what the network does" not in check.verdict
    assert verify_bundle(tmp_path / "out").check.verdict == check.verdict


def test_another_reader_is_measured_and_fails_nothing(kept, network, images, tmp_path):
    kept.reader = Altered
    _, check = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    assert check.passed
    assert check.readers[0].per_million == pytest.approx(1e6 / (20 * 5 * 10))


def test_a_check_is_repeated_from_the_file_alone(kept, network, images, tmp_path):
    exported, check = export_network(network, "kept", images, SOURCE, tmp_path / "out", wish=Wish("mine"))
    moved = tmp_path / "elsewhere"
    exported.folder.rename(moved)
    found = verify_bundle(moved / "mine.kept")
    assert found.changed == ()
    assert found.check.judged == check.judged
    assert found.check.facts == {"shelf, cm": 3}
    (moved / "mine.kept").write_text("changed")
    assert verify_bundle(moved).changed == ("mine.kept",)


def test_what_is_no_export_is_refused_in_words(kept, network, images, tmp_path):
    with pytest.raises(RunError, match="There is no"):
        verify_bundle(tmp_path / "absent")
    (tmp_path / "alone.kept").write_text("kept")
    with pytest.raises(RunError, match=r"No check\.json stands beside"):
        verify_bundle(tmp_path / "alone.kept")
    with pytest.raises(ConfigError, match=r"Unknown export format 'kpet'\. Did you mean 'kept'"):
        export_network(network, "kpet", images, SOURCE, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds files that are no export"):
        export_network(network, "kept", images, SOURCE, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.kept"]


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("check.json", lambda path: path.write_text("{}")),
        ("check.json", lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"images": "many"}))),
        ("check.npz", lambda path: path.write_bytes(path.read_bytes()[:100])),
        ("reference.safetensors", lambda path: path.write_bytes(b"no weights")),
        ("network.kept", lambda path: path.unlink()),
    ],
    ids=["empty", "a word for a number", "cut images", "no weights", "no file"],
)
def test_a_damaged_export_is_named(kept, network, images, tmp_path, file, change):
    exported, _ = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    change(exported.folder / file)
    with pytest.raises(RunError, match=file.replace(".", r"\.")):
        verify_bundle(exported.folder)


def test_a_failed_export_leaves_what_was_there(kept, network, images, tmp_path, monkeypatch):
    exported, _ = export_network(network, "kept", images, SOURCE, tmp_path / "out")

    def refuse(*arguments: object) -> Written:
        raise ConfigError("Layer lif1 cannot be said.")

    monkeypatch.setattr(kept, "write", refuse)
    with pytest.raises(ConfigError, match="Layer lif1"):
        export_network(network, "kept", images, SOURCE, exported.folder)
    assert exported.file.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_images_that_may_not_be_passed_on_stay_at_home(kept, network, images, tmp_path):
    exported, check = export_network(network, "kept", images._replace(kept=False), SOURCE, tmp_path / "out")
    assert not (exported.folder / "check.npz").exists()
    with pytest.raises(RunError, match="keeps no images of its check"):
        verify_bundle(exported.file)
    with pytest.raises(RunError, match="had 20 images"):
        verify_bundle(exported.file, given=lambda count: CheckImages(images.pixels[:3], images.labels[:3]))
    again = verify_bundle(exported.file, given=lambda count: CheckImages(images.pixels[:count], images.labels[:count]))
    assert again.check.judged == check.judged


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", 'x""" + 1', "a" * 80, "a\nb"])
def test_a_name_that_is_none_of_files_is_refused(kept, network, images, tmp_path, name):
    with pytest.raises(ConfigError, match="is no name of files"):
        export_network(network, "kept", images, SOURCE, tmp_path / "out", wish=Wish(name))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("main", ["../check.json", "other.kept", ""])
def test_a_main_file_that_is_none_of_the_files_is_told(kept, network, images, tmp_path, main):
    exported, _ = export_network(network, "kept", images, SOURCE, tmp_path / "out")
    path = exported.folder / "check.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "main": main}))
    with pytest.raises(RunError, match="is none of its files"):
        verify_bundle(exported.folder)
