"""The Python interface: what a notebook types."""

import base64
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from spikewise.api import Run, audit, compare, encode, evaluate, load, load_data, save_encoded, train, versus
from spikewise.data import split
from spikewise.encoders import Latency
from spikewise.errors import ConfigError, DataError, RunError, ShapeError, SpikewiseError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs")
    return compare(
        "digits", seeds=2, epochs=1, out=out, thorough=True, model={"hidden": [16]}, encoder={"steps": 4}, **LIMIT
    )


LIMIT = {"split.limit": 200, "sections": ["calibration"]}


def test_a_run_shows_itself(run):
    text = repr(run)
    assert text.startswith("compare on digits\n")
    assert "test accuracy" in run.table()
    assert run.results.verdict.headline in text
    assert run.report.is_file()


def test_what_asks_a_run_shows_itself_in_a_few_lines(run):
    contest = versus([f"{run.folder}:snn", f"{run.folder}:twin"])
    assert repr(contest).startswith("<2 networks on ")
    assert contest.pairs[0].sentence in repr(contest)
    (found,) = evaluate(run, network="snn", seed=0)
    assert repr(found) == (
        f"<snn, seed 0, on {found.images} images of digits: accuracy {100 * found.metrics['accuracy']:.2f} %>"
    )
    audited = audit("digits", **{"split.limit": 200})
    assert str(audited) == repr(audited)
    assert repr(audited).splitlines()[0] == f"<audit of digits, {audited.images:,} images. {audited.headline}.>"
    assert len(repr(audited).splitlines()) == 1 + len(audited.findings)


def test_the_same_call_reads_the_run_back(run):
    again = compare(
        "digits", seeds=[0, 1], epochs=1, out=run.folder.parent, model={"hidden": (16,)}, encoder={"steps": 4}, **LIMIT
    )
    assert again.folder == run.folder
    assert again.results == run.results


