"""`Config`, the base of every setting: frozen, checked on construction, unknown keys refused with the nearest name."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict

from spikewise.config.problems import in_words
from spikewise.config.shorthand import written_out
from spikewise.errors import ConfigError, quoted

__all__ = ["Config", "parse"]

ConfigT = TypeVar("ConfigT", bound="Config")
"""Not `typing.Self`: shape checkers that decorate single methods cannot resolve it."""


class Config(BaseModel):
    """A frozen pydantic model whose mistakes are `ConfigError`s in words.

    A word may stand for a table of that kind (`encoder = "direct"`), and one value for a list of one; not in records
    that are read back, which are strict.

    Raises:
        ConfigError: an unknown key, a wrong type or a value out of range; the message names the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def __init__(self, **data: Any) -> None:  # pydantic's own signature
        if not self.model_config.get("strict"):
            data = {key: written_out(type(self), key, value) for key, value in data.items()}
        try:
            super().__init__(**data)
        except pydantic.ValidationError as error:
            raise in_words(type(self), error, data) from None
        except RecursionError:  # a value that holds itself
            raise ConfigError(f"{type(self).__name__}: a value holds itself, or is nested too deep.") from None

    def replace(self: ConfigT, **changes: Any) -> ConfigT:  # any field of any subclass
        """A copy with some fields changed, checked like a new one."""
        return type(self)(**{**self.model_dump(), **changes})


def parse(config_type: type[ConfigT], data: Mapping[str, Any]) -> ConfigT:
    """Build `config_type` from plain data such as a TOML table.

    Raises:
        ConfigError: as for `Config`.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{config_type.__name__} is a table of settings; got {quoted(data)}.")
    if strange := [key for key in data if not isinstance(key, str)]:
        raise ConfigError(f"{config_type.__name__}: the key of a setting is a text; got {quoted(strange[0])}.")
    return config_type(**dict(data))
