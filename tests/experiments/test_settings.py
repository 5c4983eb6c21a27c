"""Text, files and Python values mean the same settings; what overwhelms a parser, or contradicts itself, is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikewise.encoders import Latency
from spikewise.errors import ConfigError
from spikewise.experiments import resolve
from spikewise.experiments.settings import (
    Change,
    agreed,
    changed,
    changes_of,
    differences,
    flattened,
    format_change,
    laid_over,
    number_at,
    parse_change,
    read_table,
    value_at,
)


def pairs(changes):
    return {change.key: change.value for change in changes}


def test_python_values_become_changes():
    given = {
        "train.learning_rate": 0.01,
        "encoder": {"steps": np.int64(5), "kind": "latency"},
        "model": {"hidden": (8, 4), "cell": {"reset_delay": np.bool_(True)}},
        "title": 'a "b"',
        "data": {"source": Path("x")},
    }
    assert pairs(changes_of(given)) == {
        "train.learning_rate": 0.01,
        "encoder.kind": "latency",
        "encoder.steps": 5,
        "model.hidden": [8, 4],
        "model.cell.reset_delay": True,
        "title": 'a "b"',
        "data.source": "x",
    }
    assert pairs(changes_of({"encoder": Latency(steps=7)}))["encoder.steps"] == 7
    with pytest.raises(ConfigError, match=r"'train\.patience' cannot be set to None"):
        changes_of({"train": {"patience": None}})


@pytest.mark.parametrize(
    "value",
    [5, -0.1, 1e-3, True, "word", 'quo"ted', "a\nb", "日本", [1, 2], [], [[1, 2], [3]], {"kind": "lif", "beta": 0.5}],
)
def test_a_change_survives_text(value):
    assert parse_change(format_change("a.b", value))[:2] == ("a.b", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=5", 5),
        ("k = 5 ", 5),
        ("k=a=b", "a=b"),
        ("k=", ""),
        ("k=(p\\d+)_", "(p\\d+)_"),
        ("k=[a-z]+(x)", "[a-z]+(x)"),
        ("k=1979-05-27", "1979-05-27"),
        ("k=1\nseeds = [7]", "1\nseeds = [7]"),
    ],
)
def test_a_value_is_toml_or_else_plain_words(text, value):
    assert parse_change(text)[:2] == ("k", value)


@pytest.mark.parametrize("key", ["", ".", "..", "a.", ".a", "a..b", "a." * 40000 + "b", " "])
def test_a_key_without_names_is_refused(key):
    with pytest.raises(ConfigError, match="key"):
        parse_change(f"{key}=1")


DEEP = 30_000


@pytest.mark.parametrize(
    "text",
    [
        "k=" + "[" * DEEP + "]" * DEEP,
        "k=" + "{a=" * DEEP + "1" + "}" * DEEP,
        "k=" + "9" * 5000,
        'k="\\u0000"',
        "k=" + json.dumps("\0"),
        "k=\udc80",
    ],
)
def test_a_value_beyond_bounds_is_refused(text):
    with pytest.raises(ConfigError, match="'k' cannot be set"):
        parse_change(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.toml", "title = " + "[" * DEEP, "nested deeper than 64"),
        ("a.toml", "title = " + "9" * 5000, "more than 400 digits"),
        ("a.toml", "a." * DEEP + "b = 1", "more than 32 parts"),
        ("a.toml", "[" + "a." * DEEP + "b]", "more than 32 parts"),
        ("a.toml", "a = 1\na = 2", "Cannot overwrite"),
        ("a.toml", "x = 1\n" * 300_000, "characters"),
        ("a.toml", 'title = "\\u0000"', "NUL"),
        ("a.toml", "title = 1979-05-27", "1979-05-27 is a date"),
        ("a.json", '{"a": ' * DEEP, "nested deeper than 64"),
        ("a.json", '{"a": %s}' % ("9" * 5000), "more than 400 digits"),
        ("a.json", '{"a": 1, "a": 2}', "'a' stands twice"),
        ("a.json", '{"a": NaN}', "NaN is no number"),
        ("a.json", '{"a": 1e999}', "too large"),
        ("a.json", '{"a": "\\ud800"}', "not Unicode"),
        ("a.json", "[1]", "no table"),
        ("a.json", "", "line 1"),
    ],
)
def test_a_file_beyond_bounds_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=words):
        read_table(tmp_path / name)


def test_dots_brackets_and_digits_within_text_are_no_matter(tmp_path):
    for text in ("a." * 1000, "[" * 1000, "9" * 5000, '"' * 3, "# no comment"):
        for name, quoted in (("a.toml", json.dumps(text)), ("a.json", json.dumps(text))):
            (tmp_path / name).write_text(f"title = {quoted}" if name == "a.toml" else f'{{"title": {quoted}}}')
            assert read_table(tmp_path / name) == {"title": text}


def test_a_config_may_be_json_as_the_config_command_prints_it(tmp_path):
    experiment = resolve("digits", epochs=3)
    (tmp_path / "e.json").write_text(experiment.model_dump_json())
    assert resolve(config=tmp_path / "e.json") == experiment


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"epochs": 5}, ["train.epochs=3"]),
        ({"device": "cpu"}, ["device=cuda"]),
        ({"seeds": 2}, ["seeds=[7, 8]"]),
        ({"data": "digits"}, ["data.source=mnist"]),
        ({}, ["train.epochs=3", "train.epochs=5"]),
        ({}, ["train={epochs = 3}", "train.epochs=5"]),
        ({}, ["encoder=direct", "encoder.kind=rate"]),
        ({}, ["encoder=direct", "encoder=rate"]),
    ],
)
def test_two_ways_to_say_one_thing_must_agree(first, second):
    with pytest.raises(ConfigError, match="given twice and differently"):
        resolve(**{"data": "digits", **first}, overrides=second)


def test_what_agrees_may_be_said_twice():
    experiment = resolve("digits", epochs=5, seeds=2, overrides=["train.epochs=5", "seeds=[0, 1]", "seeds=2"])
    assert (experiment.train.epochs, experiment.seeds) == (5, (0, 1))


def test_what_is_no_number_is_told_as_such_and_not_as_said_twice():
    with pytest.raises(
        ConfigError, match=r"^'train\.learning_rate' is a number above 0, or 'auto', and finite; got nan\."
    ):
        resolve("digits", overrides=["train.learning_rate=nan"])


def test_python_settings_must_agree_with_arguments(tmp_path):
    from spikewise.api import compare

    for values in ({"train": {"epochs": 3}}, {"train.epochs": 3}):
        with pytest.raises(ConfigError, match=r"'train\.epochs' was given twice and differently: epochs 5 and"):
            compare("digits", epochs=5, out=tmp_path, **values)
    with pytest.raises(ConfigError, match="'seeds' was given twice"):
        agreed([Change("seeds", [3]), Change("seeds", [1])])


def test_layers_win_over_what_lies_beneath(tmp_path):
    (tmp_path / "e.toml").write_text("data = {source = 'digits'}\ntrain = {epochs = 7}")
    assert resolve(config=tmp_path / "e.toml", epochs=3).train.epochs == 3
    assert resolve("digits", layers=[[Change("train.epochs", 9)]], epochs=3).train.epochs == 3
    assert resolve("digits", layers=[[Change("train.epochs", 9)], [Change("train.epochs", 8)]]).train.epochs == 8


def test_the_order_of_changes_side_by_side_does_not_matter():
    table = {"encoder": {"kind": "rate", "steps": 25}, "train": {"epochs": 3}}
    changes = [Change("encoder.steps", 4), Change("encoder.kind", "direct"), Change("train", {"ema": 0.5})]
    expected = {"encoder": {"kind": "direct", "steps": 4}, "train": {"ema": 0.5}}
    assert changed(table, changes) == changed(table, changes[::-1]) == expected
    words = [Change("encoder", "direct"), Change("encoder.steps", 4)]
    assert changed(table, words) == changed(table, words[::-1])
    assert table["train"] == {"epochs": 3}


def test_differences_make_one_table_of_the_other():
    told = {"a": 1, "b": {"kind": "x", "c": 1}, "d": {"e": {"f": [1]}}}
    ran = {"a": 2, "b": {"kind": "y", "g": 1}, "d": {"e": {"f": [2]}}}
    assert changed(told, differences(told, ran)) == ran
    assert pairs(differences(told, ran)) == {"a": 2, "b": {"kind": "y", "g": 1}, "d.e.f": [2]}


def test_tables_are_read_at_dotted_keys():
    table = {"a": {"b": {"kind": "x", "c": 2}}, "t": True}
    assert value_at(table, "a.b.c") == number_at(table, "a.b.c") == 2
    assert value_at(table, "a.x.c") is number_at(table, "a.b.kind") is number_at(table, "t") is None
    assert flattened(table) == {"a.b": {"kind": "x", "c": 2}, "t": True}
    assert laid_over(table, {"a": {"b": {"c": 3}}}) == {"a": {"b": {"kind": "x", "c": 3}}, "t": True}
    assert laid_over(table, {"a": {"b": {"kind": "y"}}}) == {"a": {"b": {"kind": "y"}}, "t": True}


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("encoder=direct", lambda e: e.encoder.kind == "direct"),
        ("model=conv", lambda e: e.model.kind == "conv"),
        ("model.cell=alif", lambda e: e.model.cell.kind == "alif"),
        ("model.output=none", lambda e: e.model.output == "none"),
        ("model.output=lif", lambda e: e.model.output.kind == "lif"),
        ("train.optimizer=sgd", lambda e: e.train.optimizer.kind == "sgd"),
        ("model.hidden=64", lambda e: e.model.hidden == (64,)),
        ("model.hidden=64,32", lambda e: e.model.hidden == (64, 32)),
        ("model.hidden=(64, 32)", lambda e: e.model.hidden == (64, 32)),
        ("model.hidden=()", lambda e: e.model.hidden == ()),
        ("model.cell.learn=beta", lambda e: e.model.cell.learn == ("beta",)),
        ("sides=snn,twin", lambda e: e.sides == ("snn", "twin")),
        ("cnn=mlp", lambda e: e.cnn.kind == "mlp"),
        ("train.patience=none", lambda e: e.train.patience is None),
        ("title=none", lambda e: e.title == "none"),
        ("data.size=6", lambda e: e.data.size == (6, 6)),
        ("seeds=2", lambda e: e.seeds == (0, 1)),
    ],
)
def test_a_word_stands_for_its_table_and_a_value_for_a_list_of_one(override, read):
    assert read(resolve("digits", overrides=[override]))


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("size=6", "data.size"),
        ("lr=0.1", "train.learning_rate"),
        ("train.lr=0.1", "train.learning_rate"),
        ("steps=5", "encoder.steps"),
        ("encoder.step=5", "encoder.steps"),
        ("epochs=5", "train.epochs"),
        ("trian.epochs=5", "train"),
        ("batch=5", "train.batch_size"),
        ("model.cell.kind=LIF", "lif"),
        ("model.cell=LIF", "lif"),
        ("encoder=Rate", "rate"),
        ("model=cnov", "conv"),
        ("loss=mse", "count_mse"),
        ("train.epoch=5", "train.epochs"),
    ],
)
def test_a_wrong_word_is_put_right_from_the_whole_tree(override, meant):
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
        resolve("digits", overrides=[override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs=0", r"^'train\.epochs' is a whole number from 1, or 'auto'; got 0\.$"),
        ("train.epochs=many", r"^'train\.epochs' is a whole number from 1, or 'auto'; got 'many'\.$"),
        ("train=3", r"^'train' is a table of settings \(epochs, batch_size, .*\); got 3\.$"),
        ("model.output=5", r"^'model\.output' is a table with a kind \(.*lif.*\), or 'none'; got 5\.$"),
        ("model.cell=5", r"^'model\.cell' is a table with a kind \(.*lif.*\); got 5\.$"),
        ("cnn={kind='conv', hidden=[0]}", r"^'cnn\.hidden\.0' is a whole number from 1; got 0\.$"),
        ("cnn={kind='x'}", r"^Unknown cnn\.kind 'x'"),
        ("model.output={kind='lif', beta=2}", r"^'model\.output\.beta' is a number from 0 to 1; got 2\.$"),
        ("data.group_pattern=(((", "not a regular expression"),
        ("device=tpu", r"^'device' is auto, cpu, mps or cuda; got 'tpu'\.$"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence_of_the_users_words(override, words):
    with pytest.raises(ConfigError, match=words):
        resolve("digits", overrides=[override])
