"""What is parsed is bounded: no text takes longer than its length deserves, and what is told of it can be read."""

import contextlib
import json

import pytest

from spikewise.errors import ConfigError, SpikewiseError, StorageError, quoted, readable
from spikewise.parsing import ParseError, parse_json, parse_toml, plain

SIZE = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "x" * SIZE,
        "a = " + "x" * SIZE,
        'a = "' + '\\"' * (SIZE // 2),
        'a = """' + '\\"""' * (SIZE // 4),
        "a = '''" + "''a" * (SIZE // 3),
        "a = " + "9" * 399 + ("." + "9" * 399) * 500,
        "a.b." * 7 + "\n" + "a" * SIZE + " ." * 9,
        "[" + "a." * SIZE + "b]",
        "#" * SIZE,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_longer_than_its_length_deserves(text):
    """A quadratic search would need minutes here: the test ends, or it does not."""
    for parse in (parse_toml, parse_json):
        with contextlib.suppress(ParseError):
            parse(text)


def test_sound_texts_are_read():
    assert parse_toml("a.b = [1, {c = 'x'}]") == {"a": {"b": [1, {"c": "x"}]}}
    assert parse_json('{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    deep = "[" * 64 + "]" * 64
    assert json.dumps(parse_json(deep)) == deep


@pytest.mark.parametrize(
    "value", [object(), b"x", {1: 2}, "\0", "\udc80", 10**500, [[None, {"a": {"\0": 1}}]]], ids=type
)
def test_what_no_file_can_hold_is_refused(value):
    with pytest.raises(ParseError):
        plain(value)


@pytest.mark.parametrize("error", [SpikewiseError, ConfigError, StorageError])
def test_every_message_can_be_printed(error):
    said = str(error("bad \udce9 \x07 \x1b[31m name " + "x" * 10_000 + " and so on" * 1000))
    assert "\\udce9 \\x07 \\x1b[31m" in said
    assert len(said) <= 2010
    said.encode("ascii", "backslashreplace").decode()
    assert said.encode("utf-8")


def test_a_path_of_full_length_is_shown_whole():
    path = "/a" * 400
    assert path in readable(f"Cannot write {path}: no space.")


@pytest.mark.parametrize("value", [10**5000, [10**5000], "x" * 500, {"a": "\n"}], ids=type)
def test_a_value_is_quoted_in_short(value):
    assert len(quoted(value)) <= 130
    assert "\n" not in quoted(value)
