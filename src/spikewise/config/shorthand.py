"""What a person may write instead of the whole: "none", a word for a table of that kind, one value for a list."""

import re
import types
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from spikewise.config.registered import REGISTERED, stand_in

__all__ = ["kinds_in", "members", "written_out"]

_LIST = re.compile(r"\(?\s*([\w.+-]+(?:\s*,\s*[\w.+-]+)*)\s*,?\s*\)?|\(\s*\)")


class _Form(NamedTuple):
    """How a field may be written."""

    optional: bool
    words: frozenset[object]
    """Texts that are values themselves."""
    kinds: frozenset[str]
    """Kinds of the tables that it takes."""
    item_kinds: frozenset[str] | None
    """Of a list: the kinds of its items; None where it is no list."""
    takes_text: bool


def written_out(config_type: type[BaseModel], key: str, value: Any) -> Any:
    """The value of a field as it is checked: TOML has no None, and nobody likes to write {kind = "lif"}."""
    form = _form(config_type, key)
    if form is None:
        return value
    if REGISTERED in form.kinds:
        value = stand_in(value, _kinds(config_type, key))
    if isinstance(value, str):
        return _word(form, str(value))
    if form.item_kinds is None:
        return value
    if isinstance(value, bool | int | float):
        return [value]
    return [_item(form, part) for part in value] if isinstance(value, list | tuple) else value


def _word(form: _Form, word: str) -> Any:
    if word == "none" and form.optional:
        return None
    if word in form.words or form.takes_text:
        return word
    if form.kinds:
        return {"kind": word}
    listed = _LIST.fullmatch(word) if form.item_kinds is not None else None
    return [_item(form, part.strip()) for part in (listed[1] or "").split(",") if part.strip()] if listed else word


def _item(form: _Form, value: Any) -> Any:
    return {"kind": value} if form.item_kinds and isinstance(value, str) else value


@cache
def _form(config_type: type[BaseModel], key: str) -> _Form | None:
    field = config_type.model_fields.get(key)
    if field is None:
        return None
    found = members(field.annotation)
    items = next((get_args(one)[0] for one in found if _is_list(one)), None)
    return _Form(
        optional=type(None) in found,
        words=frozenset(word for one in found if get_origin(one) is Literal for word in get_args(one)),
        kinds=frozenset(kinds_in(field.annotation)),
        item_kinds=None if items is None else frozenset(kinds_in(items)),
        takes_text=str in found,
    )


@cache
def _kinds(config_type: type[BaseModel], key: str) -> dict[str, type[BaseModel]]:
    return kinds_in(config_type.model_fields[key].annotation)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple and get_args(annotation)[-1] is Ellipsis


def kinds_in(annotation: Any) -> dict[str, type[BaseModel]]:
    """The tables with a kind among the members of an annotation, by kind."""
    out: dict[str, type[BaseModel]] = {}
    for one in members(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel) and "kind" in one.model_fields:
            out |= {str(kind): one for kind in get_args(one.model_fields["kind"].annotation)}
    return out


def members(annotation: Any) -> list[Any]:
    """The alternatives of a union, however it is nested; of anything else itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for one in get_args(annotation) for inner in members(one)]
    return [annotation]
