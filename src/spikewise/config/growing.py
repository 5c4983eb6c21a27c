"""Configs that have grown: settings that older versions did not have are written only where they differ."""

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from spikewise.config.base import Config

__all__ = ["GrowingConfig"]


class GrowingConfig(Config):
    """A config that names the settings which came later, so that what could be said before is written as before."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Settings that older versions did not have; they are written down only where they say something else than then."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that networks of before keep their identity, and older versions can read what they know."""
        fields = type(self).model_fields
        return {
            key: value
            for key, value in write(self).items()
            if key not in self.later or getattr(self, key) != fields[key].default
        }
