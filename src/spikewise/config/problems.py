"""What is wrong with a config, key by key, in words that a user knows: never those of the library that found it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pydantic
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from spikewise.config.expected import expected
from spikewise.config.shorthand import kinds_in, members
from spikewise.errors import ConfigError, ShapeError, nearest, quoted

__all__ = ["Problem", "in_words", "settings_of"]

_SYNONYMS = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "wd": "weight_decay",
    "l2": "weight_decay",
    "clip": "gradient_clip",
    "early_stopping": "patience",
    "scheduler": "schedule",
    "optim": "optimizer",
    "timesteps": "steps",
    "time_steps": "steps",
    "num_steps": "steps",
    "t": "steps",
    "image_size": "size",
    "resize": "size",
    "gray": "grey",
    "grayscale": "grey",
    "neuron": "cell",
    "neurons": "hidden",
    "units": "hidden",
    "layers": "hidden",
    "architecture": "model",
    "network": "model",
    "dataset": "source",
    "path": "source",
    "decay": "beta",
    "tau": "beta",
    "epoch": "epochs",
    "seed": "seeds",
}
"""Words of other libraries for what a setting here is called."""
_DEEPEST = 4
_MOST = 20
_FINITE = ", and finite"
"""Mistakes that are put into words; nobody reads more, and a long list of wrong values has as many."""


class Problem(NamedTuple):
    """One mistake."""

    path: tuple[str | int, ...]
    """Its key, from the config at hand."""
    text: str
    """With `{key}` where the whole key belongs."""
    choices: tuple[str, ...] | None = None
    """Of an unknown key: the keys that are known there."""
    cause: type[ConfigError] = ConfigError


def in_words(config_type: type[BaseModel], error: pydantic.ValidationError, data: Mapping[str, Any]) -> ConfigError:
    """The error that lists every mistake that pydantic found in `data`."""
    details = error.errors(include_url=False)
    found = [one for detail in details[:_MOST] for one in _problems(config_type, detail, data)]
    found = _most_telling(list(dict.fromkeys(found)))
    kind = ShapeError if {one.cause for one in found} == {ShapeError} else ConfigError
    lines = [_said(config_type, one) for one in found]
    if len(details) > _MOST:
        lines.append(f"And {len(details) - _MOST:,} mistakes more.")
    said = kind("\n".join(lines))
    said.problems = tuple(found)
    return said


def _problems(config_type: type[BaseModel], detail: ErrorDetails, data: Mapping[str, Any]) -> Iterator[Problem]:
    if other := _kind_of_other(config_type, detail["loc"], data):
        yield from [other] if isinstance(other, Problem) else []
        return
    path = _key(detail["loc"], data, absent=detail["type"] == "missing")
    context = detail.get("ctx", {})
    got = quoted(detail.get("input"))
    match detail["type"]:
        case "extra_forbidden":
            yield Problem(path, "", tuple(config_type.model_fields))
        case "union_tag_invalid":
            tags = tuple(tag.strip(" '") for tag in context["expected_tags"].split(","))
            yield Problem((*path, "kind"), _no_kind(str(context["tag"]), tags))
        case "union_tag_not_found":
            wanted = expected(config_type, path)
            yield Problem(path, (f"'{{key}}' needs a kind: it is {wanted}; got {got}."))
        case "value_error" if isinstance(inner := context.get("error"), ConfigError):
            below = [one for one in inner.problems if isinstance(one, Problem)]
            yield from (one._replace(path=(*path, *one.path)) for one in below)
            if not below:
                text = str(inner)
                yield Problem(path, f"In '{{key}}': {text}" if path else text, cause=type(inner))
        case "value_error" if path:
            yield Problem(path, (f"'{{key}}': {context['error']}; got {got}."))
        case "value_error":
            yield Problem((), (f"{config_type.__name__}: {context['error']}."))
        case "missing":
            yield Problem(path, (f"'{{key}}' is missing: it is {expected(config_type, path)}."))
        case "finite_number":
            yield Problem(path, (f"'{{key}}' is {expected(config_type, path)}{_FINITE}; got {got}."))
        case "string_pattern_mismatch":
            words = re.findall(r"[a-z]{2,}", context["pattern"])
            wanted = " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
            yield Problem(path, (f"'{{key}}' is {wanted or 'of the form ' + context['pattern']}; got {got}."))
        case _:
            yield Problem(path, (f"'{{key}}' is {expected(config_type, path)}; got {got}."))


def _most_telling(found: list[Problem]) -> list[Problem]:
    """Without what other members of a union say of a value: what is wrong deeper inside, or nearer, tells more."""
    deeper = {one.path[:length] for one in found for length in range(1, len(one.path))}
    finite = {one.path for one in found if _FINITE in one.text}
    return [one for one in found if one.path not in deeper and (one.path not in finite or _FINITE in one.text)]


def _kind_of_other(
    config_type: type[BaseModel], location: Sequence[str | int], data: Mapping[str, Any]
) -> Problem | bool:
    """Whether a mistake is about a table of another kind than the given one; a problem where there is no such kind."""
    if len(location) < 2 or not isinstance(field := config_type.model_fields.get(str(location[0])), FieldInfo):
        return False
    kinds = kinds_in(field.annotation)
    if location[1] not in {table.__name__ for table in kinds.values()}:
        return False
    value = data.get(str(location[0]))
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind is None:
        return False
    if not isinstance(kind, str) or kind not in kinds:
        return Problem((location[0], "kind"), _no_kind(str(kind), tuple(kinds)))
    return kinds[kind].__name__ != location[1]


def _key(location: Sequence[str | int], data: Any, *, absent: bool) -> tuple[str | int, ...]:
    """The keys among the parts of a location; the rest are names that pydantic gives to members of a union.

    Args:
        absent: the last part is a key that is not there.
    """
    path: list[str | int] = []
    at: Any = data
    for place, part in enumerate(location):
        last = absent and place == len(location) - 1
        if _holds(at, part):
            at = at[part]
        elif place and not last:
            continue
        path.append(part)
    return tuple(path)


def _holds(at: object, part: str | int) -> bool:
    if isinstance(at, Mapping):
        return part in at
    return isinstance(part, int) and isinstance(at, list | tuple) and part < len(at)


def _no_kind(kind: str, known: Sequence[str]) -> str:
    close = nearest(kind, known)
    hint = f" Did you mean '{close}'?" if close else ""
    return f"Unknown {{key}} {quoted(kind)}.{hint} Available: {', '.join(sorted(known))}."


def _said(config_type: type[BaseModel], problem: Problem) -> str:
    key = ".".join(map(str, problem.path)) or config_type.__name__
    if problem.choices is None:
        return problem.text.replace("{key}", key if len(key) <= 200 else f"{key[:120]}...")
    if kinds := _kinds_that_have(config_type, problem.path):
        above, (first, *_) = key.rpartition(".")[0], kinds
        return (
            f"'{key}' belongs to {above}.kind = {' or '.join(kinds)}; with another kind it says nothing. Set "
            f"{above}.kind={first} too, or leave it out. Available: {', '.join(sorted(problem.choices))}."
        )
    close = _meant(config_type, problem.path, problem.choices)
    hint = f" Did you mean {close}?" if close else ""
    return f"Unknown key {quoted(key, 200)}.{hint} Available: {', '.join(sorted(problem.choices))}."


def _kinds_that_have(config_type: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The kinds of a table that have a key which the given kind of it has not."""
    *above, last = path
    tables: list[type[BaseModel]] = [config_type]
    found: dict[str, type[BaseModel]] = {}
    for part in above:
        fields = [table.model_fields[str(part)] for table in tables if part in table.model_fields]
        found = {kind: table for field in fields for kind, table in kinds_in(field.annotation).items()}
        tables = list(found.values()) or [
            one
            for field in fields
            for one in members(field.annotation)
            if isinstance(one, type) and issubclass(one, BaseModel)
        ]
    return [kind for kind, table in found.items() if last in table.model_fields]


