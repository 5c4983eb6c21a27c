"""Neurons and encoders from outside the package, by the kind that a config file calls them by."""

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import BaseModel

from spikewise.errors import ConfigError

__all__ = ["REGISTERED", "add", "find", "found", "stand_in"]

KindT = TypeVar("KindT", bound=BaseModel)

REGISTERED = "registered"
"""Kind of the table that stands for one of them."""
_GROUP, _MODULES = "spikewise", "SPIKEWISE_PLUGINS"
_kinds: dict[str, type[BaseModel]] = {}
_looked: list[bool] = []


def add(name: str, kind: type[BaseModel]) -> None:
    """Let `name` mean `kind`; the same class may be added again, as a notebook's cell does.

    Raises:
        ConfigError: another class is called so.
    """
    known = _kinds.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ConfigError(f"'{name}' is {known.__module__}.{known.__qualname__} already. Give yours another kind.")
    _kinds[name] = kind


def find(name: str) -> type[BaseModel] | None:
    """The class called so, if there is one: of this process, of an installed package (entry points of the group
    `spikewise`), or of a module that the environment variable SPIKEWISE_PLUGINS names (several with commas between)."""
    if name not in _kinds and not _looked:
        _looked.append(True)
        for one in entry_points(group=_GROUP):
            one.load()
        for module in filter(None, os.environ.get(_MODULES, "").split(",")):
            try:
                import_module(module.strip())
            except ImportError as error:
                raise ConfigError(f"{_MODULES} names the module '{module.strip()}', which fails: {error}.") from error
    return _kinds.get(name)


def found(name: str, family: type[KindT], what: str) -> type[KindT]:
    """The class of a family that is called so.

    Args:
        what: such classes are, for people.
    Raises:
        ConfigError: there is none in this process.
    """
    kind = find(name)
    if kind is None or not issubclass(kind, family):
        raise ConfigError(
            f"No {what} '{name}' is registered. Import the module that registers it (spikewise.register) first, or "
            f"name that module in the environment variable {_MODULES}."
        )
    return kind


def stand_in(value: object, known: Mapping[str, type[BaseModel]]) -> Any:
    """The table that stands for a registered kind, given by its word, its table or itself; else the value as it is.

    Args:
        known: the tables that the field takes, by kind.
    """
    place = known.get(REGISTERED)
    if place is None:
        return value
    if isinstance(value, BaseModel):
        own = {"kind": getattr(value, "kind", None), **value.model_dump(mode="json", exclude={"kind"})}
        return value if type(value) in known.values() else _table(own, place, type(value))
    table: object = {"kind": value} if isinstance(value, str) else value
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if not isinstance(kind, str) or kind in known:
        return value
    return _table(table, place, find(kind), value)


def _table(table: Any, place: type[BaseModel], kind: type[BaseModel] | None, otherwise: object = None) -> Any:
    family: type[BaseModel] = getattr(place, "family")  # noqa: B009  # of the stand-ins alone
    if kind is None or not issubclass(kind, family):
        return table if otherwise is None else otherwise
    settings = {key: one for key, one in table.items() if key != "kind"}
    return {"kind": REGISTERED, "name": table["kind"], "settings": settings}