def test_train_takes_the_spiking_network_alone_and_shows_progress(tmp_path, capsys):
    done = train("digits", seeds=1, epochs=1, out=tmp_path, progress=True, model={"hidden": [8]}, **LIMIT)
    assert [network.name for network in done.results.networks] == ["snn"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 1/1" in err


@pytest.mark.parametrize("network", ["snn", "twin", "cnn"])
def test_every_road_of_an_image_into_a_network_gives_the_same_answer(run, tmp_path, network):
    images = load_data("digits").images[:3]
    model = load(run.folder, network, seed=1)
    expected = model.predict_proba(images)
    assert expected.shape == (3, 10)
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-5)
    pictures = [Image.fromarray(image[0]) for image in images]
    paths = [tmp_path / f"{at}.png" for at in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    words = [str(path) for path in paths]
    columns = [np.array(words), pd.Series(words), pd.Series(paths), pd.Series(list(images[:, 0]))]
    for same in (images[:, 0], pictures, paths, words, [path.read_bytes() for path in paths], *columns):
        np.testing.assert_array_equal(model.predict_proba(same), expected)
    np.testing.assert_array_equal(model.predict(images), expected.argmax(1))


def test_an_answer_does_not_depend_on_the_other_images(run):
    images = load_data("digits").images[:5]
    model = run.load()
    together = model.explain(images)
    for at in range(5):
        alone = model.explain(images[at : at + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[at], rtol=1e-5)
        np.testing.assert_allclose(alone.evidence[0], together.evidence[at], rtol=1e-4, atol=1e-5)


def test_images_of_other_sizes_are_resized_and_arrays_of_other_shapes_refused(run):
    model = run.load("twin")
    assert model.predict(Image.new("RGB", (40, 30))).shape == (1,)
    with pytest.raises(ShapeError, match="1x8x8"):
        model.predict(np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(ShapeError, match="no images"):
        model.predict([])
    with pytest.raises(SpikewiseError, match="nowhere"):
        model.predict("nowhere.png")


def test_loading_what_is_not_there_says_what_is(run, tmp_path):
    with pytest.raises(ConfigError, match="no seed 7; it has 0, 1"):
        load(run.folder, seed=7)
    with pytest.raises(ConfigError, match="Did you mean 'snn'"):
        load(run.folder, "sn")
    with pytest.raises(RunError, match="not a run folder"):
        load(tmp_path)


def test_evaluation_repeats_the_test_and_reads_other_sets_of_the_same_classes(run, tmp_path):
    (own,) = evaluate(run.folder, network="twin", seed=0)
    assert own.metrics["accuracy"] == pytest.approx(run.results.network("twin").runs[0].test["accuracy"])
    digits = load_data("digits")
    test = split(digits, None).test
    for label in (1, 0):
        folder = tmp_path / "zeros-and-ones" / str(label)
        folder.mkdir(parents=True)
        for at in test[digits.labels[test] == label]:
            Image.fromarray(digits.images[at, 0]).save(folder / f"{at}.png")
    (other,) = evaluate(run.folder, tmp_path / "zeros-and-ones", network="twin", seed=0)
    assert other.images == own.confusion[:2].sum()
    np.testing.assert_array_equal(other.confusion[:2], own.confusion[:2])
    (tmp_path / "zeros-and-ones" / "1").rename(tmp_path / "zeros-and-ones" / "eleven")
    with pytest.raises(DataError, match="does not know: eleven"):
        evaluate(run.folder, tmp_path / "zeros-and-ones")


@pytest.mark.parametrize("device", ["x", "cpu:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(run, device):
    with pytest.raises(ConfigError, match="device"):
        load(run.folder, device=device)


def test_weights_of_another_network_are_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.folder, copy)
    path = copy / "networks" / "snn" / "seed-0" / "weights.safetensors"
    with safe_open(path, "pt") as file:
        notes = file.metadata()
    save_file({name: value[:1].clone() for name, value in load_file(path).items()}, path, notes)
    with pytest.raises(RunError, match="weights of another network"):
        load(copy)


def test_more_than_can_be_drawn_is_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ShapeError, match="take fewer steps"):
        encode(tmp_path / "a.png", Latency(steps=100_000), size=(512, 512))
    with pytest.raises(ConfigError, match="at most 1,000 frames"):
        save_encoded(encode(tmp_path / "a.png", Latency(steps=1001)), tmp_path / "a.gif")


def test_a_run_is_a_table_and_a_picture(run):
    frame = run.to_frame()
    mean = frame[(frame.network == "snn") & (frame.metric == "accuracy") & (frame.seed == "all")]
    assert mean.value.item() == pytest.approx(run.results.network("snn").metrics["accuracy"].mean)
    assert len(frame[(frame.network == "snn") & (frame.metric == "accuracy")]) == 3
    shown = run._repr_html_()
    assert run.results.verdict.headline in shown
    png = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', shown)[1])
    width, height = Image.open(io.BytesIO(png)).size
    assert width > 600
    assert height > 200
    assert "var(" not in shown, "a notebook defines none of the report's colours"


def test_spikes_of_each_layer_are_those_that_are_counted(run):
    images, model = load_data("digits").images[:5], run.load()
    found = model.spikes(images)
    assert {name: tuple(one.shape) for name, one in found.items()} == {"lif1": (4, 5, 16)}
    sent = model.explain(images).layer_spikes
    np.testing.assert_array_equal(found["lif1"].sum((0, 2)).numpy(), sent["lif1"])
    assert list(model.spikes(images, ["lif1"])) == ["lif1"]
    with pytest.raises(ConfigError, match="Unknown spiking layer 'lif'"):
        model.spikes(images, ["lif"])
    assert repr(model).startswith("<snn, seed 0: rate T=4 |")


def test_everything_the_command_does_stands_in_the_package():
    import spikewise

    names = {"anytime", "calibrate", "compare", "diagnose", "explain", "judge", "robustness", "sweep", "tune", "versus"}
    assert names <= set(dir(spikewise))
    for name in dir(spikewise):
        assert getattr(spikewise, name) is not None


def test_errors_can_be_caught_by_a_name_of_the_package():
    import spikewise
    from spikewise.errors import ConfigError

    assert issubclass(ConfigError, spikewise.SpikewiseError)
    with pytest.raises(spikewise.SpikewiseError):
        spikewise.load("nothing here")
