"""`Config`, the base of every setting: frozen, checked on construction, unknown keys refused with the nearest name."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

from spikewise.errors import ConfigError, ShapeError, unknown_choice

__all__ = ["Config", "parse"]

_TYPE_NAMES = frozenset({"int", "float", "str", "bool", "none"})
"""What pydantic puts into the place of a mistake for the members of a union."""
ConfigT = TypeVar("ConfigT", bound="Config")
"""Not `typing.Self`: shape checkers that decorate single methods cannot resolve it."""


class Config(BaseModel):
    """A frozen pydantic model whose mistakes are `ConfigError`s in words.

    Raises:
        ConfigError: an unknown key, a wrong type or a value out of range; the message names the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def __init__(self, **data: Any) -> None:  # pydantic's own signature
        try:
            super().__init__(**{key: self._read(key, value) for key, value in data.items()})
        except pydantic.ValidationError as error:
            raise _in_words(type(self), error) from None

    @classmethod
    def _read(cls, key: str, value: Any) -> Any:
        """TOML has no word for None: "none" stands for it where a field may be None."""
        field = cls.model_fields.get(key)
        absent = value == "none" if isinstance(value, str) else False
        return None if absent and field is not None and type(None) in get_args(field.annotation) else value

    def replace(self: ConfigT, **changes: Any) -> ConfigT:  # any field of any subclass
        """A copy with some fields changed, checked like a new one."""
        return type(self)(**{**self.model_dump(), **changes})


def parse(config_type: type[ConfigT], data: Mapping[str, Any]) -> ConfigT:
    """Build `config_type` from plain data such as a TOML table.

    Raises:
        ConfigError: as for `Config`.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{config_type.__name__} is a table of settings; got {data!r}.")
    return config_type(**dict(data))


def _in_words(config_type: type[BaseModel], error: pydantic.ValidationError) -> ConfigError:
    details = error.errors(include_url=False)
    problems = dict.fromkeys(_problem(config_type, detail) for detail in details)
    causes = {type(detail.get("ctx", {}).get("error")) for detail in details}
    kind = ShapeError if causes == {ShapeError} else ConfigError
    return kind("\n".join(problems))


def _problem(config_type: type[BaseModel], detail: ErrorDetails) -> str:
    path = [str(part) for part in detail["loc"] if re.fullmatch(r"\w+", str(part)) and part not in _TYPE_NAMES]
    key = ".".join(path) or config_type.__name__
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return str(unknown_choice("key", key, config_type.model_fields, last=path[-1]))
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            return str(unknown_choice(f"{key}.kind", context["tag"], tags))
        case "union_tag_not_found":
            return f"'{key}' needs a kind, such as {{kind = ...}}; got {detail.get('input')!r}."
        case "value_error" if isinstance(context.get("error"), ConfigError):
            return f"In '{'.'.join(path)}': {context['error']}" if path else str(context["error"])
        case _:
            return f"'{key}': {detail['msg']}; got {_brief(detail.get('input'))}."


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
