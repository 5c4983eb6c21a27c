"""Conditions on runs as a person writes them: `accuracy > 0.97 and preset = mnist-snn`."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from spikewise.collection.summaries import Cell, RunSummary
from spikewise.errors import ConfigError

__all__ = ["Condition", "parse_condition", "plain_value"]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<sign><=|>=|==|!=|<|>|=|~|\(|\))
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<word>[^\s()<>=!~"']+))""",
    re.VERBOSE,
)
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_CONTAINS: Final = "~"
_MOST: Final = 200
"""Words of a condition: nobody writes more, and each bracket is a step deeper."""
_EXAMPLE: Final = "accuracy > 0.97 and preset = mnist-snn"


@runtime_checkable
class Condition(Protocol):
    """Something that is so of a run, or is not."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns, figures and settings that it asks for."""

    def renamed(self, names: Mapping[str, str]) -> "Condition":
        """The same with other names."""

    def __call__(self, run: RunSummary) -> bool:
        """Whether it is so; False where the run has no such figure."""


class _Compared(NamedTuple):
    """A name, a sign and a value."""

    name: str
    sign: str
    value: Cell

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def renamed(self, names: Mapping[str, str]) -> Condition:
        return self._replace(name=names[self.name])

    def __call__(self, run: RunSummary) -> bool:
        found, value = run[self.name], self.value
        if self.sign == _CONTAINS:
            return str(value).casefold() in ("" if found is None else str(found)).casefold()
        if found is None or value is None:
            return bool(_SIGNS[self.sign](found, value)) if self.sign in ("=", "==", "!=") else False
        if _is_number(found) != _is_number(value):  # 64 is no text, and "64" no number
            found, value = str(found), str(value)
        return bool(_SIGNS[self.sign](found, value))


class _Joined(NamedTuple):
    """Several conditions: all of them, or any."""

    parts: tuple[Condition, ...]
    how: Callable[..., bool]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.names)

    def renamed(self, names: Mapping[str, str]) -> Condition:
        return self._replace(parts=tuple(part.renamed(names) for part in self.parts))

    def __call__(self, run: RunSummary) -> bool:
        return self.how(part(run) for part in self.parts)


class _Not(NamedTuple):
    """The contrary."""

    part: Condition

    @property
    def names(self) -> tuple[str, ...]:
        return self.part.names

    def renamed(self, names: Mapping[str, str]) -> Condition:
        return _Not(self.part.renamed(names))

    def __call__(self, run: RunSummary) -> bool:
        return not self.part(run)


def parse_condition(text: str) -> Condition:
    """`NAME SIGN VALUE`, joined by `and`, `or`, `not` and brackets.

    Signs are = != < <= > >= and ~ (contains). A value is a number, a number of percent (`97%`), true, false, none, a
    word, or a text in quotation marks. A name is a column of the list, NETWORK.FIGURE or a dotted setting.

    Raises:
        ConfigError: it is none; the message says where.
    """
    return _Parser(text).whole()


def plain_value(word: str) -> Cell:
    """What a word without quotation marks stands for."""
    known = {"true": True, "false": False, "none": None}
    if word.casefold() in known:
        return known[word.casefold()]
    share = word.endswith("%")
    try:
        number = float(word.removesuffix("%"))
    except ValueError:
        return word
    if share:
        return number / 100
    return int(number) if number.is_integer() and abs(number) < 1e15 and "." not in word else number


class _Parser:
    """Reads a condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at = text, _tokens(text), 0

    def whole(self) -> Condition:
        """All of it."""
        found = self._any()
        if self._at < len(self._tokens):
            raise self._wrong(f"'{self._next()}' is one too many")
        return found

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Joined(tuple(parts), any)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else _Joined(tuple(parts), all)

    def _one(self) -> Condition:
        if self._takes("not"):
            return _Not(self._one())
        if self._takes("("):
            found = self._any()
            if not self._takes(")"):
                raise self._wrong("a bracket is not closed")
            return found
        name = self._word("a name")
        sign, quoted = self._peek()
        if quoted or sign not in (*_SIGNS, _CONTAINS):
            raise self._wrong(f"behind '{name}' belongs one of {' '.join(dict.fromkeys((*_SIGNS, _CONTAINS)))}")
        self._at += 1
        value, quoted = self._peek()
        word = self._word("a value")
        return _Compared(name, sign, value if quoted else plain_value(word))

    def _word(self, what: str) -> str:
        found, quoted = self._peek()
        if not found and not quoted:
            raise self._wrong(f"at its end {what} is missing")
        if not quoted and (found in (*_SIGNS, _CONTAINS, "(", ")") or found in ("and", "or", "not")):
            raise self._wrong(f"{what} belongs where '{found}' stands")
        self._at += 1
        return found

    def _takes(self, word: str) -> bool:
        found = self._peek() == (word, False)
        self._at += found
        return found

    def _peek(self) -> tuple[str, bool]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", False)

    def _next(self) -> str:
        return self._peek()[0]

    def _wrong(self, why: str) -> ConfigError:
        return ConfigError(f"The condition '{self._text}' cannot be read: {why}. One such as: {_EXAMPLE}")


def _tokens(text: str) -> list[tuple[str, bool]]:
    """Words and signs, and whether each was quoted."""
    out, at = list[tuple[str, bool]](), 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or len(out) >= _MOST:
            why = (
                "it is too long" if found is not None else f"'{text[at:].strip()[:20]}' is none of its signs and words"
            )
            raise ConfigError(f"The condition '{text}' cannot be read: {why}. One such as: {_EXAMPLE}")
        quoted = found["double"] if found["double"] is not None else found["single"]
        out.append((quoted, True) if quoted is not None else (found["sign"] or found["word"], False))
        at = found.end()
    return out


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
