"""TOML and JSON within bounds: what would overwhelm a parser, or what reads its result, is refused in words.

Files may come from anywhere. Depth, digits and length of keys are looked at before a parser sees the text, so no input
can exhaust the stack or take longer than its length deserves.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["MOST_DEPTH", "ParseError", "parse_json", "parse_toml", "plain"]

MOST_DEPTH: Final = 64
"""Tables within tables; an experiment has six."""
_MOST_DIGITS: Final = 400
"""Of one number; float64 ends at 309."""
_MOST_PARTS: Final = 32
"""Of one dotted key."""
_MOST_CHARACTERS: Final = 2**20
"""Of a file of settings: a thousand times a long one."""

# Each of these is linear in the text: nothing is tried twice (possessive), and what has no end reaches to the end.
_TEXTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?'
    r"|\'\'\'(?:[^\']|\'(?!\'\'))*+(?:\'\'\')?"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|\'[^\'\n]*+\'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_JSON_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_DIGITS = re.compile(rf"[0-9_]{{{_MOST_DIGITS + 1}}}")
_PARTS = re.compile(rf"(?<![\w\"-])(?:[\w\"-]++[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}")
_BRACKETS = re.compile(r"[\[\]{}]")


class ParseError(ValueError):
    """Why a text cannot be read, as the end of a sentence without its full stop."""


def parse_toml(text: str) -> dict[str, Any]:
    """The table that a TOML text describes.

    Raises:
        ParseError: it is no TOML, or beyond the bounds.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ParseError(f"it has {len(text):,} characters; settings have at most {_MOST_CHARACTERS:,}")
    bare = _TEXTS.sub('""', text)
    _check_bounds(bare)
    if _PARTS.search(bare):
        raise ParseError(f"a key has more than {_MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError) as error:
        raise ParseError(_reason(error)) from None


def parse_json(text: str, *, finite: bool = True) -> Any:  # whatever JSON holds
    """What a JSON text holds; a key that stands twice, and numbers that JSON does not know, are refused.

    Args:
        finite: False lets Python's own words for numbers that are not finite pass.
    Raises:
        ParseError: it is no JSON, or beyond the bounds.
    """
    _check_bounds(_JSON_TEXTS.sub('""', text))
    try:
        if not finite:
            return json.loads(text, object_pairs_hook=_table)
        return json.loads(text, object_pairs_hook=_table, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ParseError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise ParseError(_reason(error)) from None


def plain(value: object) -> Any:
    """`value` if settings can hold it: tables, lists, texts, numbers and truth values, no deeper than `MOST_DEPTH`.

    Raises:
        ParseError: what else it holds.
    """
    for one, depth in _walk(value):
        if depth > MOST_DEPTH:
            raise ParseError(f"it is nested deeper than {MOST_DEPTH} levels")
        if isinstance(one, str):
            _check_text(one)
        elif isinstance(one, dict):
            for key in one:
                if not isinstance(key, str):
                    raise ParseError(f"the key {key!r} is no text")
                _check_text(key)
        elif isinstance(one, int) and one.bit_length() > 3 * _MOST_DIGITS:
            raise ParseError(f"a number has more than {_MOST_DIGITS} digits")
        elif not isinstance(one, list | float | int | None):
            raise ParseError(f"{one!s:.40} is a {type(one).__name__}; put it in quotation marks")
    return value


def _walk(value: object) -> Iterator[tuple[object, int]]:
    """Everything in `value`, itself first, with its depth; no deeper than one level beyond the bound."""
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        yield one, depth
        if isinstance(one, dict):
            waiting += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list):
            waiting += [(inner, depth + 1) for inner in one]


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ParseError("a text holds a NUL character")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ParseError(f"the text {text[:60]!r} is not Unicode; rename what it names in UTF-8")


def _check_bounds(bare: str) -> None:
    """Refuse too many brackets within each other, and too long numbers, in a text without its quoted parts."""
    depth = 0
    for found in _BRACKETS.finditer(bare):
        depth += 1 if found[0] in "[{" else -1
        if depth > MOST_DEPTH:
            raise ParseError(f"it is nested deeper than {MOST_DEPTH} levels")
    if _DIGITS.search(bare):
        raise ParseError(f"a number has more than {_MOST_DIGITS} digits")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ParseError(f"the key {twice[:60]!r} stands twice in one table")
    return table


def _no_number(word: str) -> float:
    raise ParseError(f"{word} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ParseError(f"the number {text[:20]} is too large")
    return number


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error).rstrip(".") or type(error).__name__