def _meant(config_type: type[BaseModel], path: tuple[str | int, ...], choices: Sequence[str]) -> str | None:
    """The settings that an unknown key was probably meant to be: anywhere in the tree, or beside it."""
    *above, last = map(str, path)
    word = last.casefold().replace("-", "_")
    beside = {key: ".".join((*above, key)) for key in choices}
    names = [name for name in (word, _SYNONYMS.get(word)) if name]
    for name in names:
        if name in beside:
            return f"'{beside[name]}'"
    for name in names:
        there = [key for key in settings_of(config_type) if key.rpartition(".")[2] == name]
        if there:
            return " or ".join(f"'{key}'" for key in sorted(there, key=lambda key: key.count("."))[:3])
    if close := nearest(last, choices, cutoff=0.6):
        return f"'{beside[close]}'"
    leaves = {key.rpartition(".")[2]: key for key in reversed(settings_of(config_type))}
    if close := nearest(last, leaves, cutoff=0.75):
        return f"'{leaves[close]}'"
    close = nearest(last, choices)
    return f"'{beside[close]}'" if close else None


@lru_cache(maxsize=64)
def settings_of(config_type: type[BaseModel], deepest: int = _DEEPEST) -> tuple[str, ...]:
    """Every dotted key of a config, those of all kinds of a table together."""
    out: dict[str, None] = {}
    for name, field in config_type.model_fields.items():
        out[name] = None
        tables = kinds_in(field.annotation).values() or [
            one for one in members(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)
        ]
        if deepest:
            out |= dict.fromkeys(f"{name}.{key}" for table in tables for key in settings_of(table, deepest - 1))
    return tuple(out)
