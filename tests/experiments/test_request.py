"""What a person asks for becomes one experiment, or an error that names the word to change."""

import pytest
import tomli_w

from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ConfigError
from spikewise.experiments import load_preset, preset_names, resolve
from spikewise.models import Conv, build


def test_a_name_is_enough():
    experiment = resolve("digits", seeds=2, epochs=7, device="cpu")
    assert (experiment.data.source, experiment.seeds, experiment.train.epochs) == ("digits", (0, 1), 7)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.epochs=5", ("train", "epochs"), 5),
        ("train.learning_rate=3e-4", ("train", "learning_rate"), 3e-4),
        ("train.class_weights=true", ("train", "class_weights"), True),
        ("train.monitor=loss", ("train", "monitor"), "loss"),
        ("model.hidden=[64, 32]", ("model", "hidden"), (64, 32)),
        ("model.cell.beta=0.5", ("model", "cell", "beta"), 0.5),
        ("model.output=none", ("model", "output"), "none"),
        ("seeds=3", ("seeds",), (0, 1, 2)),
        ("seeds=[4, 9]", ("seeds",), (4, 9)),
        ("train.gradient_clip=1.0", ("train", "gradient_clip"), 1.0),
        ("data.size=12", ("data", "size"), (12, 12)),
        ("cnn.hidden=[5]", ("cnn", "hidden"), (5,)),
    ],
)
def test_overrides_have_toml_types_and_reach_any_depth(override, path, value):
    found = resolve("digits", overrides=[override])
    for part in path:
        found = getattr(found, part)
    assert found == value


def test_a_new_kind_replaces_what_belonged_to_the_old_one_in_whatever_order():
    assert resolve("digits", overrides=["encoder.kind=rate", "encoder.steps=5"]).encoder == Rate(steps=5)
    assert resolve("digits", overrides=["encoder.kind=rate"]).encoder == Rate()
    assert resolve("digits", overrides=["encoder.kind=direct"]).encoder == Direct()
    for overrides in (["encoder.kind=latency", "encoder.tau=5.0"], ["encoder.tau=5.0", "encoder.kind=latency"]):
        assert resolve("digits", overrides=overrides).encoder == Latency(tau=5.0)
    nested = resolve("digits", overrides=["model.cell.kind=alif", "model.cell.beta=0.5", "model.kind=conv"])
    assert isinstance(nested.model, Conv)
    assert (nested.model.cell.kind, nested.model.cell.beta) == ("alif", 0.5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "No images were named"),
        ({"data": "digits", "seeds": 0}, "at least 1; got 0"),
        ({"data": "digits", "overrides": ["seeds=[]"]}, "seeds"),
        ({"data": "digits", "overrides": ["seeds=[1, 1]"]}, "seeds.*twice"),
        ({"data": "digits", "overrides": ['sides=["snn", "snn"]']}, "sides.*twice"),
        ({"data": "digits", "overrides": ["train.epoch=3"]}, "Did you mean 'train.epochs'"),
        ({"data": "digits", "overrides": ["trian.epochs=3"]}, "Did you mean 'train'"),
        ({"data": "digits", "overrides": ["encoder.kind=rat"]}, "Did you mean 'rate'"),
        (
            {"data": "digits", "overrides": ["encoder.kind=latency", "encoder.thresold=0.1"]},
            "mean 'encoder.threshold'",
        ),
        ({"data": "digits", "overrides": ["epochs"]}, "key=value"),
        ({"data": "digits", "overrides": ["=3"]}, "key=value"),
        ({"data": "digits", "overrides": ["train.epochs.more=3"]}, "'epochs' is a value"),
        ({"data": "digits", "overrides": ["train.epochs=many"]}, "epochs.*many"),
        ({"data": "digits", "overrides": ["train.learning_rate=inf"]}, "learning_rate"),
        ({"data": "digits", "seeds": 10**9}, "seeds is at most 1,000"),
        ({"data": "digits", "overrides": ["seeds=99999999999999999999"]}, "seeds is at most 1,000"),
        ({"preset": "mnist-snnn"}, "Did you mean"),
        ({"data": "digits", "preset": ""}, "Unknown preset ''"),
        ({"data": "digits", "device": "tpu"}, "device"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(asked, words):
    with pytest.raises(ConfigError, match=words):
        resolve(**asked)


def test_a_preset_and_a_file_are_one_too_many(tmp_path):
    with pytest.raises(ConfigError, match="choose one"):
        resolve(preset=preset_names()[0], config=tmp_path / "any.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data = {", "is not TOML"),
        ("[data]\nsource = 'digits'\n[train]\nepoch = 3", "Did you mean 'train.epochs'"),
        ("data = 'digits'", "data"),
        ("data = 5", "data"),
        ("title = 'x'", "No images were named"),
    ],
)
def test_a_file_that_is_wrong_is_named(text, words, tmp_path):
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        resolve(config=tmp_path / "e.toml")


@pytest.mark.parametrize("text", ["data = 'digits'", "data = 5\ntrain = 3"])
def test_a_value_where_a_table_belongs_is_named_though_more_is_asked(text, tmp_path):
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(ConfigError, match="table"):
        resolve("digits", config=tmp_path / "e.toml", epochs=3)


def test_a_missing_or_undecodable_file_is_named(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    for name in ("none.toml", "latin.toml"):
        with pytest.raises(ConfigError, match=name):
            resolve(config=tmp_path / name)


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_builds_its_network_and_survives_a_file(name, tmp_path):
    experiment = resolve(preset=name)
    assert experiment.title == name
    assert experiment.about.endswith((".", "?"))
    (tmp_path / "e.toml").write_text(tomli_w.dumps(experiment.model_dump(mode="json", exclude_none=True)))
    assert resolve(config=tmp_path / "e.toml") == experiment
    shape = (1, *(experiment.data.given_size or (28, 28)))
    graph = build(*experiment.network(shape), experiment.readout, image_shape=shape, classes=10)
    assert graph.parameter_shapes()


@pytest.mark.parametrize("name", [name for name in preset_names() if "as_published" in load_preset(name)])
def test_published_defects_are_another_experiment(name):
    assert resolve(preset=name, as_published=True).identity() != resolve(preset=name).identity()


def test_titles_change_no_identity_and_everything_else_does():
    plain = resolve("digits")
    assert plain.replace(title="x", about="y").identity() == plain.identity()
    for override in (
        "train.epochs=3",
        "seeds=[0]",
        "encoder.steps=24",
        "split.seed=1",
        "augment.flip=0.5",
        "device=cpu",
    ):
        assert resolve("digits", overrides=[override]).identity() != plain.identity()


def test_the_content_of_a_split_file_decides_the_run_not_its_place(tmp_path):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text("{}")
    other.write_text("{}")
    told = [resolve("digits", overrides=[f"split.file={path}"]).identity() for path in (one, other)]
    assert told[0] == told[1]
    other.write_text('{"train": [1]}')
    assert resolve("digits", overrides=[f"split.file={other}"]).identity() != told[0]


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="whole number from 0"):
        resolve("digits", overrides=["seeds=[-1]"])
